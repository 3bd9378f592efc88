"""What the answer cache has saved, counted from the questions: each hit is a row of its own, so none is lost.

The sums are those of the days, as the worker counts them; the questions themselves are looked at for one team only.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Aggregate, Count, F, FloatField, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Lower

from teams.models import Team
from teams.models.budgets import UsdField
from text2sql.cache.keys import question_normalize
from text2sql.cache.probe import TableError, cache_probe
from text2sql.models import Generation, QuestionDay
from text2sql.services.connections import connection_release

QUESTIONS_SHOWN = 20
TEXTS_READ = 2000
"""Different texts that questions are counted by, the most frequent ones; what is rarer is not among the most asked."""
AGAIN = 3
"""So often asked and never given from the cache, a question is called stale."""

_SUCCEEDED = Q(status=Generation.Status.SUCCEEDED)
_HIT = Q(cached=True)
# A question that follows another one is another question in each conversation.
_MISS = _SUCCEEDED & Q(cached=False, parent=None)
# The model that repaired an answer is not the one in its key.
_FIRST_MODEL = ~Q(rung=Generation.Rung.REPAIR)
_REASONS = {
    "schema_version": "the tables changed",
    "glossary_number": "the glossary changed",
    "prompt_version": "the rules changed",
    "model": "another model was asked",
    "answered_by": "the stand-in or Claude took the other's place",
}
NOT_KEPT = "nothing changed: its answer holds the day on which it is given, or was forgotten each time"
NOT_TOLD = "the team's view, its examples or a description changed, or the database's answers were forgotten"


@dataclass(frozen=True)
class Figures:
    """What a team asked one database."""

    team_id: str
    database: str
    questions: int
    hits: int
    saved_usd: Decimal
    """What the hits' answers had cost, less what the store charged for the hits."""
    saved_seconds: float | None
    """What the hits would have taken at the mean of those that Claude answered; None where it answered none."""

    @property
    def hit_rate(self) -> float:
        return self.hits / self.questions


@dataclass(frozen=True)
class Kind:
    """Answers from the cache, or those of Claude."""

    cached: bool
    answers: int
    p50_ms: float | None
    p95_ms: float | None
    total_usd: Decimal

    @property
    def mean_usd(self) -> Decimal:
        return self.total_usd / self.answers


@dataclass(frozen=True)
class AskedQuestion:
    """All that were the same question but for case, space, Unicode form and final punctuation."""

    question: str
    asked: int
    hits: int
    saved_usd: Decimal
    last_at: datetime


@dataclass(frozen=True)
class StaleQuestion:
    """Asked again and again, and answered by Claude each time."""

    question: str
    asked: int
    cost_usd: Decimal
    last_at: datetime
    why: tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """Where the cache is."""

    name: str
    is_on: bool
    hit_usd: Decimal
    """The list price of a hit of up to 4 KB."""
    problem: str
    """Why it does not answer, in a sentence; empty where it does."""


class Percentile(Aggregate):
    function = "percentile_cont"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def cache_figures(days: QuerySet[QuestionDay], *, first_day: date, last_day: date) -> list[Figures]:
    """By team and database, both days included; as exact as the worker's last count of them."""
    found: Any = days.filter(day__gte=first_day, day__lte=last_day).values("team_id", "database__name")
    return [_figures(row) for row in found.annotate(**_SUMS).order_by("team_id", "database__name")]


def questions_asked(team: Team, *, first_day: date, last_day: date, database: str = "") -> QuerySet[Generation]:
    """A team's finished questions of these days, about one database or all; those of evaluations are not among them."""
    start = datetime.combine(first_day, time(), team.time_zone)
    end = datetime.combine(last_day + timedelta(days=1), time(), team.time_zone)
    # By the index on team and time.
    asked = Generation.objects.of_people().filter(team=team, created_at__gte=start, created_at__lt=end).order_by()
    return asked.filter(database__name=database) if database else asked


def kinds_compared(asked: QuerySet[Generation]) -> list[Kind]:
    """Answers from the cache first, then those of Claude; none of a kind that has none."""
    rows = asked.filter(_SUCCEEDED).values("cached").annotate(
        answers=Count("pk"), p50_ms=Percentile("latency_ms", fraction=0.5),
        p95_ms=Percentile("latency_ms", fraction=0.95), total_usd=_usd("cost_usd"),
    )  # fmt: skip
    return [Kind(**row) for row in rows.order_by("-cached")]


