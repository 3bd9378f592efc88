"""What a team has spent in a span of its own days: on what, by whom, beside what Langfuse says."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate

from teams.models import ApiKey, Budget, BudgetWindow, Charge, LangfuseDay, Team
from teams.models.budgets import UsdField
from teams.services.windows import window_bounds
from text2sql.models import Attempt
from text2sql.services.usage import money_text

TOKENS = ["input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens"]
PAST_WINDOWS = 31
END_USERS = 20
SPENT_BY = ["database", "model", "api_key_id", "end_user"]

CHARGE_COLUMNS = [
    "team", "time_zone", "day", "day_starts_at", "database", "model", "api_key", "end_user", "questions", "calls",
    "cached", "estimated", *TOKENS, "cost_usd",
]  # fmt: skip
"""Of the file for charge-back; a charge counts for the day on which its call began, as in the budgets."""


@dataclass(frozen=True)
class Span:
    """Days of a team's clock, both included."""

    team: Team
    first_day: date
    last_day: date

    @property
    def days(self) -> list[date]:
        return [self.first_day + timedelta(days=n) for n in range((self.last_day - self.first_day).days + 1)]

    def charges(self) -> QuerySet[Charge]:
        return Charge.objects.filter(team=self.team, **self._bounds("started_at")).order_by()

    def attempts(self) -> QuerySet[Attempt]:
        return Attempt.objects.filter(generation__team=self.team, **self._bounds("started_at"))

    def _bounds(self, field: str) -> dict[str, datetime]:
        zone = self.team.time_zone
        start = datetime.combine(self.first_day, time(), zone)
        end = datetime.combine(self.last_day + timedelta(days=1), time(), zone)
        return {f"{field}__gte": start, f"{field}__lt": end}


@dataclass(frozen=True)
class LangfuseFigures:
    """What Langfuse says of one day, as last read."""

    ours_usd: Decimal
    external_usd: Decimal
    drift_usd: Decimal
    unpriced_tokens: int
    read_at: datetime


@dataclass(frozen=True)
class DaySpending:
    day: date
    questions: int
    cost: Decimal
    langfuse: LangfuseFigures | None

    @property
    def external_usd(self) -> Decimal:
        return self.langfuse.external_usd if self.langfuse else Decimal(0)


@dataclass(frozen=True)
class Spending:
    """Sums of the ledger; rows of the groups are dicts with `name`, `questions`, `calls`, `cached`, `cost` and the
    five kinds of tokens, the dearest first."""

    total: dict[str, Any]
    by_day: list[DaySpending]
    groups: dict[str, list[dict[str, Any]]]
    """By each of SPENT_BY."""
    shrunk: int
    """Calls that were allowed fewer output tokens because money was short."""
    cut: int
    """Those of them whose answer was cut off by it."""


def spending_sum(span: Span) -> Spending:
    short = span.attempts().filter(is_shrunk=True).aggregate(
        shrunk=Count("pk"), cut=Count("pk", filter=Q(stop_reason="max_tokens"))
    )  # fmt: skip
    return Spending(
        total=span.charges().aggregate(**_sums()),
        by_day=_by_day(span),
        groups={name: spending_by(span, name) for name in SPENT_BY},
        **short,
    )


def spending_by(span: Span, name: str) -> list[dict[str, Any]]:
    """A row, as in Spending, for each value of one of SPENT_BY; of end users the dearest 20."""
    rows = span.charges().values(name).annotate(**_sums()).order_by("-cost", name)
    if name == "end_user":
        rows = rows[:END_USERS]
    if name == "api_key_id":
        keys = _key_names(span.team)
        return [{**row, "name": _key_name(keys, row[name])} for row in rows]
    return [{**row, "name": row[name]} for row in rows]


def month_costs(teams: Iterable[Team], *, now: datetime) -> dict[str, Decimal]:
    """What each team has spent since its month began; a query for each clock."""
    by_start: dict[datetime, list[str]] = defaultdict(list)
    for team in teams:
        start, _ = window_bounds(Budget.Period.MONTH, team.time_zone, now)
        by_start[start].append(team.pk)
    costs: dict[str, Decimal] = {}
    for start, ids in by_start.items():
        charges = Charge.objects.filter(team__in=ids, started_at__gte=start).order_by()
        costs |= dict(charges.values_list("team").annotate(cost=Sum("cost_usd")))
    return costs


