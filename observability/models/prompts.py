from django.db import models
from django.db.models import Q


class ManagedPrompt(models.Model):
    """A text that is managed in Langfuse: the newest one that was good, and how asking for it went last."""

    name = models.CharField(max_length=40, unique=True)
    label = models.CharField(max_length=40)
    version = models.PositiveIntegerField(null=True, help_text="Langfuse's number; empty until a good text came.")
    text = models.TextField(blank=True)
    fetched_at = models.DateTimeField(null=True, help_text="When this text came first.")
    checked_at = models.DateTimeField(null=True, help_text="When Langfuse was asked last.")
    last_error = models.TextField(blank=True, help_text="Why the last answer was of no use; the text stays in use.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(version=None, text="", fetched_at=None)
                | (Q(version__gte=1, fetched_at__isnull=False) & ~Q(text="")),
                name="observability_prompt_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version or '(none yet)'}"
