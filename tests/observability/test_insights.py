"""The interpreter that the documentation's queries are tested with, on numbers that can be added in the head."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.observability.insights import run

ROWS = [(1, "a", False, "0.5"), (4, "b", True, "0.25"), (5, "a", True, "2"), (59, "a", False, "1")]
EVENTS: list[dict[str, Any]] = [
    {"@timestamp": datetime(2026, 11, 23, 9, minute, tzinfo=UTC), "team": team, "failed": failed, "usd": Decimal(usd)}
    for minute, team, failed, usd in ROWS
]


def test_stats_group_by_time() -> None:
    found = run("stats count(*) as n, 100 * sum(failed) / count(*) as percent by bin(5m) as t | sort t asc", EVENTS)
    assert [(row["t"].minute, row["n"], row["percent"]) for row in found] == [(0, 2, 50), (5, 1, 100), (55, 1, 0)]


def test_stats_group_by_field() -> None:
    found = run("stats sum(usd) as sum, max(usd) as most, avg(usd) as mean by team | sort sum desc", EVENTS)
    assert found == [
        {"team": "a", "sum": Decimal("3.5"), "most": 2, "mean": Decimal("3.5") / 3},
        {"team": "b", "sum": Decimal("0.25"), "most": Decimal("0.25"), "mean": Decimal("0.25")},
    ]


def test_filter_fields_sort_and_limit() -> None:
    found = run('filter team = "a" and usd >= 1 | fields team, usd | sort usd desc | limit 1', EVENTS)
    assert found == [{"team": "a", "usd": 2}]


def test_a_missing_field_meets_no_condition() -> None:
    assert run("filter latency > 1", EVENTS) == []


def test_arithmetic_has_precedence() -> None:
    (found,) = run("stats 1 + 2 * (3 - 1) / 4 as x by nothing", EVENTS)
    assert found["x"] == 2


@pytest.mark.parametrize(
    "query", ["filter team ~ 1", "dedup team", "stats median(usd) as m by team", "filter usd = 1 2"]
)
def test_what_it_does_not_know_is_an_error(query: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        run(query, EVENTS)
