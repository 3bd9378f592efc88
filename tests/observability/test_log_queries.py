"""A run of questions over the API: its log lines hold nothing they must not, and the documented queries add up."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from observability.logging import QUESTIONS
from observability.services.alerts import alert_raise
from tests.clients import ApiClient
from tests.factories import make_database, make_key
from tests.observability.insights import DOCS, documented_queries, run
from tests.observability.logs import lines_of, logging_as
from tests.people import make_people
from tests.standins.langfuse import LangfuseStandIn
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation
from text2sql.question_log import generation_log

pytestmark = pytest.mark.django_db(transaction=True)

MARK = "zebrafinch"  # in every question and nowhere else
SQL = "SELECT name, email FROM customers ORDER BY name"
ROWS = ["Ada", "Bert", "ada@example.com", "bert@example.com"]
KEY = "sk-ant-api03-only-for-this-test"


@dataclass(frozen=True)
class Written:
    """What a run wrote into its logs, all of it, and the lines that tell questions."""

    everything: str
    lines: list[dict[str, Any]]
    tokens: list[str]


@pytest.fixture
def written(
    claude: ClaudeStandIn, langfuse: LangfuseStandIn, shop: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> Written:
    return a_run(claude, shop, settings, capsys)


def a_run(
    claude: ClaudeStandIn,
    shop: Path,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    *,
    questions: bool = False,
) -> Written:
    """Twelve questions of two teams: answered, from the cache, refused, failed, and some that no service expects."""
    settings.LOG_QUESTIONS, settings.CLAUDE_RETRIES = questions, 1
    people = make_people()
    make_database(shop, people.sales, people.marketing)
    tokens = [make_key(team)[1] for team in (people.sales, people.marketing)]
    sales, marketing = map(ApiClient, tokens)
    with logging_as(debug=False, questions=questions):
        for number, client in enumerate([sales, marketing, sales]):
            claude.play("answer", sql=SQL, explanation=f"Names of {MARK}.")
            body = {"database": "shop", "question": f"Who is {MARK} {number}?", "execute": True}
            assert client.post("generate", body).json()["rows"][0] == ["Ada", "ada@example.com"]
            assert client.post("generate", body).json()["cached"] is True
        for scenario, times, values in FAILURES:
            claude.play(scenario, times=times, **values)
            sales.post("generate", {"database": "shop", "question": f"What of {scenario} {MARK} {values}?"})
        sales.get(f"{MARK}/is/no/address", question=MARK)
        ApiClient("t2s_" + MARK).get("me")
        logging.getLogger("some.library").error("failed at %s", f"postgresql://reader:{KEY}@db/sales")
        # Where the service tells its questions itself, these lines come a second time and are counted once.
        for generation in Generation.objects.select_related("database"):
            generation_log(generation, database=generation.database.name)
    found = capsys.readouterr()
    lines = {line["generation_id"]: line for line in lines_of(found.out, "question")}
    return Written(found.out + found.err, list(lines.values()), tokens)


NO = '{"status": "cannot_answer", "sql": "", "explanation": "No."}'
# What is played, and how often: what may pass is tried twice.
FAILURES: list[tuple[str, int, dict[str, Any]]] = [
    ("overloaded", 2, {}),
    ("answer", 3, {"sql": "DELETE FROM customers"}),
    ("answer", 1, {"sql": None, "status": "cannot_answer", "text": NO}),
    ("malformed_json", 2, {}),
    ("cut_stream", 2, {}),
    ("max_tokens", 1, {}),
]


def events(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines as CloudWatch keeps them, 97 seconds apart."""
    first = datetime.fromisoformat(lines[0]["time"])
    return [line | {"@timestamp": first + timedelta(seconds=97 * n)} for n, line in enumerate(lines)]


def test_secrets_questions_sql_and_rows_stay_out_of_every_line(written: Written) -> None:
    everything = written.everything
    assert len(everything.splitlines()) > 25
    for text in [MARK, "FROM customers", "DELETE", *ROWS, *written.tokens, KEY, "sk-lf-standin", "only-for-tests-"]:
        assert text not in everything, f"{text} is in the logs"


