"""Questions by day: counted by the worker, so that the first page need not look at each question.

Counts and money are exact; of the latencies a histogram is kept whose buckets grow by a tenth, so that a percentile is
told within 5 % (the middle of a bucket is at most the square root of 1.1 away from what is in it).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max, QuerySet

from text2sql.models import QuestionDay
from text2sql.models.generations import OF_PEOPLE

GROWTH = 1.1
LATEST = timedelta(days=1)
"""How long after its day began a question may still end."""


def days_count(now: datetime, *, since: date | None = None) -> int:
    """Count the days since the last one counted, and that one and the one before again. Returns how many rows.

    With `since`, all days from that one on. A day that is closed stays as it is.
    """
    newest = QuestionDay.objects.aggregate(newest=Max("day"))["newest"]
    if since is None:
        # A clock ahead of UTC has begun its day already.
        since = min(newest, now.date()) - LATEST if newest else date(2000, 1, 1)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"growth": GROWTH, "since": since})
        counted: int = cursor.rowcount
    return counted


_COUNT = f"""
    WITH asked AS (
        SELECT g.team_id, g.database_id, (g.created_at AT TIME ZONE t.time_zone)::date AS day, g.status, g.cached,
               g.cost_usd, g.saved_usd, g.latency_ms,
               floor(ln(greatest(g.latency_ms, 1)) / ln(%(growth)s::float8))::int AS bucket
        FROM text2sql_generation g JOIN teams_team t ON t.slug = g.team_id
        WHERE g.created_at >= %(since)s::date - interval '15 hours'
          AND (g.created_at AT TIME ZONE t.time_zone)::date >= %(since)s
          AND {OF_PEOPLE}
    ), buckets AS (
        SELECT team_id, database_id, day, jsonb_object_agg(bucket, number) AS latencies
        FROM (SELECT team_id, database_id, day, bucket, count(*) AS number FROM asked
              WHERE bucket IS NOT NULL GROUP BY 1, 2, 3, 4) AS each
        GROUP BY 1, 2, 3
    ), sums AS (
        SELECT team_id, database_id, day, count(*) AS questions,
               count(*) FILTER (WHERE status = 'succeeded') AS answered,
               count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE cached) AS cached,
               sum(cost_usd) AS cost_usd,
               sum(saved_usd) - coalesce(sum(cost_usd) FILTER (WHERE cached), 0) AS saved_usd,
               coalesce(sum(latency_ms) FILTER (WHERE cached), 0) AS cached_ms,
               coalesce(sum(latency_ms) FILTER (WHERE status = 'succeeded' AND NOT cached), 0) AS answered_ms
        FROM asked GROUP BY 1, 2, 3
    )
    INSERT INTO text2sql_questionday
        (team_id, database_id, day, questions, answered, failed, cached, cost_usd, saved_usd, cached_ms, answered_ms,
         latencies)
    SELECT team_id, database_id, day, questions, answered, failed, cached, cost_usd, saved_usd, cached_ms, answered_ms,
           coalesce(latencies, '{{}}')
    FROM sums LEFT JOIN buckets USING (team_id, database_id, day)
    ORDER BY team_id, database_id, day
    ON CONFLICT (team_id, database_id, day) DO UPDATE SET
        questions = EXCLUDED.questions, answered = EXCLUDED.answered, failed = EXCLUDED.failed,
        cached = EXCLUDED.cached, cost_usd = EXCLUDED.cost_usd, saved_usd = EXCLUDED.saved_usd,
        cached_ms = EXCLUDED.cached_ms, answered_ms = EXCLUDED.answered_ms, latencies = EXCLUDED.latencies
    WHERE NOT text2sql_questionday.is_closed
"""  # noqa: S608  # all parts are written here


COUNTS = ("questions", "answered", "failed", "cached", "cost_usd", "saved_usd")


@dataclass
class Figures:
    """Of some days, teams and databases together."""

    questions: int = 0
    answered: int = 0
    failed: int = 0
    cached: int = 0
    cost_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    latencies: Counter[int] = field(default_factory=Counter)

    def add(self, counts: Sequence[Any]) -> None:
        """In the order of COUNTS."""
        questions, answered, failed, cached, cost, saved = counts
        self.questions += questions
        self.answered += answered
        self.failed += failed
        self.cached += cached
        self.cost_usd += cost
        self.saved_usd += saved

    def latency_ms(self, share: float) -> float | None:
        """The percentile, within 5 %; None where nothing was asked."""
        return percentile(self.latencies, share)

    def rate(self, name: str) -> float | None:
        """Of `answered`, `failed` or `cached` among all that was asked, from 0 to 1."""
        count: int = getattr(self, name)
        return count / self.questions if self.questions else None


@dataclass(frozen=True)
class Overview:
    total: Figures
    by_day: Mapping[date, Figures]
    by_team: Mapping[str, Figures]
    by_database: Mapping[UUID, Figures]


def overview_sum(rows: QuerySet[QuestionDay], *, first: date, last: date) -> Overview:
    """One query, whatever was asked. Latencies are told of the total only: most of the work would be in the others'."""
    total, by_team, by_database = Figures(), dict[str, Figures](), dict[UUID, Figures]()
    by_day = {first + timedelta(days=number): Figures() for number in range((last - first).days + 1)}
    found = rows.filter(day__gte=first, day__lte=last).order_by()
    # Tuples: thousands of rows are read for a page.
    for day, team_id, database_id, latencies, *counts in found.values_list(
        "day", "team_id", "database_id", "latencies", *COUNTS
    ):
        by_day[day].add(counts)
        by_team.setdefault(team_id, Figures()).add(counts)
        by_database.setdefault(database_id, Figures()).add(counts)
        for bucket, count in latencies.items():
            total.latencies[int(bucket)] += count
    for figures in by_day.values():
        total.add([getattr(figures, name) for name in COUNTS])
    return Overview(total, by_day, by_team, by_database)


def percentile(buckets: Mapping[int, int], share: float) -> float | None:
    rank = math.ceil(share * sum(buckets.values()))
    for bucket, count in sorted(buckets.items()):
        rank -= count
        if rank <= 0:
            return float(GROWTH ** (bucket + 0.5))
    return None
