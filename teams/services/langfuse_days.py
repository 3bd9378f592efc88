"""Langfuse's figures by local day: which days the windows cover, one day read and stored beside our ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Max, QuerySet, Sum

from observability.services.costs import LangfuseCosts, Questions, costs_read, unpriced_read
from observability.services.deliveries import connection_release
from observability.services.sightings import traces_look_again
from teams.models import Budget, BudgetWindow, LangfuseDay, Team
from teams.services.drift import Ledger, drift_of, is_drifting, ledgers_of
from teams.services.windows import window_bounds

TAG = "text2sql"
"""What marks an observation in Langfuse as ours."""
FINAL_AFTER = timedelta(hours=1)
"""So long after its end nothing of a day is on its way any more."""
REREAD = timedelta(days=1)
"""For so long a finished day that drifts is read again, in case what was lost has been sent again."""
QUESTIONS_PER_DAY = 2
"""What a day takes as a rule: ours and external. What has no price takes two more, once, where they may be asked."""


@dataclass(frozen=True, slots=True)
class Day:
    """A whole local day. Zones whose day has the same bounds share it."""

    starts_at: datetime
    ends_at: datetime
    time_zone: str
    teams: set[str] = field(default_factory=set, compare=False)
    """Whose windows cover it; with `everyone` the organisation's do."""
    everyone: bool = field(default=False, compare=False)
    drifts: bool = field(default=False, compare=False)
    read_at: datetime | None = field(default=None, compare=False)

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        return self.starts_at, self.ends_at

    @property
    def is_due(self) -> bool:
        return self.drifts or self.read_at is None or self.read_at < self.ends_at + FINAL_AFTER


def window_days(window: BudgetWindow, *, now: datetime) -> list[tuple[datetime, datetime]]:
    """The local days that a window counts, each half-open, until the one that holds `now`."""
    zone = ZoneInfo(window.time_zone)
    day = window.counts_from.astimezone(zone).date()
    days: list[tuple[datetime, datetime]] = []
    while True:
        # At noon: midnight itself may be skipped by the clock.
        bounds = window_bounds(Budget.Period.DAY, zone, datetime.combine(day, time(12), zone))
        if bounds[0] > now or bounds[0] >= window.ends_at:
            return days
        if bounds[0] >= window.counts_from:
            days.append(bounds)
        day += timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DaySums:
    """USD over the days of a window."""

    ours_usd: Decimal
    ledger_usd: Decimal
    drift_usd: Decimal


def window_sums(window: BudgetWindow, *, now: datetime) -> DaySums | None:
    """Langfuse's figure for ours beside our ledger over a window's days; None for a key's budget, or before it is read.

    The ledger is as it was when Langfuse was asked.
    """
    days = window_days(window, now=now)
    if window.budget.api_key_id is not None or not _read_at(days):
        return None
    rows = LangfuseDay.objects.filter(starts_at__in=[start for start, _ in days], ends_at__in=[end for _, end in days])
    rows = rows.exclude(team=None) if window.budget.team_id is None else rows.filter(team=window.budget.team_id)
    zero = Decimal(0)
    sums = rows.aggregate(
        ours_usd=Sum("ours_usd", default=zero), ledger_usd=Sum("ledger_usd", default=zero),
        drift_usd=Sum("drift_usd", default=zero),
    )  # fmt: skip
    return DaySums(**sums)


def days_covered(windows: Iterable[BudgetWindow], *, now: datetime) -> list[Day]:
    """The distinct days that these windows count, and those that drift, with when they were last read."""
    zones: dict[tuple[datetime, datetime], str] = {}
    teams: dict[tuple[datetime, datetime], set[str | None]] = {}
    drifts: set[tuple[datetime, datetime]] = set()
    for window in windows:
        for bounds in window_days(window, now=now):
            zones.setdefault(bounds, window.time_zone)
            teams.setdefault(bounds, set()).add(window.budget.team_id)
    drifting = LangfuseDay.objects.filter(drift_since__gt=now - REREAD).exclude(team=None)
    for start, end, zone, team_id in drifting.values_list("starts_at", "ends_at", "time_zone", "team_id"):
        drifts.add((start, end))
        zones.setdefault((start, end), zone)
        teams.setdefault((start, end), set()).add(team_id)
    read = _read_at(zones)
    return [
        Day(
            *bounds,
            zone,
            {team for team in teams[bounds] if team},
            None in teams[bounds],
            bounds in drifts,
            read.get(bounds),
        )
        for bounds, zone in zones.items()
    ]


def _read_at(bounds: Iterable[tuple[datetime, datetime]]) -> dict[tuple[datetime, datetime], datetime]:
    """Each reading leaves at least the row of nobody's."""
    starts = {start for start, _ in bounds}
    rows = LangfuseDay.objects.filter(user_id="", starts_at__in=starts).values_list("starts_at", "ends_at")
    return {(start, end): at for start, end, at in rows.annotate(at=Max("read_at"))}


def days_due(days: Sequence[Day], *, now: datetime) -> list[Day]:
    """What is to be read, the most urgent first.

    Days that are over and are read for the last time, then the running ones, read longest ago first, then the past,
    newest first. One day of the past comes second, so that many clocks do not keep it from ever being read.
    """
    due = [day for day in days if day.is_due]
    running = [day for day in due if day.ends_at + FINAL_AFTER > now]
    running.sort(key=lambda day: (day.read_at is not None, day.read_at or day.starts_at, day.bounds))
    over = sorted((day for day in due if day.ends_at + FINAL_AFTER <= now), key=lambda day: day.bounds, reverse=True)
    closing = [day for day in over if day.read_at and not day.drifts]
    past = [day for day in over if not day.read_at or day.drifts]
    return [*closing, *running[:1], *past[:1], *running[1:], *past[1:]]


def day_read(day: Day, *, users: Sequence[str], questions: Questions, since: datetime | None, now: datetime) -> None:
    """Ask Langfuse for one day and store what it says. No connection is held meanwhile.

    `since`: when the oldest trace began; what was charged before is missed by nobody. Raises LangfuseUnavailable,
    and then nothing is stored.
    """
    connection_release()
    starts_at, ends_at = day.bounds
    ours = costs_read(starts_at=starts_at, ends_at=ends_at, tags=[TAG], users=users, questions=questions)
    external = costs_read(starts_at=starts_at, ends_at=ends_at, tags_not=[TAG], users=users, questions=questions)
    # Whoever has used a model with a price as well is seen only by models, once the day is over.
    unpriced = {user: tokens for user, tokens in external.tokens.items() if not external.by_user[user]}
    if now >= ends_at + FINAL_AFTER and any(external.tokens.values()) and questions.left >= QUESTIONS_PER_DAY:
        unpriced |= unpriced_read(starts_at=starts_at, ends_at=ends_at, tags_not=[TAG], questions=questions)
    _store(day, _Reading(ours, external, unpriced), since=since, now=now)


@dataclass(frozen=True, slots=True)
class _Reading:
    ours: LangfuseCosts
    external: LangfuseCosts
    unpriced: Mapping[str, int]

    def users(self) -> set[str]:
        """Everybody of whom it tells something but zeros."""
        told = (self.ours.by_user, self.external.by_user, self.unpriced)
        return {user for figures in told for user, figure in figures.items() if figure}


@transaction.atomic
def _store(day: Day, reading: _Reading, *, since: datetime | None, now: datetime) -> None:
    known = {row.user_id: row for row in _rows_of(day).select_for_update(of=["self"]).order_by("user_id")}
    ledgers = ledgers_of(day.starts_at, day.ends_at, since=since, now=now)
    teams = set(Team.objects.values_list("pk", flat=True))
    concerned = {team for team in ledgers if day.everyone or team in day.teams}
    users = {user for user in reading.users() if user not in teams or day.everyone or user in day.teams}
    rows = [
        _row(day, user[:200], reading, user in teams, ledgers.get(user, Ledger()), known.get(user), now)
        for user in sorted({"", *users, *concerned, *known})
    ]
    # Two rounds at once: what was asked later stands.
    rows = [row for row in rows if row.user_id not in known or known[row.user_id].read_at <= now]
    LangfuseDay.objects.bulk_create(
        {row.user_id: row for row in rows}.values(),
        update_conflicts=True,
        unique_fields=["user_id", "starts_at", "ends_at"],
        update_fields=[
            "ours_usd", "external_usd", "unpriced_tokens", "ledger_usd", "drift_usd", "drift_since", "read_at"
        ],
    )  # fmt: skip
    for row in rows:
        if row.drift_since == now and row.drift_usd < 0:
            traces_look_again(user_id=row.user_id, starts_at=day.starts_at, ends_at=day.ends_at)


def _row(
    day: Day, user: str, reading: _Reading, is_team: bool, ledger: Ledger, old: LangfuseDay | None, now: datetime
) -> LangfuseDay:
    row = LangfuseDay(
        team_id=user if is_team else None,
        user_id=user.replace("\x00", "\ufffd"),
        day=day.starts_at.astimezone(ZoneInfo(day.time_zone)).date(),
        time_zone=day.time_zone,
        starts_at=day.starts_at,
        ends_at=day.ends_at,
        ours_usd=reading.ours.by_user.get(user, Decimal(0)),
        # Whoever writes a negative cost does not get more to spend.
        external_usd=max(reading.external.by_user.get(user, Decimal(0)), Decimal(0)),
        unpriced_tokens=max(reading.unpriced.get(user, 0), 0),
        ledger_usd=ledger.usd,
        read_at=now,
    )
    if is_team:
        row.drift_usd = drift_of(row.ours_usd, ledger)
        if is_drifting(row):
            row.drift_since = (old and old.drift_since) or now
    return row


def _rows_of(day: Day) -> QuerySet[LangfuseDay]:
    return LangfuseDay.objects.filter(starts_at=day.starts_at, ends_at=day.ends_at)
