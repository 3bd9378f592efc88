"""The gate: reserve the worst case, call, settle the true cost; each is one statement in the caller's transaction."""

from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Sum

from observability.services.prices import TokenUsage
from teams.models import Budget, BudgetWindow, Charge, Team


@dataclass
class BudgetExceeded(Exception):
    """The team's money does not allow this call."""

    reason: str
    """`budget_exhausted`, `in_flight` (other questions hold the rest) or `request_too_expensive`."""
    period: str
    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    needed_usd: Decimal
    resets_at: datetime

    def __str__(self) -> str:
        sentences = {
            "budget_exhausted": "The budget of this {period} is spent.",
            "in_flight": "The rest of this {period}'s budget is held by running questions; try again shortly.",
            "request_too_expensive": "This question could cost more than the whole budget of a {period}.",
        }
        return sentences[self.reason].format(period=self.period)


def window_bounds(period: str, zone: ZoneInfo, at: datetime) -> tuple[datetime, datetime]:
    """Start (inclusive) and end (exclusive) of the period that holds `at`, by the clock of `zone`.

    Each end is computed as the next start, so windows never overlap or leave a gap, whatever daylight saving does.
    """
    if period != Budget.Period.DAY:
        raise ValueError(f"unknown period {period!r}")
    today = at.astimezone(zone).date()
    start, end = (
        datetime.combine(day, time(), zone).astimezone(ZoneInfo("UTC")) for day in (today, today + timedelta(days=1))
    )
    return start, end


def windows_open(*, team: Team, at: datetime) -> list[BudgetWindow]:
    """The team's windows that hold this moment, made where they do not exist yet."""
    budgets = Budget.objects.filter(team=team).order_by("pk")
    return [window_open(budget=budget, zone=team.time_zone, at=at) for budget in budgets]


def window_open(*, budget: Budget, zone: ZoneInfo, at: datetime) -> BudgetWindow:
    """The budget's window that holds this moment.

    A new one begins with what the team was already charged in it: a budget that is set at noon, or anew, or whose team
    moves to another time zone, counts the whole day.
    """
    start, end = window_bounds(budget.period, zone, at)
    window = BudgetWindow.objects.filter(budget=budget, starts_at=start).first()
    if window is None:
        charges = Charge.objects.filter(team=budget.team_id, charged_at__gte=start, charged_at__lt=end)
        spent = charges.aggregate(sum=Sum("cost_usd"))["sum"] or Decimal(0)
        opened = {"ends_at": end, "spent_usd": spent}
        window, _ = BudgetWindow.objects.get_or_create(budget=budget, starts_at=start, defaults=opened)
    window.budget = budget
    return window


def budget_reserve(
    *, attempt_id: UUID, generation_id: UUID, team: Team, amount: Decimal, now: datetime, expires_at: datetime
) -> None:
    """Hold `amount` in every window that applies, or in none.

    Raises:
        BudgetExceeded: At least one window has too little left.
    """
    windows = windows_open(team=team, at=now)
    ids = sorted(window.pk for window in windows)
    values: dict[str, Any] = {
        "windows": ids, "amount": amount, "attempt": attempt_id, "generation": generation_id,
        "team": team.pk, "now": now, "expires": expires_at,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, values)
        columns = [column.name for column in cursor.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    if not rows[0]["granted"]:
        raise _refusal(rows, amount)


def charge_settle(
    *,
    attempt_id: UUID,
    model: str,
    database: str,
    api_key_id: UUID | None,
    usage: TokenUsage,
    cost: Decimal | None,
    estimated: bool = False,
    now: datetime,
) -> Decimal | None:
    """Turn a reservation into a charge in the windows that held it, and give the rest back.

    `cost` None books the whole reservation: the bill will never be known, so its upper bound stands (give `estimated`).
    Settling twice changes nothing. Returns what was charged, None where there was no reservation any more.
    """
    tokens = {k: v for k, v in asdict(usage).items() if k != "thinking"}
    values = {
        "attempt": attempt_id,
        "model": model,
        "database": database,
        "key": api_key_id,
        "cost": cost,
        "estimated": estimated,
        "now": now,
        **tokens,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, values)
        row = cursor.fetchone()
    return row[0] if row else None


# Windows are locked in the order of their ids, so that questions under several budgets cannot deadlock. Under READ
# COMMITTED a row that was waited for is read anew, so `locked` sees what the transaction before has booked.
_RESERVE = """
    WITH locked AS (
        SELECT w.id, w.spent_usd, w.reserved_usd, w.ends_at, b.limit_usd, b.period
        FROM teams_budgetwindow w JOIN teams_budget b ON b.id = w.budget_id
        WHERE w.id = ANY(%(windows)s)
        ORDER BY w.id FOR UPDATE OF w
    ), verdict AS (
        SELECT coalesce(bool_and(spent_usd + reserved_usd + %(amount)s <= limit_usd), true) AS granted FROM locked
    ), held AS (
        UPDATE teams_budgetwindow w SET reserved_usd = w.reserved_usd + %(amount)s
        FROM verdict WHERE verdict.granted AND w.id = ANY(%(windows)s)
    ), lease AS (
        INSERT INTO teams_reservation (
            attempt_id, generation_id, team_id, amount_usd, window_ids, created_at, expires_at
        )
        SELECT %(attempt)s, %(generation)s, %(team)s, %(amount)s, %(windows)s, %(now)s, %(expires)s
        FROM verdict WHERE verdict.granted
    )
    SELECT verdict.granted, locked.* FROM verdict LEFT JOIN locked ON true
"""

_SETTLE = """
    WITH lease AS (
        DELETE FROM teams_reservation WHERE attempt_id = %(attempt)s
        RETURNING *, coalesce(%(cost)s::numeric, amount_usd) AS cost_usd
    ), locked AS (
        SELECT w.id FROM teams_budgetwindow w, lease WHERE w.id = ANY(lease.window_ids) ORDER BY w.id FOR UPDATE OF w
    ), booked AS (
        UPDATE teams_budgetwindow w
        SET reserved_usd = w.reserved_usd - lease.amount_usd, spent_usd = w.spent_usd + lease.cost_usd
        FROM lease, locked WHERE w.id = locked.id
    )
    INSERT INTO teams_charge (
        id, attempt_id, generation_id, team_id, api_key_id, database, model, cost_usd, estimated, charged_at,
        input_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens
    )
    SELECT
        gen_random_uuid(), attempt_id, generation_id, team_id, %(key)s, %(database)s, %(model)s, cost_usd,
        %(estimated)s, %(now)s,
        %(input)s, %(cache_write_5m)s, %(cache_write_1h)s, %(cache_read)s, %(output)s
    FROM lease
    RETURNING cost_usd
"""


def _refusal(rows: list[dict[str, Any]], amount: Decimal) -> BudgetExceeded:
    tightest = min(rows, key=lambda row: row["limit_usd"] - row["spent_usd"] - row["reserved_usd"])
    if amount > tightest["limit_usd"]:
        reason = "request_too_expensive"
    elif tightest["spent_usd"] + amount <= tightest["limit_usd"]:
        reason = "in_flight"
    else:
        reason = "budget_exhausted"
    return BudgetExceeded(
        reason=reason,
        period=tightest["period"],
        limit_usd=tightest["limit_usd"],
        spent_usd=tightest["spent_usd"],
        reserved_usd=tightest["reserved_usd"],
        needed_usd=amount,
        resets_at=tightest["ends_at"],
    )
