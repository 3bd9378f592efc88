"""Questions, money and budgets as metrics, read from rows: right with any number of processes, and after restarts.

A scrape must stay cheap when the tables are large. So counters count from midnight UTC: the rows of one day, found by
the indexes on team and time. Prometheus takes the fall to zero for a restart, so rate() and increase() stay right;
lost is only what ended between a day's last scrape and its midnight.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from observability.services.metrics import day_start
from text2sql.models import Generation

BUCKETS_MS = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 60_000, 90_000]
# A question asked before midnight that ended after it counts for the new day. Only a sweep can take longer than this.
LONGEST_QUESTION = timedelta(hours=1)
TOKENS = ["input", "cache_write_5m", "cache_write_1h", "cache_read", "output"]


def metrics_read() -> Iterator[Metric]:
    yield from _questions()
    yield from _latencies()
    yield from _charges()
    yield from _budgets()
    yield from _shrunk()
    running = Generation.objects.filter(status=Generation.Status.RUNNING).count()
    yield GaugeMetricFamily("text2sql_questions_running", "Questions that wait for an answer now.", value=running)
    queued = Generation.objects.filter(status=Generation.Status.QUEUED).count()
    yield GaugeMetricFamily("text2sql_questions_queued", "Questions that wait for a worker now.", value=queued)


# Team by team, so that each part is a range of the index (team, created_at) or (team, charged_at).
QUESTIONS = """
    SELECT g.team_id, d.name, g.status, g.cached, g.problem, g.count
    FROM teams_team t CROSS JOIN LATERAL (
        SELECT team_id, database_id, status, cached, problem, count(*) AS count FROM text2sql_generation
        WHERE team_id = t.slug AND created_at >= %(asked)s AND finished_at >= %(day)s AND status <> 'running'
        GROUP BY team_id, database_id, status, cached, problem
    ) g JOIN text2sql_database d ON d.id = g.database_id
"""
LATENCIES = """
    SELECT g.cached, g.bucket, sum(g.count), sum(g.latency_ms)
    FROM teams_team t CROSS JOIN LATERAL (
        SELECT cached, width_bucket(latency_ms, %(bounds)s::integer[]) AS bucket, count(*) AS count,
               sum(latency_ms) AS latency_ms
        FROM text2sql_generation
        WHERE team_id = t.slug AND created_at >= %(asked)s AND finished_at >= %(day)s AND status <> 'running'
        GROUP BY cached, bucket
    ) g GROUP BY g.cached, g.bucket
"""
CHARGES = """
    SELECT c.* FROM teams_team t CROSS JOIN LATERAL (
        SELECT team_id, database, model, sum(cost_usd), sum(input_tokens), sum(cache_write_5m_tokens),
               sum(cache_write_1h_tokens), sum(cache_read_tokens), sum(output_tokens)
        FROM teams_charge WHERE team_id = t.slug AND charged_at >= %(day)s
        GROUP BY team_id, database, model
    ) c
"""
SHRUNK = """
    SELECT stop_reason = 'max_tokens', count(*) FROM text2sql_attempt
    WHERE is_shrunk AND started_at >= %(day)s GROUP BY 1
"""
BUDGETS = """
    SELECT coalesce(b.team_id, ''), coalesce(k.prefix, ''), b.period, b.limit_usd + coalesce(w.top_up_usd, 0),
        coalesce(w.spent_usd, 0), coalesce(w.external_usd, 0), coalesce(w.reserved_usd, 0)
    FROM teams_budget b LEFT JOIN teams_apikey k ON k.id = b.api_key_id LEFT JOIN LATERAL (
        SELECT spent_usd, external_usd, reserved_usd, top_up_usd, ends_at FROM teams_budgetwindow
        WHERE budget_id = b.id AND starts_at <= %(now)s ORDER BY starts_at DESC LIMIT 1
    ) w ON w.ends_at > %(now)s
"""


def _questions() -> Iterator[Metric]:
    family = CounterMetricFamily(
        "text2sql_questions",
        "Questions that ended since midnight UTC.",
        labels=["team", "database", "status", "cached", "problem"],
    )
    for team, database, status, cached, problem, count in _rows(QUESTIONS):
        family.add_metric([team, database, status, _word(cached), problem], count)
    yield family


def _latencies() -> Iterator[Metric]:
    counts: defaultdict[bool, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS_MS) + 1))
    sums: defaultdict[bool, float] = defaultdict(float)
    for cached, bucket, count, latency_ms in _rows(LATENCIES):
        counts[cached][bucket] += int(count)
        sums[cached] += int(latency_ms) / 1000
    family = HistogramMetricFamily(
        "text2sql_question_seconds", "From question to answer, since midnight UTC.", labels=["cached"]
    )
    names = [*(str(bound / 1000) for bound in BUCKETS_MS), "+Inf"]
    for cached, by_bucket in counts.items():
        buckets = [(name, float(sum(by_bucket[: place + 1]))) for place, name in enumerate(names)]
        family.add_metric([_word(cached)], buckets, sums[cached])
    yield family


def _charges() -> Iterator[Metric]:
    labels = ["team", "database", "model"]
    cost = CounterMetricFamily("text2sql_cost_usd", "What Claude cost since midnight UTC.", labels=labels)
    tokens = CounterMetricFamily("text2sql_tokens", "Tokens since midnight UTC.", labels=[*labels, "kind"])
    for team, database, model, cost_usd, *counts in _rows(CHARGES):
        cost.add_metric([team, database, model], float(cost_usd))
        for kind, count in zip(TOKENS, counts, strict=True):
            tokens.add_metric([team, database, model, kind], count)
    yield from (cost, tokens)


def _budgets() -> Iterator[Metric]:
    labels = ["team", "key", "period"]  # no team: the organisation; no key: all of them
    families = [
        GaugeMetricFamily("text2sql_budget_limit_usd", "A budget's limit, with top-ups.", labels=labels),
        GaugeMetricFamily("text2sql_budget_spent_usd", "Spent in the present window.", labels=labels),
        GaugeMetricFamily("text2sql_budget_external_usd", "Spent outside, by Langfuse.", labels=labels),
        GaugeMetricFamily("text2sql_budget_reserved_usd", "Held by running questions.", labels=labels),
    ]
    for team, key, period, *amounts in _rows(BUDGETS):
        for family, amount in zip(families, amounts, strict=True):
            family.add_metric([team, key, period], float(amount))
    yield from families


def _shrunk() -> Iterator[Metric]:
    family = CounterMetricFamily(
        "text2sql_shrunk_attempts",
        "Calls with fewer output tokens than usual for want of money, since midnight UTC; cut: the answer did not fit.",
        labels=["cut"],
    )
    for cut, count in _rows(SHRUNK):
        family.add_metric([_word(cut)], count)
    yield family


def _rows(statement: str) -> list[tuple[Any, ...]]:
    day = day_start()
    values: dict[str, Any] = {
        "now": timezone.now(),
        "day": day,
        "asked": day - LONGEST_QUESTION,
        # width_bucket counts its bounds in from below, Prometheus from above: "at most 50 ms" is "below 51 ms".
        "bounds": [bound + 1 for bound in BUCKETS_MS],
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _word(flag: bool) -> str:
    return "true" if flag else "false"