def windows_past(team: Team, *, now: datetime) -> list[BudgetWindow]:
    """The team's latest finished windows with their budgets and top-ups, the newest first."""
    ended = BudgetWindow.objects.filter(budget__team=team, ends_at__lte=now)
    ended = ended.select_related("budget__team", "budget__api_key").prefetch_related("top_ups")
    return list(ended.order_by("-starts_at", "budget")[:PAST_WINDOWS])


def charge_rows(span: Span) -> Iterator[list[Any]]:
    """A row for each day, database, model, key and end user, in the order of CHARGE_COLUMNS; read as it is written."""
    keys, zone = _key_names(span.team), span.team.time_zone
    groups: Any = (
        span.charges().annotate(day=TruncDate("started_at", tzinfo=zone))
        .values("day", "database", "model", "api_key_id", "end_user").annotate(**_sums())
        .order_by("day", "database", "model", "api_key_id", "end_user")
    )  # fmt: skip
    for row in groups.iterator(chunk_size=1000):
        starts_at = datetime.combine(row["day"], time(), zone)
        yield [
            span.team.pk, zone.key, row["day"].isoformat(), starts_at.isoformat(), row["database"], row["model"],
            _key_name(keys, row["api_key_id"]), row["end_user"],
            *(row[name] for name in ["questions", "calls", "cached", "estimated", *TOKENS]), money_text(row["cost"]),
        ]  # fmt: skip


def _by_day(span: Span) -> list[DaySpending]:
    by_day = span.charges().annotate(day=TruncDate("started_at", tzinfo=span.team.time_zone)).values("day")
    ledger: dict[date, dict[str, Any]] = {row["day"]: dict(row) for row in by_day.annotate(**_sums())}
    langfuse = _langfuse(span)
    none: dict[str, Any] = {"questions": 0, "cost": Decimal(0)}
    found = ((day, ledger.get(day, none), langfuse.get(day)) for day in span.days)
    return [DaySpending(day, row["questions"], row["cost"], figures) for day, row, figures in found]


def _langfuse(span: Span) -> dict[date, LangfuseFigures]:
    rows = LangfuseDay.objects.filter(team=span.team, day__gte=span.first_day, day__lte=span.last_day)
    figures: dict[date, LangfuseFigures] = {}
    counted_until: datetime | None = None
    for row in rows.order_by("starts_at", "ends_at"):
        # A team that has moved to another time zone has days by both clocks: no moment is counted twice.
        if counted_until is not None and row.starts_at < counted_until:
            continue
        counted_until = row.ends_at
        before = figures.get(row.day, LangfuseFigures(Decimal(0), Decimal(0), Decimal(0), 0, row.read_at))
        figures[row.day] = LangfuseFigures(
            before.ours_usd + row.ours_usd,
            before.external_usd + row.external_usd,
            before.drift_usd + row.drift_usd,
            before.unpriced_tokens + row.unpriced_tokens,
            min(before.read_at, row.read_at),
        )
    return figures


def _sums() -> dict[str, Any]:
    return {
        "questions": Count("generation_id", distinct=True),
        "calls": Count("pk", filter=Q(cached=False)),
        "cached": Count("pk", filter=Q(cached=True)),
        "estimated": Count("pk", filter=Q(estimated=True)),
        "cost": Coalesce(Sum("cost_usd"), 0, output_field=UsdField()),
        **{name: Coalesce(Sum(name), 0) for name in TOKENS},
    }


def _key_names(team: Team) -> dict[UUID, str]:
    keys = ApiKey.objects.filter(team=team)
    return {key.pk: f"{key.name} (t2s_{key.prefix})" for key in keys}


def _key_name(names: dict[UUID, str], key: UUID | None) -> str:
    """Empty where a person asked; the id where the key is gone."""
    return "" if key is None else names.get(key, str(key))
