import uuid
from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.text import Truncator

from observability.models.deliveries import Delivery, DeliveryQuerySet
from teams.access import TenantQuerySet
from teams.models import ApiKey, Team
from teams.models.budgets import UsdField
from text2sql.models.databases import Database
from text2sql.models.generations import Generation


class EvaluationRun(models.Model):
    """Verified questions asked once more, by one model under one set of rules, and how many answers were right."""

    class Status(models.TextChoices):
        RUNNING = "running", "running"
        STOPPED = "stopped", "stopped"
        FINISHED = "finished", "finished"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    database = models.ForeignKey(Database, on_delete=models.PROTECT, related_name="evaluation_runs")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="evaluation_runs", help_text="Who pays.")
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name="API key",
        help_text="Whose budgets pay too.",
    )  # fmt: skip
    source = models.CharField(max_length=200, help_text="Where the questions are from: a file's name, or examples.")
    model = models.CharField(max_length=100)
    effort = models.CharField(max_length=10, blank=True)
    prompt_version = models.CharField(max_length=60)
    # The rules themselves: a run that goes on tomorrow goes on under them.
    rules = models.TextField()
    answered_by = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    stop_reason = models.TextField(blank=True)
    # Held by the process that works on it, a few seconds at a time.
    claimed_until = models.DateTimeField(null=True)

    question_count = models.PositiveIntegerField("questions")
    correct_count = models.PositiveIntegerField("correct", default=0)
    wrong_count = models.PositiveIntegerField("wrong", default=0)
    refused_count = models.PositiveIntegerField("refused", default=0)
    failed_count = models.PositiveIntegerField("failed", default=0)
    weak_count = models.PositiveIntegerField(
        "weak", default=0, help_text="Correct answers that prove little: no rows were expected."
    )
    accuracy = models.FloatField(null=True, help_text="Correct answers among all that were asked, from 0 to 1.")
    cost_usd = UsdField("cost", default=Decimal(0))
    latency_p50_ms = models.PositiveIntegerField("p50 (ms)", null=True)
    latency_p95_ms = models.PositiveIntegerField("p95 (ms)", null=True)
    created_at = models.DateTimeField("started")
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["EvaluationRun"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["database", "source", "-created_at"])]
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.source}, {self.model}, {self.created_at:%Y-%m-%d %H:%M} UTC"


class EvaluationItemQuerySet(  # type: ignore[override]  # the plugin types as_manager, and one for each base
    DeliveryQuerySet["EvaluationItem"], TenantQuerySet["EvaluationItem"]
):
    """Those of a team, and those that are due for Langfuse."""


class EvaluationItem(Delivery):
    """One question of a run. Delivered means that Langfuse's data set holds it and its outcome is on its way there."""

    class Outcome(models.TextChoices):
        CORRECT = "correct", "correct"
        WRONG = "wrong", "wrong"
        REFUSED = "refused", "refused"
        FAILED = "failed", "failed"

    team_path: ClassVar[str] = "run__team"

    run = models.ForeignKey(EvaluationRun, on_delete=models.CASCADE, related_name="items")
    number = models.PositiveIntegerField()
    question = models.TextField()
    gold = models.TextField("verified SQL", help_text="With all that is accepted besides, as it was given.")
    sql = models.TextField("SQL", blank=True)
    # Empty until it was asked.
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)
    why = models.TextField(blank=True, help_text="What makes it not correct.")
    is_weak = models.BooleanField("weak", default=False, help_text="No rows were expected, so it proves little.")
    generation = models.ForeignKey(Generation, null=True, on_delete=models.SET_NULL, related_name="+")
    trace_id = models.CharField(max_length=32, blank=True)
    cost_usd = UsdField("cost", default=Decimal(0))
    latency_ms = models.PositiveIntegerField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = EvaluationItemQuerySet.as_manager()  # type: ignore[misc]  # the stubs take an inherited manager for final

    class Meta(Delivery.Meta):
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=Q(state__in=["pending", "claimed"], outcome__in=["correct", "wrong", "refused"]),
                name="text2sql_evaluationitem_due",
            )
        ]
        constraints = [
            *Delivery.Meta.constraints,
            models.UniqueConstraint(fields=["run", "number"], name="text2sql_evaluationitem_one_per_number"),
        ]
        ordering = ["run", "number"]

    def __str__(self) -> str:
        return Truncator(self.question).chars(80)
