import uuid
from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models, transaction
from django.db.models import F, Q

from teams.access import TenantQuerySet
from teams.models.api_keys import ApiKey
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


def default_thresholds() -> list[int]:
    return [50, 80, 100]


class Budget(models.Model):
    """A limit on what a team, one of its keys or the whole organisation may spend in each period of its clock.

    All budgets that apply to a question hold together. Without a team it is the organisation's.
    """

    class Period(models.TextChoices):
        DAY = "day", "Day"
        WEEK = "week", "Week"
        MONTH = "month", "Month"

    class AtLimit(models.TextChoices):
        ALERT = "alert", "only tell people"
        DEGRADE = "degrade", "use the cheaper model, then cached answers only"
        BLOCK = "block", "refuse questions that are not cached"

    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets",
        help_text="Empty: the whole organisation.",
    )  # fmt: skip
    api_key = models.ForeignKey(
        ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets", verbose_name="API key",
        help_text="Only for what is asked with this key of the team.",
    )  # fmt: skip
    period = models.CharField(max_length=10, choices=Period.choices, default=Period.DAY)
    limit_usd = UsdField("limit in USD", validators=[MinValueValidator(Decimal(0))])
    at_limit = models.CharField("at the limit", max_length=10, choices=AtLimit.choices, default=AtLimit.BLOCK)
    degrade_from = models.PositiveSmallIntegerField(
        "cheaper from", default=90, validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Percent of the limit from which the cheaper model answers, without repairs, so that the rest "
        "lasts. Only where the cheaper model is chosen above.",
    )  # fmt: skip
    thresholds = ArrayField(
        models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(1000)]),
        default=default_thresholds, blank=True, verbose_name="warnings at",
        help_text="Percent of the limit, separated by commas.",
    )  # fmt: skip
    request_limit = models.PositiveIntegerField(
        "questions at most", null=True, blank=True, help_text="In each period; cached answers are not counted."
    )
    request_cap_usd = UsdField(
        "most for one call", null=True, blank=True, validators=[MinValueValidator(Decimal(0))],
        help_text="In USD: calls of Claude that could cost more are refused.",
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet["Budget"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "api_key", "period"], nulls_distinct=False, name="one_budget_per_scope_and_period"
            ),
            models.CheckConstraint(
                condition=Q(api_key=None) | Q(team__isnull=False), name="budget_of_a_key_names_its_team"
            ),
            models.CheckConstraint(condition=Q(limit_usd__gte=0), name="budget_limit_not_negative"),
            models.CheckConstraint(
                condition=Q(at_limit__in=["alert", "degrade", "block"]), name="budget_at_limit_known"
            ),
        ]
        ordering = [F("team_id").asc(nulls_first=True), F("api_key_id").asc(nulls_first=True), "period"]

    def __str__(self) -> str:
        return f"{self.scope_name}: {self.limit_usd.normalize():f} USD a {self.period}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new budget after the reservations that are being made, so that each is held in it.

        Those before it are found by the window that it opens, those after it find it: who makes a reservation takes
        its lock on the table first and looks for budgets then.
        """
        with transaction.atomic():
            if self._state.adding:
                with connection.cursor() as cursor:
                    cursor.execute("LOCK TABLE teams_reservation IN SHARE ROW EXCLUSIVE MODE")
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete with all windows, also with one that a question would open meanwhile: it waits, and finds none."""
        with transaction.atomic():
            Budget.objects.select_for_update().filter(pk=self.pk).first()
            return super().delete(*args, **kwargs)

    @property
    def scope(self) -> str:
        """`organisation`, `team` or `key`."""
        return "organisation" if self.team_id is None else "team" if self.api_key_id is None else "key"

    @property
    def scope_name(self) -> str:
        if self.team is None:
            return "Organisation"
        return self.team.name if self.api_key is None else f"{self.team.name}, {self.api_key.name}"

    def clean(self) -> None:
        if self.api_key is not None and self.api_key.team_id != self.team_id:
            raise ValidationError({"api_key": "This key belongs to another team."})
        self.thresholds = sorted(set(self.thresholds))


class BudgetWindow(models.Model):
    """One period of a budget, keyed by its start: a new period is a new row, nothing is ever reset."""

    team_path = "budget__team"

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="windows")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # The period's start by its clock. Earlier than starts_at where a change of time zone cut the window: what was
    # charged since then counts, so that no clock's period ever has two fresh limits.
    counts_from = models.DateTimeField()
    time_zone = models.CharField(max_length=64)
    spent_usd = UsdField("spent", default=Decimal(0))
    reserved_usd = UsdField("reserved", default=Decimal(0))
    external_usd = UsdField("external", default=Decimal(0))
    external_at = models.DateTimeField(null=True)
    top_up_usd = UsdField("top-up", default=Decimal(0))
    requests = models.PositiveIntegerField("questions", default=0)

    objects = TenantQuerySet["BudgetWindow"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_at"], name="one_window_per_start"),
            models.CheckConstraint(condition=Q(reserved_usd__gte=0), name="window_reserved_not_negative"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="window_ends_after_start"),
            models.CheckConstraint(condition=Q(counts_from__lte=F("starts_at")), name="window_counts_from_its_period"),
        ]
        ordering = ["-starts_at", "budget"]

    def __str__(self) -> str:
        return f"{self.budget_id} from {self.starts_at:%Y-%m-%d %H:%M} UTC"

    @property
    def limit_usd(self) -> Decimal:
        """The budget's limit and what was added to this window."""
        limit: Decimal = self.budget.limit_usd + self.top_up_usd
        return limit

    @property
    def used_usd(self) -> Decimal:
        """What counts against the limit: our own charges and the team's spend outside the platform."""
        used: Decimal = self.spent_usd + self.external_usd
        return used


class TopUp(models.Model):
    """Money added to one window, with its reason."""

    team_path = "window__budget__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    window = models.ForeignKey(BudgetWindow, on_delete=models.CASCADE, related_name="top_ups")
    amount_usd = UsdField("amount", validators=[MinValueValidator(Decimal("0.01"))])
    reason = models.CharField(max_length=200)
    actor = models.CharField(max_length=200, verbose_name="by")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet["TopUp"].as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.amount_usd.normalize():f} USD: {self.reason}"


class Reservation(models.Model):
    """Money held for one Claude attempt until its true cost is known: a lease that outlives the question's deadline."""

    attempt_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation_id = models.UUIDField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="reservations")
    api_key_id = models.UUIDField(null=True)
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
