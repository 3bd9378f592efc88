import uuid

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from observability.models.deliveries import Delivery


class Level(models.TextChoices):
    """How much it matters, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @classmethod
    def up_to(cls, level: str) -> list[str]:
        """The levels that are no higher than this one."""
        return cls.values[: cls.values.index(level) + 1]


class Alert(models.Model):
    """Something people must know, a fact. Its key makes sure that it is raised once; `deliveries` carry it out."""

    Level = Level

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=100)
    scope = models.CharField(
        max_length=100, blank=True, db_index=True, help_text="The team it concerns; empty: the whole organisation."
    )
    level = models.CharField(max_length=10, choices=Level.choices)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    details = models.JSONField(
        default=dict, blank=True, encoder=DjangoJSONEncoder, help_text="Its figures for machines; money as text."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    acknowledged_at = models.DateTimeField(null=True, blank=True, editable=False)
    acknowledged_by = models.CharField(max_length=200, blank=True, editable=False)
    note = models.TextField(blank=True, help_text="What was said when it was acknowledged.")

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="observability_alert_created")]
        constraints = [
            models.CheckConstraint(condition=Q(level__in=Level.values), name="observability_alert_level_known"),
            models.CheckConstraint(
                condition=Q(acknowledged_at=None, acknowledged_by="")
                | (Q(acknowledged_at__isnull=False) & ~Q(acknowledged_by="")),
                name="observability_alert_acknowledged_by_someone",
            ),
        ]

    def __str__(self) -> str:
        return self.subject


class AlertChannel(models.Model):
    """Where alerts go besides the people they name. Its URL and its secret are stored encrypted."""

    class Kind(models.TextChoices):
        EMAIL = "email", "e-mail"
        SLACK = "slack", "Slack"
        WEBHOOK = "webhook", "webhook"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    addresses = models.JSONField(default=list, blank=True, help_text="E-mail addresses, of the kind e-mail.")
    encrypted_url = models.TextField(blank=True, editable=False)
    encrypted_secret = models.TextField(blank=True, editable=False)
    scope = models.CharField(max_length=100, blank=True, help_text="The team whose alerts it gets; empty: all alerts.")
    minimum_level = models.CharField(max_length=10, choices=Level.choices, default=Level.WARNING)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["email", "slack", "webhook"]), name="observability_alertchannel_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(minimum_level__in=Level.values), name="observability_alertchannel_level_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def url_owner(self) -> str:
        """What the encrypted URL is bound to."""
        return f"alert_channel:{self.pk}:url"

    @property
    def secret_owner(self) -> str:
        return f"alert_channel:{self.pk}:secret"


class AlertDelivery(Delivery):
    """An alert on one of its ways: to a channel, or, without one, by e-mail to the people it names."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, null=True, related_name="deliveries")
    recipients = models.JSONField(default=list, help_text="E-mail addresses, where there is no channel.")

    class Meta(Delivery.Meta):
        verbose_name_plural = "alert deliveries"
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=Q(state__in=["pending", "claimed"]),
                name="observability_alertdeliv_due",  # the inherited name would be too long
            ),
        ]
        constraints = [
            *Delivery.Meta.constraints,
            models.UniqueConstraint(fields=["alert", "channel"], name="observability_alertdelivery_once"),
        ]

    def __str__(self) -> str:
        return f"{self.alert}: {self.channel or ', '.join(self.recipients)}"
