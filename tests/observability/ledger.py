"""Traces and scores as questions make them, our own account of them, and what Langfuse says of them over its API."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from observability.langfuse.client import langfuse_api
from observability.services.scores import score_record
from observability.services.traces import ObservationRecord, TraceRecord, span_id_for, trace_id_for, trace_record
from tests.standins.langfuse import LangfuseStandIn

FIRST = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = ("2026-11-23T00:00:00.000Z", "2026-11-23T23:59:59.999Z")
ONCE: Any = {"max_retries": 0}


def milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@dataclass
class Ledger:
    """What was recorded: times in milliseconds, money in USD."""

    seed: int = 1
    spans: dict[tuple[str, str], tuple[int, int, Decimal]] = field(default_factory=dict)
    scores: dict[str, tuple[float | str, int]] = field(default_factory=dict)
    traces: int = 0
    generations: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @property
    def total(self) -> Decimal:
        return sum((cost for *_, cost in self.spans.values()), Decimal(0))

    def record_traces(self, count: int) -> None:
        for _ in range(count):
            self._record_trace(f"question-{self.seed}-{self.traces}")
            self.traces += 1

    def record_scores(self, count: int) -> None:
        for _ in range(count):
            number = len(self.scores)
            at = FIRST + timedelta(seconds=number, microseconds=self.random.randrange(1_000_000))
            name, kind, value = self.random.choice(
                [("user_feedback", "BOOLEAN", 1), ("sql_valid", "BOOLEAN", 0), ("rows", "NUMERIC", number / 8)]
            )
            score_record(
                score_id=f"score-{number}",
                trace_id=trace_id_for(f"question-{self.seed}-{number}"),
                name=name,
                value=value,
                data_type=kind,
                comment="Without VAT, please. Très bien." if number % 3 else "",
                timestamp=at,
            )
            self.scores[f"score-{number}"] = (value, milliseconds(at))

    def _record_trace(self, seed: str) -> None:
        pick = self.random
        starts = FIRST + timedelta(seconds=self.traces * 37, microseconds=pick.randrange(1_000_000))
        attempts = [self._attempt(number, starts) for number in range(pick.randint(1, 3))]
        root = ObservationRecord(
            key="root",
            name="text2sql_generation",
            started_at=starts,
            ended_at=attempts[-1].ended_at + timedelta(microseconds=pick.randrange(90_000)),
            input={"question": f"Which customers of region {seed} spent most last quarter?"},
            output={"sql": "SELECT name, sum(amount) FROM orders GROUP BY name ORDER BY 2 DESC LIMIT 10"},
            metadata={"cached": False, "table_count": 14, "attempts": len(attempts), "schema_version": "a1b2"},
        )
        team = pick.choice(["sales", "finance", "équipe-ß"])
        trace_record(
            TraceRecord(
                seed=seed,
                name="text2sql_generation",
                user_id=team,
                session_id=f"session-{self.traces % 40}",
                tags=["text2sql", team, "db:shop"],
                metadata={"team": team, "database": "shop"},
                observations=[root, *attempts],
            )
        )
        self.generations += len(attempts)
        for one in (root, *attempts):
            span = milliseconds(one.started_at), milliseconds(one.ended_at), one.cost.get("total", Decimal(0))
            self.spans[trace_id_for(seed), span_id_for(seed, one.key)] = span

    def _attempt(self, number: int, starts: datetime) -> ObservationRecord:
        pick = self.random
        started_at = starts + timedelta(seconds=number * 2, microseconds=pick.randrange(400_000))
        costs = {
            name: Decimal(pick.randrange(1, 10**10)).scaleb(-12)
            for name in ("input", "output", "cache_read_input_tokens")
        }
        return ObservationRecord(
            key=f"attempt-{number + 1}",
            parent="root",
            type="generation",
            name="generate_sql",
            started_at=started_at,
            completion_started_at=started_at + timedelta(milliseconds=310),
            ended_at=started_at + timedelta(microseconds=pick.randrange(400_000, 1_600_000)),
            model="claude-sonnet-5-5",
            model_parameters={"max_tokens": 4096},
            input=[{"role": "user", "content": "schema and question " * 40}],
            output="SELECT name, sum(amount) FROM orders GROUP BY name",
            usage={"input": pick.randrange(5_000), "output": pick.randrange(900), "cache_read_input_tokens": 4_000},
            cost={**costs, "total": sum(costs.values(), Decimal(0))},
        )


def sums_read() -> tuple[int, int, int, Decimal]:
    """Generations, roots, distinct traces and USD, as metrics v2 adds them up: what is stored twice counts twice."""
    generations = _sums("type", "string", "GENERATION")
    roots = _sums("isRootObservation", "boolean", value=True)
    return (
        int(generations["count_count"]),
        int(roots["count_count"]),
        int(roots["uniq_traceId"]),
        Decimal(str(generations["sum_totalCost"])),
    )


def _sums(column: str, kind: str, value: Any) -> dict[str, Any]:
    query = {
        "view": "observations",
        "dimensions": [],
        "metrics": [
            {"measure": "count", "aggregation": "count"},
            {"measure": "traceId", "aggregation": "uniq"},
            {"measure": "totalCost", "aggregation": "sum"},
        ],
        "filters": [{"column": column, "operator": "=", "value": value, "type": kind}],
        "fromTimestamp": DAY[0],
        "toTimestamp": DAY[1],
    }
    (row,) = langfuse_api().metrics.metrics(query=json.dumps(query), request_options=ONCE).data
    return dict(row)


def spans_read() -> dict[tuple[str, str], tuple[int, int, Decimal]]:
    """All observations by distinct id, page by page."""
    found: dict[tuple[str, str], tuple[int, int, Decimal]] = {}
    cursor: str | None = None
    while True:
        page = langfuse_api().observations.get_many(
            fields="core,basic,usage", limit=1000, cursor=cursor, request_options=ONCE
        )
        for one in page.data:
            assert one.trace_id
            assert one.end_time
            cost = Decimal(str(one.total_cost or 0))
            found[one.trace_id, one.id] = milliseconds(one.start_time), milliseconds(one.end_time), cost
        cursor = page.meta.cursor
        if not cursor:
            return found


def scores_read() -> list[tuple[str, tuple[float | str, int]]]:
    found = []
    cursor: str | None = None
    while True:
        page = langfuse_api().scores.get_many(limit=100, cursor=cursor, request_options=ONCE)
        found += [(one.id, (one.value, milliseconds(one.timestamp))) for one in page.data]
        cursor = page.meta.cursor
        if not cursor:
            return found


MICRO_DOLLAR = Decimal("0.000001")


def assert_each_there_once(lf: LangfuseStandIn, ledger: Ledger, *, merged: bool = False) -> None:
    """Every trace and score by distinct id, to the millisecond, and every sum to the micro-dollar.

    merged: the server itself stored some batches twice, so its sums are right only after its merge.
    """
    found = spans_read()
    assert found.keys() == ledger.spans.keys()
    for key, (started, ended, cost) in ledger.spans.items():
        assert found[key][:2] == (started, ended)
        assert abs(found[key][2] - cost) < Decimal("1e-12")
    if merged:
        assert sums_read()[0] > ledger.generations
        lf.merge()
    generations, roots, traces, usd = sums_read()
    assert (generations, roots, traces) == (ledger.generations, ledger.traces, ledger.traces)
    assert abs(usd - ledger.total) < MICRO_DOLLAR
    scores = scores_read()
    assert len(scores) == len(ledger.scores)
    assert dict(scores) == ledger.scores
