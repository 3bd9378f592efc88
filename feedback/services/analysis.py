"""How content people are with the answers: in sums, in questions that keep failing, in their own words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet
from django.db.models.functions import TruncWeek

from feedback.models import Feedback
from text2sql.cache.keys import question_normalize

GROUPS = {
    "team": "generation__team__name",
    "database": "generation__database__name",
    "model": "generation__model",
    "prompt version": "generation__prompt_version",
}
MOST_ROWS = 50
"""Of a group, those that were rated most."""
QUESTIONS_READ = 5_000
"""Wordings of questions with a thumbs-down that are looked at, the latest ones."""
QUESTIONS_SHOWN = 30
COMMENTS_SHOWN = 20
REPEATED = 2


@dataclass(frozen=True)
class Span:
    """Days of UTC, both included."""

    first_day: date
    last_day: date

    def of(self, rows: QuerySet[Feedback]) -> QuerySet[Feedback]:
        start = datetime.combine(self.first_day, time(), UTC)
        end = datetime.combine(self.last_day + timedelta(days=1), time(), UTC)
        return rows.filter(updated_at__gte=start, updated_at__lt=end)


@dataclass(frozen=True)
class Satisfaction:
    name: Any
    ups: int
    downs: int

    @property
    def share(self) -> float | None:
        """Of the ratings, those that were up; None without any."""
        rated = self.ups + self.downs
        return self.ups / rated if rated else None


@dataclass(frozen=True)
class Repeated:
    """A question whose answers were thumbed down again and again, in its latest wording."""

    question: str
    team: str
    database: str
    downs: int
    last_at: datetime


@dataclass(frozen=True)
class Analysis:
    total: Satisfaction
    groups: dict[str, list[Satisfaction]]
    weeks: list[Satisfaction]
    """Named by their Mondays, the newest first."""
    repeated: list[Repeated]
    comments: list[Feedback]
    """With their generation, its team and its database."""


def feedback_analyse(rows: QuerySet[Feedback], span: Span) -> Analysis:
    """`rows` are those that the person may see; a fixed number of queries, each of bounded length."""
    found = span.of(rows).order_by()
    comments = found.exclude(comment="").select_related("generation__team", "generation__database")
    total = found.aggregate(**_SUMS)
    return Analysis(
        total=Satisfaction("", total["ups"], total["downs"]),
        groups={title: _grouped(found, path) for title, path in GROUPS.items()},
        weeks=_satisfactions(
            found.annotate(name=TruncWeek("updated_at", tzinfo=UTC)).values("name").annotate(**_SUMS).order_by("-name")
        ),
        repeated=_repeated(found),
        comments=list(comments.order_by("-updated_at", "-id")[:COMMENTS_SHOWN]),
    )


_SUMS = {
    "ups": Count("pk", filter=Q(rating=Feedback.Rating.UP)),
    "downs": Count("pk", filter=Q(rating=Feedback.Rating.DOWN)),
}


def _grouped(rows: QuerySet[Feedback], path: str) -> list[Satisfaction]:
    named = rows.values(name=F(path)).annotate(**_SUMS, rated=Count("pk"))
    return _satisfactions(named.order_by("-rated", "name")[:MOST_ROWS])


def _satisfactions(rows: Iterable[Any]) -> list[Satisfaction]:
    return [Satisfaction(row["name"], row["ups"], row["downs"]) for row in rows]


def _repeated(rows: QuerySet[Feedback]) -> list[Repeated]:
    """Wordings are counted by PostgreSQL; which of them are the same question is told by the cache's normal form."""
    wordings = (
        rows.filter(rating=Feedback.Rating.DOWN)
        .values_list("generation__question", "generation__team__name", "generation__database__name")
        .annotate(downs=Count("pk"), last_at=Max("updated_at"))
        .order_by("-last_at", "generation__question")[:QUESTIONS_READ]
    )
    found: dict[tuple[str, str, str], Repeated] = {}
    for question, team, database, downs, last_at in wordings:
        key = (question_normalize(question), team, database)
        newest = found.setdefault(key, Repeated(question, team, database, 0, last_at))
        found[key] = replace(newest, downs=newest.downs + downs)
    repeated = [each for each in found.values() if each.downs >= REPEATED]
    return sorted(repeated, key=lambda each: each.downs, reverse=True)[:QUESTIONS_SHOWN]
