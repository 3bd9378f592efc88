"""docs/observability.md: its queries run as they stand, its figures add up, and the tests it names exist."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from langfuse.api import LangfuseAPI
from pytest_django import Settings

from observability.services.scores import scores_export
from observability.services.traces import traces_export
from teams.models import Charge
from tests.clients import ApiClient
from tests.factories import make_database, make_key
from tests.people import make_people
from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import ONCE, client_of
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "observability.md").read_text()
SECTIONS = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", DOCS, re.MULTILINE | re.DOTALL))
SQL = "SELECT name FROM customers ORDER BY name"

Rows = list[dict[str, Any]]


def blocks(title: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", SECTIONS[title], re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """Each section's answers: Langfuse's to its JSON, PostgreSQL's to its SQL."""

    langfuse: dict[str, list[Rows]]
    ours: dict[str, Rows]


@pytest.fixture
def asked(claude: ClaudeStandIn, langfuse: LangfuseStandIn, shop: Path, settings: Settings) -> Asked:
    settings.CLAUDE_RETRIES = 1
    people = make_people()
    make_database(shop, people.sales, people.marketing)
    sales, marketing = (ApiClient(make_key(team)[1]) for team in (people.sales, people.marketing))
    for client, number in ((sales, 1), (sales, 2), (marketing, 3)):
        claude.play("answer", sql=SQL, explanation="Names.")
        body = {"database": "shop", "question": f"Who is {number}?", "session_id": f"s-{number}", "execute": True}
        assert client.post("generate", body).json()["status"] == "succeeded"
    again = {"database": "shop", "question": "Who is 1?", "session_id": "s-1", "end_user": "nina"}
    assert sales.post("generate", again).json()["cached"] is True
    claude.play("answer", times=3, sql="DELETE FROM customers", explanation="No.")
    assert sales.post("generate", {"database": "shop", "question": "Empty it?"}).status_code != 200
    traces_export()
    scores_export()
    api = client_of(langfuse)
    titles = [title for title in SECTIONS if blocks(title, "json")]
    return Asked(
        {title: [metrics(api, text) for text in blocks(title, "json")] for title in titles},
        {title: selected(text) for title in titles for text in blocks(title, "sql")},
    )


def metrics(api: LangfuseAPI, text: str) -> Rows:
    query, now = json.loads(text), datetime.now(UTC)
    assert query["fromTimestamp"] < query["toTimestamp"]
    window = {"fromTimestamp": now - timedelta(hours=1), "toTimestamp": now + timedelta(hours=1)}
    if "timeDimension" in query:  # one day, so that there is one bucket
        window["fromTimestamp"] = window["fromTimestamp"].replace(hour=0, minute=0)
    query |= {name: moment.isoformat() for name, moment in window.items()}
    return [dict(row) for row in api.metrics.metrics(query=json.dumps(query), request_options=ONCE).data]


def selected(text: str) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(text)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def usd(value: Any) -> Decimal:
    return round(Decimal(str(value or 0)), 9)


def by(rows: Rows, name: str, read: Callable[[dict[str, Any]], Any]) -> dict[Any, Any]:
    return {row[name]: read(row) for row in rows}


@pytest.mark.django_db(transaction=True)
def test_every_query_is_answered_with_the_ledgers_sums(asked: Asked) -> None:
    charges, langfuse, ours = list(Charge.objects.all()), asked.langfuse, asked.ours
    assert (len(langfuse), len(ours), Generation.objects.count(), len(charges)) == (11, 11, 5, 6)
    total = usd(sum(charge.cost_usd for charge in charges))
    spent = {team: usd(sum(c.cost_usd for c in charges if c.team_id == team)) for team in ("sales", "marketing")}
    assert total > 0

    (traces,) = langfuse["Traces"]
    assert [(row["traceName"], row["count_count"]) for row in traces] == [("text2sql_generation", 5)]
    assert usd(sum(row["cost_usd"] for row in ours["Traces"])) == total
    (model,), (attempts,) = langfuse["Generations"][0], ours["Generations"]
    assert (
        (model["count_count"], usd(model["sum_totalCost"]))
        == (attempts["attempts"], usd(attempts["usd"]))
        == (6, total)
    )
    assert model["p95_timeToFirstToken"] is not None
    assert by(langfuse["Users"][0], "userId", lambda row: row["count_count"]) == {"sales": 4, "marketing": 1}
    assert by(ours["Users"], "team_id", lambda row: (row["questions"], row["people"])) == {
        "sales": (4, 1),
        "marketing": (1, 0),
    }
    sessions = by(langfuse["Sessions"][0], "sessionId", lambda row: row["count_count"])
    assert {name: count for name, count in sessions.items() if name} == {"s-1": 2, "s-2": 1, "s-3": 1}
    assert by(ours["Sessions"], "session_id", lambda row: row["questions"]) == {"s-1": 2, "s-2": 1, "s-3": 1}
    scores = by(langfuse["Metrics"][0], "name", lambda row: (row["count_count"], row["avg_value"]))
    assert scores == by(ours["Metrics"], "name", lambda row: (row["scores"], row["share"]))
    assert scores == {"sql_valid": (4, 0.75), "sql_execution_success": (3, 1)}
    assert by(langfuse["Cost by team"][0], "userId", lambda row: usd(row["sum_totalCost"])) == spent
    assert by(ours["Cost by team"], "team_id", lambda row: usd(row["usd"])) == spent
    assert usd(sum(Decimal(str(row["sum_totalCost"] or 0)) for row in langfuse["Trend"][0])) == total
    assert usd(sum(row["usd"] for row in ours["Trend"])) == total
    assert by(langfuse["Error rate"][0], "level", lambda row: row["count_count"]) == {"DEFAULT": 4, "ERROR": 1}
    assert ours["Error rate"] == [{"questions": 5, "failed": 1}]
    (tokens,), (counted,) = langfuse["Tokens by database"][0], ours["Tokens by database"]
    assert counted["database"] == "shop"
    assert tokens["sum_outputTokens"] == counted["output"] == sum(charge.output_tokens for charge in charges)
    # Langfuse's own sum takes in the kinds with "input" in their names, which ours all have.
    assert tokens["sum_inputTokens"] == counted["input"]
    assert tokens["sum_totalTokens"] == counted["input"] + counted["output"]
    cached, uncached = (rows[0]["count_count"] for rows in langfuse["Cached beside uncached"])
    assert by(ours["Cached beside uncached"], "cached", lambda row: row["questions"]) == {True: cached, False: uncached}
    assert (cached, uncached) == (1, 4)
    team = langfuse["Track a team"][0]
    assert usd(sum(Decimal(str(row["sum_totalCost"] or 0)) for row in team)) == spent["sales"]
    assert sum(row["questions"] for row in ours["Track a team"]) == 4
    assert usd(sum(row["usd"] for row in ours["Track a team"])) == spent["sales"]


def test_the_example_figures_add_up() -> None:
    assert (234 * 3 + 45 * 15) / Decimal(10**6) == Decimal("0.001377")
    assert (234 * 2 + 45 * 10) / Decimal(10**6) == Decimal("0.000918")
    assert "= $0.001377, so $0.0014." in DOCS
    assert "$0.000918" in DOCS


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", DOCS)
    assert len(named) > 15
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []
