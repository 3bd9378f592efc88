"""Windows: the periods of a budget, each a row keyed by its start by the clock that held when it was opened."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet, Sum

from teams.models import Budget, BudgetWindow, Charge, LangfuseDay, Reservation

UTC = ZoneInfo("UTC")


def window_bounds(period: str, zone: ZoneInfo, at: datetime) -> tuple[datetime, datetime]:
    """Start (inclusive) and end (exclusive) of the period that holds `at`, by the clock of `zone`; weeks from Monday.

    Each end is computed as the next start, so windows never overlap or leave a gap, whatever daylight saving does.
    """
    first = at.astimezone(zone).date()
    match period:
        case Budget.Period.DAY:
            following = first + timedelta(days=1)
        case Budget.Period.WEEK:
            first -= timedelta(days=first.weekday())
            following = first + timedelta(days=7)
        case Budget.Period.MONTH:
            first = first.replace(day=1)
            following = (first + timedelta(days=31)).replace(day=1)
        case _:
            raise ValueError(f"unknown period {period!r}")
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, following))
    return start, end


def budgets_applying(*, team_id: str, api_key_id: UUID | None) -> QuerySet[Budget]:
    """The budgets that a question of this team with this key falls under, the organisation's first."""
    whose = Q(team=None) | Q(team=team_id, api_key=None)
    if api_key_id is not None:
        whose |= Q(team=team_id, api_key=api_key_id)
    return Budget.objects.filter(whose).select_related("team", "api_key").order_by("pk")


def budget_zone(budget: Budget) -> ZoneInfo:
    """The clock of a budget's periods: its team's, or the organisation's."""
    return ZoneInfo(settings.ORGANISATION_TIME_ZONE) if budget.team is None else budget.team.time_zone


def windows_open(budgets: Iterable[Budget], *, at: datetime) -> list[BudgetWindow]:
    """The windows of these budgets that hold this moment, opened where they are not yet."""
    windows = []
    for budget in budgets:
        with suppress(Budget.DoesNotExist):  # deleted since
            windows.append(window_open(budget=budget, at=at))
    return windows


def window_open(*, budget: Budget, at: datetime) -> BudgetWindow:
    """The budget's window that holds this moment, opened where it is not yet.

    A running window keeps its end, even where the team has moved to another time zone; the next one begins where it
    ended and ends by the new clock. A new window begins with what was charged, and with what is held, since its
    period began: a budget that is made at noon, or anew, counts the whole day.

    Raises:
        Budget.DoesNotExist: It was deleted since.
    """
    window = _window_at(budget, at)
    if window is None:
        with transaction.atomic():
            window = _window_create(budget, at)
    window.budget = budget
    return window


def _window_at(budget: Budget, at: datetime) -> BudgetWindow | None:
    return BudgetWindow.objects.filter(budget=budget, starts_at__lte=at, ends_at__gt=at).first()


def _window_create(budget: Budget, at: datetime) -> BudgetWindow:
    # One at a time: two hosts that disagree about the zone for a moment must not make two windows that overlap.
    locked = Budget.objects.select_for_update(of=["self"], no_key=True).select_related("team").get(pk=budget.pk)
    if window := _window_at(budget, at):
        return window
    zone = budget_zone(locked)
    counts_from, end = window_bounds(locked.period, zone, at)
    around = BudgetWindow.objects.filter(budget=budget)
    before = around.filter(ends_at__lte=at, ends_at__gt=counts_from).order_by("-ends_at").first()
    after = around.filter(starts_at__gt=at, starts_at__lt=end).order_by("starts_at").first()
    window = BudgetWindow.objects.create(
        budget=budget,
        starts_at=before.ends_at if before else counts_from,
        ends_at=after.starts_at if after else end,
        counts_from=counts_from,
        time_zone=zone.key,
        external_usd=_external(locked, counts_from, end),
    )
    window.budget = locked
    _adopt(window)
    window.refresh_from_db(fields=["reserved_usd"])
    window_recount(window)
    return window


def _adopt(window: BudgetWindow) -> None:
    """Hold in a new window what running questions of its period hold; waits for those that are settling just now."""
    held = _of_budget(Reservation.objects.filter(**_span("created_at", window)), window.budget)
    with connection.cursor() as cursor:
        ids = list(held.order_by("attempt_id").values_list("attempt_id", flat=True))
        cursor.execute(
            """
            WITH adopted AS (
                UPDATE teams_reservation SET window_ids = window_ids || %(window)s::bigint
                WHERE attempt_id = ANY(%(ids)s) AND NOT window_ids @> ARRAY[%(window)s::bigint]
                RETURNING amount_usd
            )
            UPDATE teams_budgetwindow
            SET reserved_usd = reserved_usd + (SELECT coalesce(sum(amount_usd), 0) FROM adopted)
            WHERE id = %(window)s
            """,
            {"window": window.pk, "ids": ids},
        )


def window_recount(window: BudgetWindow) -> Decimal:
    """Set what a window has spent to the sum of its charges, and return by how much it was off (0 as a rule).

    Whoever settles in this window locks it first: after our lock, every charge counted in it is seen.
    """
    with transaction.atomic():
        locked = BudgetWindow.objects.select_for_update().filter(pk=window.pk).order_by("pk")
        known = locked.values_list("spent_usd", flat=True).first()
        if known is None:
            return Decimal(0)
        charges = _of_budget(Charge.objects.filter(**_span("started_at", window)), window.budget)
        spent = charges.aggregate(sum=Sum("cost_usd"))["sum"] or Decimal(0)
        if spent != known:
            BudgetWindow.objects.filter(pk=window.pk).update(spent_usd=spent)
    window.spent_usd = spent
    return spent - known


def _span(field: str, window: BudgetWindow) -> dict[str, datetime]:
    return {f"{field}__gte": window.counts_from, f"{field}__lt": window.ends_at}


Ledger = TypeVar("Ledger", Charge, Reservation)


def _of_budget(rows: QuerySet[Ledger], budget: Budget) -> QuerySet[Ledger]:
    if budget.team_id is None:
        return rows
    rows = rows.filter(team=budget.team_id)
    return rows if budget.api_key_id is None else rows.filter(api_key_id=budget.api_key_id)


def window_external(window: BudgetWindow) -> Decimal:
    """What the window's teams have spent outside the platform, by the days that were read from Langfuse.

    It cannot be told apart by key, so a key's budget has none.
    """
    return _external(window.budget, window.counts_from, window.ends_at)


def _external(budget: Budget, start: datetime, end: datetime) -> Decimal:
    if budget.api_key_id is not None:
        return Decimal(0)
    days = LangfuseDay.objects.filter(starts_at__gte=start, starts_at__lt=end).exclude(team=None)
    if budget.team_id is not None:
        days = days.filter(team=budget.team_id)
    total, counted_until = Decimal(0), dict[str, datetime]()
    for team_id, starts_at, ends_at, spent in days.order_by("starts_at", "ends_at").values_list(
        "team_id", "starts_at", "ends_at", "external_usd"
    ):
        # A team that has moved to another time zone has days by both clocks: no moment is counted twice.
        if starts_at >= counted_until.get(team_id, starts_at):
            counted_until[team_id] = ends_at
            total += spent
    return total