def questions_ranked(asked: QuerySet[Generation]) -> tuple[list[AskedQuestion], list[StaleQuestion]]:
    """The most asked, and the stale ones, the most frequent first."""
    texts: Any = asked.annotate(text=Lower("question")).values("text")
    rows = texts.annotate(**_TEXT_SUMS).order_by("-asked", "text")
    same: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows[:TEXTS_READ]:
        same[question_normalize(row["text"])].append(row)
    most = sorted((_asked_question(group) for group in same.values()), key=lambda one: -one.asked)
    stale = [_stale_question(group) for group in same.values() if _is_stale(group)]
    return most[:QUESTIONS_SHOWN], sorted(stale, key=lambda one: -one.asked)[:QUESTIONS_SHOWN]


def store_look() -> Store:
    """Asks the store, which may take seconds where it is far away and down."""
    table, problem = settings.CACHE_TABLE_NAME, ""
    # Half a unit is an eventually consistent read of up to 4 KB.
    hit_usd = (settings.DYNAMODB_USD_PER_MILLION_READS / 2).scaleb(-6) if table else Decimal(0)
    if table:
        connection_release()
    try:
        cache_probe()
    except TableError as error:
        problem = str(error)
    name = f"DynamoDB, table {table}" if table else "PostgreSQL"
    return Store(name, settings.ENABLE_CACHE, hit_usd, problem)


def _usd(name: str, **options: Any) -> Coalesce:
    return Coalesce(Sum(name, **options), Decimal(0), output_field=UsdField())


_SUMS: dict[str, Any] = {
    "questions": Sum("questions"), "answered": Sum("answered"), "hits": Sum("cached"), "saved": _usd("saved_usd"),
    "hits_ms": Sum("cached_ms"), "answered_ms": Sum("answered_ms"),
}  # fmt: skip
_TEXT_SUMS: dict[str, Any] = {
    "example": Max("question"),
    "asked": Count("pk"),
    "hits": Count("pk", filter=_HIT),
    "saved": _usd("saved_usd", filter=_HIT),
    "store": _usd("cost_usd", filter=_HIT),
    "last_at": Max("created_at"),
    "misses": Count("pk", filter=_MISS),
    "misses_usd": _usd("cost_usd", filter=_MISS),
    # Where the least is the greatest, nothing changed: far cheaper than to count different values.
    "least_cache_key": Min("cache_key", filter=_MISS),
    "most_cache_key": Max("cache_key", filter=_MISS),
    **{
        f"{end}_{name}": aggregate(F(name), filter=_MISS & _FIRST_MODEL if name == "model" else _MISS)
        for name in _REASONS for end, aggregate in (("least", Min), ("most", Max))
    },
}  # fmt: skip


def _figures(row: dict[str, Any]) -> Figures:
    by_claude, saved = row["answered"] - row["hits"], None
    if by_claude:
        saved = float(row["hits"] * row["answered_ms"] / by_claude - row["hits_ms"]) / 1000
    return Figures(row["team_id"], row["database__name"], row["questions"], row["hits"], row["saved"], saved)


def _asked_question(group: list[dict[str, Any]]) -> AskedQuestion:
    return AskedQuestion(
        question=group[0]["example"],
        asked=sum(row["asked"] for row in group),
        hits=sum(row["hits"] for row in group),
        saved_usd=sum((row["saved"] - row["store"] for row in group), Decimal(0)),
        last_at=max(row["last_at"] for row in group),
    )


def _is_stale(group: list[dict[str, Any]]) -> bool:
    return not any(row["hits"] for row in group) and sum(row["misses"] for row in group) >= AGAIN


def _stale_question(group: list[dict[str, Any]]) -> StaleQuestion:
    missed = [row for row in group if row["misses"]]
    if not _changed(missed, "cache_key"):
        why: tuple[str, ...] = (NOT_KEPT,)
    else:
        why = tuple(reason for name, reason in _REASONS.items() if _changed(missed, name)) or (NOT_TOLD,)
    return StaleQuestion(
        question=group[0]["example"],
        asked=sum(row["misses"] for row in missed),
        cost_usd=sum((row["misses_usd"] for row in missed), Decimal(0)),
        last_at=max(row["last_at"] for row in missed),
        why=why,
    )


def _changed(group: list[dict[str, Any]], name: str) -> bool:
    ends = [row[f"{end}_{name}"] for row in group for end in ("least", "most")]
    return len({end for end in ends if end is not None}) > 1
