import uuid

from django.db import models


class AuditEntry(models.Model):
    """Who did what to what. Rows are added and never changed: a trigger in the database refuses it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=200)
    verb = models.CharField(max_length=100, help_text='Namespaced, such as "budget.changed".')
    target = models.CharField(max_length=200)
    scope = models.CharField(max_length=100, blank=True, db_index=True, help_text="Whom it concerns, e.g. a team.")
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.target}"
