import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from teams.access import TenantQuerySet
from text2sql.models.databases import DatabaseAccess
from text2sql.models.evaluations import EvaluationRun


class EvaluationPlan(models.Model):
    """That a team's approved examples of a database are asked again every so often; people are told of a drop."""

    team_path = "access__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    access = models.OneToOneField(DatabaseAccess, on_delete=models.CASCADE, related_name="evaluation_plan")
    enabled = models.BooleanField(default=False)
    every_days = models.PositiveIntegerField(
        "every so many days", default=7, validators=[MinValueValidator(1), MaxValueValidator(365)]
    )
    question_limit = models.PositiveIntegerField(
        "questions at most", default=50, validators=[MinValueValidator(1), MaxValueValidator(5000)],
        help_text="The team pays for each as for any other question.",
    )  # fmt: skip
    drop_points = models.PositiveIntegerField(
        "tell of a drop of", default=5, validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Percentage points of accuracy below the run before.",
    )  # fmt: skip
    run = models.ForeignKey(
        EvaluationRun, null=True, on_delete=models.SET_NULL, related_name="+", editable=False,
        help_text="The newest, which may still be at work.",
    )  # fmt: skip
    next_run_at = models.DateTimeField(null=True, editable=False)
    # Held by the worker that looks after it.
    claimed_until = models.DateTimeField(null=True, editable=False)
    problem = models.TextField(blank=True, editable=False, help_text="Why the last one could not be begun.")

    objects = TenantQuerySet["EvaluationPlan"].as_manager()

    class Meta:
        ordering = ["access"]

    def __str__(self) -> str:
        return f"{self.access}, every {self.every_days} days"
