"""What a window will have spent by its end, and when its money ends, by what the same weekdays have cost."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from teams.models import Budget, BudgetWindow, LangfuseDay
from teams.services.windows import budget_zone, window_bounds

WEEKS = 4
LEAST_DAYS = 3
"""Days of history below which nothing is foretold."""


@dataclass(frozen=True)
class Forecast:
    total_usd: Decimal
    """What the window will have spent by its end, external spend included."""
    ends_at: datetime | None
    """When the money ends by the same profile; None where it lasts."""


Scope = tuple[str | None, UUID | None]
"""Team and key, as a budget names them."""
Days = Mapping[date, Decimal]


def forecast(window: BudgetWindow, now: datetime) -> Forecast | None:
    """None with fewer than 3 days of history."""
    return forecasts([window], now=now).get(window.budget_id)


def forecasts(windows: Collection[BudgetWindow], *, now: datetime) -> dict[int, Forecast]:
    """The forecast of each window by its budget's id (so give one of each), without those that have too little history.

    Two queries, however many windows there are.
    """
    budgets = [window.budget for window in windows]
    days = _days(budgets, now) if budgets else {}
    found = {}
    for window in windows:
        zone = budget_zone(window.budget)
        spent = days.get((window.budget.team_id, window.budget.api_key_id), {})
        means = _weekday_means(spent, now.astimezone(zone).date())
        if means is not None:
            found[window.budget_id] = _foretell(window, means, zone, now)
    return found


def _foretell(window: BudgetWindow, means: list[Decimal], zone: ZoneInfo, now: datetime) -> Forecast:
    total, limit = window.used_usd, window.limit_usd
    ends_at = now if total >= limit else None
    for start, end, amount in _remaining(window, means, zone, now):
        if ends_at is None and total + amount > limit:
            ends_at = start + (end - start) * float((limit - total) / amount)
        total += amount
    return Forecast(total, ends_at)


def _remaining(
    window: BudgetWindow, means: list[Decimal], zone: ZoneInfo, now: datetime
) -> Iterator[tuple[datetime, datetime, Decimal]]:
    """The rest of the window by local days, of 23 to 25 hours, and what each is likely to cost."""
    start = max(now, window.starts_at)
    while start < window.ends_at:
        day_starts, day_ends = window_bounds(Budget.Period.DAY, zone, start)
        end = min(day_ends, window.ends_at)
        share = _microseconds(end - start) / _microseconds(day_ends - day_starts)
        yield start, end, means[start.astimezone(zone).weekday()] * share
        start = end


def _microseconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1))


def _weekday_means(days: Days, today: date) -> list[Decimal] | None:
    """What a Monday, a Tuesday … cost on the mean of the last four weeks, or since the first spend in them.

    A weekday that has not been yet costs what the days so far cost on the mean.
    """
    earliest = today - timedelta(weeks=WEEKS)
    known = [day for day, spent in days.items() if earliest <= day < today and spent]
    if not known or (today - min(known)).days < LEAST_DAYS:
        return None
    past = [today - timedelta(days=back) for back in range(1, (today - min(known)).days + 1)]
    overall = _mean(days, past)
    by_weekday = ([day for day in past if day.weekday() == weekday] for weekday in range(7))
    return [_mean(days, same) if same else overall for same in by_weekday]


def _mean(days: Days, of: Collection[date]) -> Decimal:
    return sum((days.get(day, Decimal(0)) for day in of), Decimal(0)) / len(of)


def _days(budgets: Iterable[Budget], now: datetime) -> dict[Scope, dict[date, Decimal]]:
    """What each scope has spent on each local day, by the clock of its budgets."""
    teams = {budget.team_id for budget in budgets}
    since = now - timedelta(weeks=WEEKS, days=2)
    days: dict[Scope, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for team, key, team_day, organisation_day, spent in _charged(teams, since, now):
        days[None, None][organisation_day] += spent
        days[team, None][team_day] += spent
        if key is not None:
            days[team, key][team_day] += spent
    for team, day, spent in _external(teams, since):
        days[None, None][day] += spent
        days[team, None][day] += spent
    return days


def _charged(
    teams: Collection[str | None], since: datetime, now: datetime
) -> list[tuple[str, UUID | None, date, date, Decimal]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.team_id, c.api_key_id, (c.started_at AT TIME ZONE t.time_zone)::date,
                (c.started_at AT TIME ZONE %(organisation)s)::date, sum(c.cost_usd)
            FROM teams_charge c JOIN teams_team t ON t.slug = c.team_id
            WHERE c.started_at >= %(since)s AND c.started_at < %(now)s AND (%(everyone)s OR c.team_id = ANY(%(teams)s))
            GROUP BY 1, 2, 3, 4
            """,
            {
                "organisation": settings.ORGANISATION_TIME_ZONE, "since": since, "now": now,
                "everyone": None in teams, "teams": [team for team in teams if team is not None],
            },
        )  # fmt: skip
        rows: list[tuple[str, UUID | None, date, date, Decimal]] = cursor.fetchall()
        return rows


def _external(teams: Collection[str | None], since: datetime) -> Iterator[tuple[str, date, Decimal]]:
    rows = LangfuseDay.objects.filter(starts_at__gte=since, external_usd__gt=0).exclude(team=None)
    if None not in teams:
        rows = rows.filter(team__in=teams)
    counted_until: dict[str, datetime] = {}
    for row in rows.order_by("starts_at", "ends_at"):
        team = str(row.team_id)
        # A team that has moved to another time zone has days by both clocks: no moment is counted twice.
        if row.starts_at >= counted_until.get(team, row.starts_at):
            counted_until[team] = row.ends_at
            yield team, row.day, row.external_usd
