import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from teams.access import TenantQuerySet
from text2sql.models import Example, Generation


class Feedback(models.Model):
    """What a person said about an answer, and what the team's lead made of it."""

    class Rating(models.TextChoices):
        UP = "up", "👍"
        DOWN = "down", "👎"

    class State(models.TextChoices):
        NEW = "new", "new"
        APPROVED = "approved", "approved"
        CORRECTED = "corrected", "corrected"
        REJECTED = "rejected", "rejected"

    team_path = "generation__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="feedback")
    # The end user that the client named, else the key: one voice each, the last word wins.
    author = models.CharField(max_length=200)
    rating = models.CharField(max_length=4, choices=Rating.choices)
    comment = models.TextField(blank=True)
    corrected_sql = models.TextField("corrected SQL", blank=True)
    # What keeps the corrected SQL from running (text2sql/pipeline/finding.py), as it was given.
    finding = models.JSONField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW)
    review_note = models.TextField(blank=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    example = models.ForeignKey(Example, null=True, blank=True, on_delete=models.SET_NULL, related_name="feedback")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField()

    objects = TenantQuerySet["Feedback"].as_manager()

    class Meta:
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["generation", "author"], name="one_feedback_per_generation_and_author")
        ]
        indexes = [
            models.Index(fields=["state", "-updated_at"]),
            models.Index(fields=["-updated_at", "-id"], name="feedback_newest"),
            # What waits for one team's lead, however much waits for others.
            models.Index(fields=["generation"], condition=Q(state="new"), name="feedback_waiting"),
        ]
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return f"{self.rating} by {self.author}"
