from decimal import Decimal

from django.db import models

from teams.access import TenantQuerySet
from teams.models.budgets import UsdField
from teams.models.teams import Team


class BudgetCheck(models.Model):
    """One round of the scheduled check of budgets against Langfuse's costs."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    calls = models.PositiveSmallIntegerField("questions to Langfuse", default=0)
    windows = models.PositiveIntegerField("windows checked", default=0)
    # Days whose figures are left for later rounds: no more questions might be asked in this one.
    days_left = models.PositiveIntegerField(default=0)
    # Why Langfuse's figures could not be read; the gate then goes on with our ledger.
    error = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["-started_at"])]
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} UTC"


class LangfuseDay(models.Model):
    """What Langfuse says one of its users has cost on one local day, beside our ledger, as last read.

    The day is the half-open span from `starts_at` to `ends_at`. A user without a team of that slug, and what has no
    user at all (an empty `user_id`), are shown and counted nowhere.
    """

    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="langfuse_days")
    user_id = models.CharField(max_length=200, blank=True)
    day = models.DateField()
    time_zone = models.CharField(max_length=64)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ours_usd = UsdField("ours in Langfuse", default=Decimal(0))
    external_usd = UsdField("external", default=Decimal(0))
    # Tokens that Langfuse has no price for: a model that it does not know.
    unpriced_tokens = models.PositiveBigIntegerField(default=0)
    ledger_usd = UsdField("our ledger", default=Decimal(0))
    # Langfuse's figure for ours minus the ledger's, beyond what its lag explains.
    drift_usd = UsdField("drift", default=Decimal(0))
    # Since when it is more than a cent and 1 % of the larger figure.
    drift_since = models.DateTimeField(null=True)
    read_at = models.DateTimeField()

    objects = TenantQuerySet["LangfuseDay"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "starts_at", "ends_at"], name="one_langfuse_day_per_user_and_span"
            )
        ]
        indexes = [models.Index(fields=["starts_at", "ends_at"])]
        ordering = ["-starts_at", "user_id"]

    def __str__(self) -> str:
        return f"{self.user_id or 'nobody'} on {self.day}"
