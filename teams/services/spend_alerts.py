"""What people are told of spending before a limit is reached: forecasts, odd hours, estimates nobody has looked at."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median

from django.db import connection
from django.db.models import Count, Q, Sum

from observability.models import Alert
from observability.services.alerts import alert_raise
from teams.models import Budget, Charge, Team
from teams.services.budget_alerts import budget_tell, recipients
from teams.services.standings import Standing, budget_standings
from teams.services.windows import budget_zone, windows_open

HOUR = timedelta(hours=1)
ODD_FROM = Decimal(1)
"""USD that an hour must have cost to be worth a word."""
ODD_FACTOR = 4
MEDIAN_DAYS = 14
LEAST_DAYS = 3
"""Days of history below which no hour is called odd."""


def spend_alerts_raise(now: datetime) -> int:
    """Raise what is to be told now and was not told before; returns how many alerts were raised.

    Call it outside a transaction: each alert is then a transaction of its own, whose locks are held for a moment.
    """
    return sum(_forecasts(now)) + sum(_odd_hours(now)) + sum(_estimates(now))


def _forecasts(now: datetime) -> Iterator[bool]:
    """Once per window, where the money is not spent already."""
    live = list(Budget.objects.filter(Q(team=None) | Q(team__active=True)).select_related("team", "api_key"))
    windows_open(live, at=now)  # else a budget that nobody has asked under yet seems to have spent nothing
    for standing in budget_standings(live, now=now):
        if standing.forecast and standing.window.used_usd < standing.limit_usd < standing.forecast.total_usd:
            yield _forecast_tell(standing)


def _forecast_tell(standing: Standing) -> bool:
    budget, window, foretold = standing.budget, standing.window, standing.forecast
    if foretold is None:
        return False
    zone = budget_zone(budget)
    subject = f"{budget.scope_name}: this {budget.period}'s budget will probably not last"
    body = (
        f"{budget.scope_name} has spent {window.used_usd:.4f} of {standing.limit_usd:.4f} USD of this"
        f" {budget.period}'s budget. By what the same weekdays have cost, it will be {foretold.total_usd:.4f} USD.\n"
    )
    if foretold.ends_at is not None:
        body += f"The money will end about {foretold.ends_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key}).\n"
    key = f"{window.starts_at:%Y%m%dT%H%M%SZ}:forecast"
    return budget_tell(budget, key, "forecast", Alert.Level.WARNING, subject, body)


def _odd_hours(now: datetime) -> Iterator[bool]:
    """Each team's last finished hour by its own clock, beside the same hour of the days before; once per hour."""
    teams = {team.pk: team for team in Team.objects.filter(active=True).order_by("pk")}
    starts = {team.pk: _finished_hour(team, now) for team in teams.values()}
    for team, cost in sorted(_hour_costs(starts).items()):
        if cost <= ODD_FROM:
            continue
        before = _same_hours(teams[team], starts[team])
        if len(before) >= LEAST_DAYS and cost > median(before) * ODD_FACTOR:
            yield _odd_hour_tell(teams[team], starts[team], cost, median(before))


def _finished_hour(team: Team, now: datetime) -> datetime:
    local = (now - HOUR).astimezone(team.time_zone)
    since_full = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return now - HOUR - since_full


def _hour_costs(starts: Mapping[str, datetime]) -> dict[str, Decimal]:
    """One query for each offset of clocks from the full hour: two or three in all the world."""
    by_start: dict[datetime, list[str]] = defaultdict(list)
    for team, start in starts.items():
        by_start[start].append(team)
    costs: dict[str, Decimal] = {}
    for start, teams in by_start.items():
        charges = Charge.objects.filter(team__in=teams, started_at__gte=start, started_at__lt=start + HOUR).order_by()
        costs |= dict(charges.values_list("team").annotate(cost=Sum("cost_usd")))
    return costs


def _same_hours(team: Team, start: datetime) -> list[Decimal]:
    """What the same hour by the team's clock cost on each of the 14 days before, as far back as the team has spent."""
    local = start.astimezone(team.time_zone)
    by_day = _hour_by_day(team, local)
    days_back = (local.date() - min(by_day)).days if by_day else 0
    return [by_day.get(local.date() - timedelta(days=back), Decimal(0)) for back in range(1, days_back + 1)]


def _hour_by_day(team: Team, local: datetime) -> dict[date, Decimal]:
    """Every day of the fourteen on which the team has spent anything, with what this hour of it cost."""
    first = local.date() - timedelta(days=MEDIAN_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (started_at AT TIME ZONE %(zone)s)::date AS day,
                coalesce(
                    sum(cost_usd) FILTER (WHERE extract(hour FROM started_at AT TIME ZONE %(zone)s) = %(hour)s), 0
                )
            FROM teams_charge
            WHERE team_id = %(team)s AND started_at >= %(first)s::timestamp AT TIME ZONE %(zone)s
                AND started_at < %(today)s::timestamp AT TIME ZONE %(zone)s
            GROUP BY 1
            """,
            {
                "team": team.pk, "zone": team.time_zone.key, "hour": local.hour, "first": first, "today": local.date(),
            },
        )  # fmt: skip
        return dict(cursor.fetchall())


def _odd_hour_tell(team: Team, start: datetime, cost: Decimal, usual: Decimal) -> bool:
    local = start.astimezone(team.time_zone)
    raised = alert_raise(
        key=f"anomaly:{team.pk}:{start:%Y%m%dT%H%MZ}",
        kind="anomaly",
        scope=team.pk,
        level=Alert.Level.WARNING,
        subject=f"{team.name}: an hour cost {cost:.2f} USD, far more than usual",
        body=(
            f"{team.name} has spent {cost:.4f} USD in the hour from {local:%Y-%m-%d %H:%M} ({team.time_zone.key})."
            f" At this hour it is {usual:.4f} USD as a rule (median of up to {MEDIAN_DAYS} days).\n"
            "The team's page Spending tells which key, database and end user it was.\n"
        ),
        recipients=recipients(team.pk),
    )
    return raised is not None


def _estimates(now: datetime) -> Iterator[bool]:
    """Charges of the last day whose bill was never told; once per team and day."""
    open_ones = Charge.objects.filter(
        estimated=True, corrected_at=None, charged_at__gt=now - timedelta(days=1), charged_at__lte=now
    )
    by_team = {
        row["team"]: (row["count"], row["sum"])
        for row in open_ones.order_by().values("team").annotate(count=Count("pk"), sum=Sum("cost_usd"))
    }
    for team in Team.objects.filter(pk__in=by_team).order_by("pk"):
        yield _estimates_tell(team, now.astimezone(team.time_zone).date(), *by_team[team.pk])


def _estimates_tell(team: Team, day: date, count: int, total: Decimal) -> bool:
    charges = "1 charge is" if count == 1 else f"{count} charges are"
    raised = alert_raise(
        key=f"estimated:{team.pk}:{day:%Y%m%d}",
        kind="estimated",
        scope=team.pk,
        level=Alert.Level.INFO,
        subject=f"{team.name}: {charges} estimated",
        body=(
            f"{charges} estimated in the last 24 hours, {total:.4f} USD in all: Claude never told the bill, so its"
            " upper bound was booked.\nAn admin can correct them under Charges, estimated.\n"
        ),
        recipients=recipients(team.pk),
    )
    return raised is not None
