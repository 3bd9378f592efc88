import uuid
from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from teams.access import TenantQuerySet
from teams.models.teams import Team


class UsdField(models.DecimalField[Any, Any]):
    """An amount of money: US dollars, 12 decimals, as fine as a single token's price."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = 20, 12
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        # Migrations see a plain DecimalField.
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DecimalField", args, kwargs


class Budget(models.Model):
    """A limit on what a team may spend in each period of its own clock."""

    class Period(models.TextChoices):
        DAY = "day", "Day"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="budgets")
    period = models.CharField(max_length=10, choices=Period.choices, default=Period.DAY)
    limit_usd = UsdField("limit in USD", validators=[MinValueValidator(Decimal(0))])
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet["Budget"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "period"], name="one_budget_per_team_and_period"),
            models.CheckConstraint(condition=Q(limit_usd__gte=0), name="budget_limit_not_negative"),
        ]
        ordering = ["team", "period"]

    def __str__(self) -> str:
        return f"{self.team_id}: {self.limit_usd.normalize():f} USD a {self.period}"


class BudgetWindow(models.Model):
    """One period of a budget, keyed by its start: a new period is a new row, nothing is ever reset."""

    team_path = "budget__team"

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="windows")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    spent_usd = UsdField("spent", default=Decimal(0))
    reserved_usd = UsdField("reserved", default=Decimal(0))

    objects = TenantQuerySet["BudgetWindow"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_at"], name="one_window_per_start"),
            models.CheckConstraint(condition=Q(reserved_usd__gte=0), name="window_reserved_not_negative"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="window_ends_after_start"),
        ]
        ordering = ["-starts_at", "budget"]

    def __str__(self) -> str:
        return f"{self.budget_id} from {self.starts_at:%Y-%m-%d %H:%M} UTC"


class Reservation(models.Model):
    """Money held for one Claude attempt until its true cost is known: a lease that outlives the question's deadline."""

    attempt_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation_id = models.UUIDField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="reservations")
    amount_usd = UsdField()
    # The windows in which the money is held, and in which the charge is booked though a new period may have begun.
    window_ids = ArrayField(models.BigIntegerField())
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = TenantQuerySet["Reservation"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["expires_at"]), models.Index(fields=["generation_id"])]

    def __str__(self) -> str:
        return f"{self.amount_usd} USD for attempt {self.attempt_id}"


class BudgetCheck(models.Model):
    """What Langfuse says a window has cost, beside our own sum, as read at one moment."""

    team_path = "window__budget__team"

    window = models.ForeignKey(BudgetWindow, on_delete=models.CASCADE, related_name="checks")
    ledger_usd = UsdField("ours")
    # Null where Langfuse could not be read or is not configured.
    langfuse_usd = UsdField("Langfuse's", null=True)
    error = models.TextField(blank=True)
    checked_at = models.DateTimeField()

    objects = TenantQuerySet["BudgetCheck"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["window", "-checked_at"])]
        ordering = ["-checked_at"]

    def __str__(self) -> str:
        return f"window {self.window_id} at {self.checked_at:%Y-%m-%d %H:%M} UTC"
