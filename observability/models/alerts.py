import uuid

from django.db import models
from django.db.models import Q

from observability.models.deliveries import Delivery


class Alert(Delivery):
    """Something people must know. Its delivery is an e-mail; its key makes sure that it is raised once."""

    class Level(models.TextChoices):
        WARNING = "warning"
        CRITICAL = "critical"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=100)
    scope = models.CharField(max_length=100, blank=True, db_index=True, help_text="Whom it concerns, e.g. a team.")
    level = models.CharField(max_length=10, choices=Level.choices)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    recipients = models.JSONField(default=list, help_text="E-mail addresses.")

    class Meta(Delivery.Meta):
        indexes = [*Delivery.Meta.indexes, models.Index(fields=["created_at"], name="observability_alert_created")]
        constraints = [
            *Delivery.Meta.constraints,
            models.CheckConstraint(
                condition=Q(level__in=["warning", "critical"]), name="observability_alert_level_known"
            ),
        ]

    def __str__(self) -> str:
        return self.subject
