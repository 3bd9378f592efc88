"""POST generate and execute: what clients get, member by member."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from teams.access import Scope
from tests.clients import ApiClient
from tests.factories import BudgetFactory, GenerationFactory, make_key
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, Generation

ASK = {"database": "shop", "question": "Who are the customers?"}
SQL = "SELECT name FROM customers ORDER BY name"
MEMBERS = {
    "id", "status", "database", "question", "session_id", "end_user", "sql", "explanation", "dialect", "tables",
    "parent_id", "choices", "strategy", "strategy_reason", "rung", "cached", "model", "answered_by", "usage",
    "cost_usd", "latency_ms", "attempts", "trace_id", "problem", "created_at",
}  # fmt: skip


def test_an_answer_has_the_agreed_members(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="All of them.", thinking_tokens=20)
    response = shopper.api.post("generate", {**ASK, "session_id": "s", "end_user": "nina"})
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    answer = response.json()
    assert set(answer) == MEMBERS | {"execution", "columns", "rows"}
    expected = {
        "status": "succeeded", "database": "shop", "question": ASK["question"], "session_id": "s", "end_user": "nina",
        "sql": SQL, "explanation": "All of them.", "dialect": "sqlite", "tables": ["customers"], "cached": False,
        "model": "claude-sonnet-5-5", "answered_by": "stand-in", "attempts": 1, "problem": None, "execution": None,
        "columns": None, "rows": None,
    }  # fmt: skip
    assert {name: answer[name] for name in expected} == expected
    usage = claude.billed[0].usage
    assert answer["usage"] == {
        "input": usage.input, "cache_write_5m": usage.written_5m, "cache_write_1h": 0, "cache_read": usage.read,
        "output": usage.output,
    }  # fmt: skip
    assert isinstance(answer["cost_usd"], str)
    assert Decimal(answer["cost_usd"]) == claude.billed[0].cost
    assert "e" not in answer["cost_usd"].lower()
    assert len(answer["trace_id"]) == 32
    assert datetime.fromisoformat(answer["created_at"]).tzinfo is not None
    assert shopper.api.get(f"generations/{answer['id']}").json() == {k: answer[k] for k in MEMBERS}


def test_rows_come_where_execute_asks_for_them(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql="SELECT id, name, NULL AS missing FROM customers ORDER BY id", explanation="x")
    answer = shopper.api.post("generate", {**ASK, "execute": True}).json()
    assert answer["execution"]["problem"] is None
    assert answer["columns"] == [{"name": name, "type": ""} for name in ("id", "name", "missing")]
    assert answer["rows"] == [[1, "Ada", None], [2, "Bert", None]]
    assert answer["execution"].pop("elapsed_ms") >= 0
    assert answer["execution"] == {"status": "succeeded", "row_count": 2, "truncated": False, "problem": None}


def test_an_answer_whose_rows_cannot_be_had_is_still_an_answer(
    shopper: Shopper, claude: ClaudeStandIn, shop: Path
) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    shop.unlink()
    answer = shopper.api.post("generate", {**ASK, "execute": True}).json()
    assert (answer["status"], answer["sql"]) == ("succeeded", SQL)
    assert (answer["execution"]["status"], answer["rows"]) == ("failed", None)
    assert answer["execution"]["problem"]["type"].endswith(":target-unreachable")
    assert answer["execution"]["row_count"] is None
    assert_problem(shopper.api.post(f"generations/{answer['id']}/execute"), 503, "target-unreachable")


def test_that_it_cannot_answer_is_a_status_and_not_an_error(shopper: Shopper, claude: ClaudeStandIn) -> None:
    answer = shopper.api.post("generate", {**ASK, "execute": True}).json()
    assert (answer["status"], answer["sql"], answer["execution"]) == ("cannot_answer", "", None)
    assert "stand-in" in answer["explanation"]
    assert_problem(shopper.api.post(f"generations/{answer['id']}/execute"), 409, "conflict")


def test_a_generation_is_run_again(shopper: Shopper) -> None:
    generation = GenerationFactory(team=shopper.team, database=shopper.database, sql=SQL)
    first = shopper.api.post(f"generations/{generation.pk}/execute").json()
    assert first["rows"] == [["Ada"], ["Bert"]]
    DatabaseAccess.objects.update(hidden_columns=["customers.name"])
    assert_problem(shopper.api.post(f"generations/{generation.pk}/execute"), 422, "sql-refused")


def test_a_refusal_of_the_budget_has_its_figures_as_text(shopper: Shopper, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=shopper.team, limit_usd=Decimal("0.0001"))
    document = assert_problem(shopper.api.post("generate", ASK), 402, "request-too-expensive")
    assert (document["period"], document["limit_usd"]) == ("day", "0.0001")
    assert (document["spent_usd"], document["reserved_usd"]) == ("0", "0")
    assert Decimal(document["needed_usd"]) > Decimal("0.0001")
    assert datetime.fromisoformat(document["resets_at"]).tzinfo is not None
    failed = shopper.api.get(f"generations/{document['generation_id']}").json()
    assert (failed["status"], failed["cost_usd"]) == ("failed", "0")
    assert failed["problem"]["type"] == document["type"]
    assert claude.requests == []


def test_a_busy_claude_says_when_to_come_back(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("rate_limited", seconds=500)
    response = shopper.api.post("generate", ASK)
    document = assert_problem(response, 503, "claude-overloaded")
    assert response.headers["Retry-After"] == "500"
    assert Generation.objects.get().pk.hex == document["generation_id"].replace("-", "")


INVALID: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"database", "question"}),
    ({"database": "shop", "question": ""}, {"question"}),
    ({"database": "shop", "question": "   "}, {"question"}),
    ({"database": "shop", "question": "x" * 2001}, {"question"}),
    ({"database": "shop", "question": None}, {"question"}),
    ({"database": "shop", "question": ["a"]}, {"question"}),
    ({"database": "shop", "question": "nul \0 here"}, {"question"}),
    ({"database": "shop", "question": "half a pair \ud800"}, {"question"}),
    ({"database": "s" * 64, "question": "?"}, {"database"}),
    ({**ASK, "session_id": "x" * 201, "end_user": "y" * 201}, {"session_id", "end_user"}),
    ({**ASK, "execute": "perhaps"}, {"execute"}),
]


@pytest.mark.parametrize(("body", "fields"), INVALID)
def test_what_is_not_valid_is_said_field_by_field(
    shopper: Shopper, claude: ClaudeStandIn, body: dict[str, Any], fields: set[str]
) -> None:
    document = assert_problem(shopper.api.post("generate", body), 400, "invalid-request")
    assert {error["field"] for error in document["errors"]} == fields
    assert all(error["message"] for error in document["errors"])
    assert claude.requests == []
    assert not Generation.objects.exists()


def test_a_question_of_the_greatest_length_is_asked_whole(shopper: Shopper, claude: ClaudeStandIn) -> None:
    assert shopper.api.post("generate", {**ASK, "question": "東" * 2000}).status_code == 200
    assert claude.requests[0].body["messages"][0]["content"].count("東") == 2000


@pytest.mark.parametrize("name", ["nowhere", "SHOP", "theirs"])
def test_a_database_that_is_not_the_teams_is_not_found(shopper: Shopper, claude: ClaudeStandIn, name: str) -> None:
    assert_problem(shopper.api.post("generate", {**ASK, "database": name}), 404, "not-found")
    assert not Generation.objects.exists()


def test_each_door_wants_its_scope(shopper: Shopper, claude: ClaudeStandIn) -> None:
    generation = GenerationFactory(team=shopper.team, database=shopper.database, sql=SQL)
    reading = ["generations", f"generations/{generation.pk}", "databases", "databases/shop/schema", "usage", "budget"]
    doors = {
        Scope.GENERATE: [("post", "generate"), ("post", f"generations/{generation.pk}/feedback")],
        Scope.EXECUTE: [("post", f"generations/{generation.pk}/execute")],
        Scope.READ: [("get", path) for path in reading],
    }
    for scope, places in doors.items():
        others = tuple(other for other in Scope if other != scope)
        without = ApiClient(make_key(shopper.team, scopes=others)[1])
        for method, path in places:
            document = assert_problem(getattr(without, method)(path), 403, "forbidden")
            assert f"`{scope}`" in document["detail"]
    only = ApiClient(make_key(shopper.team, scopes=(Scope.GENERATE,))[1])
    assert_problem(only.post("generate", {**ASK, "execute": True}), 403, "forbidden")
    assert claude.requests == []
    assert only.get("me").json()["scopes"] == ["generate"]