def test_they_are_there_where_the_setting_allows_it(
    claude: ClaudeStandIn, langfuse: LangfuseStandIn, shop: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = a_run(claude, shop, settings, capsys, questions=True).everything
    assert MARK in everything
    assert "FROM customers" in everything
    assert KEY not in everything  # but never a secret


def test_each_question_has_its_line_and_each_request_its_own(written: Written) -> None:
    assert len(written.lines) == Generation.objects.count() == 12
    requests = [line for line in lines_of(written.everything) if line["message"] == "request"]
    assert len(requests) == 14
    assert len({line["request_id"] for line in requests}) == 14


def query(name: str, written: Written) -> list[dict[str, Any]]:
    return run(documented_queries()[name], events(written.lines))


def grouped(lines: list[dict[str, Any]], *names: str) -> Iterator[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
    groups: defaultdict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[tuple(line[name] for name in names)].append(line)
    return iter(groups.items())


def test_the_error_rate_by_five_minutes(written: Written) -> None:
    found = query("Error rate by five minutes", written)
    told = events(written.lines)
    assert len(found) > 2
    assert sum(row["questions"] for row in found) == 12
    for row in found:
        inside = [
            one for one in told if row["five_minutes"] <= one["@timestamp"] < row["five_minutes"] + timedelta(minutes=5)
        ]
        failures = sum(one["status"] == "failed" for one in inside)
        assert (row["questions"], row["failures"]) == (len(inside), failures)
        assert row["failed_percent"] == Decimal(100) * failures / len(inside)
    assert sum(row["failures"] for row in found) == Generation.objects.filter(status="failed").count() == 5


def test_what_the_errors_are(written: Written) -> None:
    found = {row["error_type"]: row["failures"] for row in query("What the errors are", written)}
    assert found == {
        "claude-overloaded": 1, "sql-refused": 1, "answer-malformed": 1, "claude-unreachable": 1,
        "answer-truncated": 1,
    }  # fmt: skip


def test_the_cache_hit_rate_by_team(written: Written) -> None:
    found = {row["team"]: row for row in query("Cache hit rate by team", written)}
    assert found.keys() == {"sales", "marketing"}
    for team, row in found.items():
        answers = Generation.objects.filter(team=team, status="succeeded")
        hits = answers.filter(cached=True).count()
        assert (row["answers"], row["hits"]) == (answers.count(), hits)
        assert row["hit_percent"] == Decimal(100) * hits / answers.count()
    assert found["sales"]["hit_percent"] == 50


def test_the_slowest_questions(written: Written) -> None:
    found = query("The slowest questions", written)
    slowest = Generation.objects.order_by("-latency_ms").values_list("latency_ms", flat=True)
    assert [row["latency_ms"] for row in found] == list(slowest[:20])
    assert {row["generation_id"] for row in found} == {
        str(pk) for pk in Generation.objects.values_list("pk", flat=True)
    }


def test_the_most_expensive_questions(written: Written) -> None:
    found = query("The most expensive questions", written)
    dearest = Generation.objects.filter(cost_usd__gt=0).order_by("-cost_usd")
    assert [row["cost_usd"] for row in found] == [one.cost_usd for one in dearest[:20]]
    assert len(found) > 5


def test_cost_by_team_and_database_is_the_ledgers_to_the_last_digit(written: Written) -> None:
    found = query("Cost by team and database", written)
    for (team, database), lines in grouped(written.lines, "team", "database"):
        (row,) = [one for one in found if (one["team"], one["database"]) == (team, database)]
        assert row["usd"] == sum(one.cost_usd for one in Generation.objects.filter(team=team))
        assert row["questions"] == len(lines)
        assert row["usd_each"] == row["usd"] / len(lines)


def test_all_lines_of_one_request(written: Written) -> None:
    everything = lines_of(written.everything)
    wanted = everything[0]["request_id"]
    text = documented_queries()["All lines of one request, from web and worker"].replace("order-4711", wanted)
    found = run(text, [line | {"@timestamp": line["time"]} for line in everything])
    assert found[0]["message"] in ("request", "question")
    assert len(found) == sum(line.get("request_id") == wanted for line in everything)


@pytest.fixture
def alert_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of four alerts, among others."""
    levels = ["warning", "critical", "critical", "info"]
    with logging_as(debug=False):
        for number, level in enumerate(levels):
            alert_raise(
                key=f"k{number}", kind="budget", scope="sales", level=level, subject=f"Alert {number}", body="b"
            )
        logging.getLogger(QUESTIONS).info("alert_raised?", extra={"alert_level": "critical"})
    return lines_of(capsys.readouterr().out)


def test_alerts_by_team_and_kind(alert_lines: list[dict[str, Any]]) -> None:
    told = [line for line in alert_lines if line["message"] == "alert_raised"]
    assert [(line["key"], line["subject"], line["level"]) for line in told[:1]] == [("k0", "Alert 0", "INFO")]
    found = run(documented_queries()["Alerts by team and kind"], events(alert_lines))
    assert [(row["scope"], row["kind"], row["alert_level"], row["alerts"]) for row in found] == [
        ("sales", "budget", "critical", 2), ("sales", "budget", "warning", 1), ("sales", "budget", "info", 1),
    ]  # fmt: skip


def test_the_documented_metric_filter_counts_critical_alerts(alert_lines: list[dict[str, Any]]) -> None:
    (pattern,) = re.findall(r"```metric-filter\n\{ (.*?) \}\n```", DOCS.read_text())
    conditions = [re.fullmatch(r'\$\.(\w+) = "(\w+)"', part) for part in pattern.split(" && ")]
    assert all(conditions)
    counted = [line for line in alert_lines if all(one and line.get(one[1]) == one[2] for one in conditions)]
    assert [line["key"] for line in counted] == ["k1", "k2"]


def test_every_documented_query_is_tested() -> None:
    source = Path(__file__).read_text()
    assert len(documented_queries()) == 8
    assert [name for name in documented_queries() if f'"{name}"' not in source] == []
