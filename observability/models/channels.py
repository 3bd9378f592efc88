from django.db import models
from django.utils import timezone


class Channel(models.Model):
    """One of Langfuse's doors, each with a rate limit of its own, as all our processes share it.

    The row says how fast we may go through it, and whether trouble keeps it closed.
    """

    class Name(models.TextChoices):
        INGESTION = "ingestion", "spans"
        API = "public-api", "scores and questions"

    name = models.CharField(primary_key=True, max_length=20, choices=Name.choices, editable=False)
    free_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="What is booked at our pace ends here."
    )
    closed_until = models.DateTimeField(null=True, editable=False)
    strikes = models.PositiveIntegerField(default=0, editable=False, help_text="Troubles since the last success.")
    last_error = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name
