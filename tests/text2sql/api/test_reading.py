"""What may be read: generations, databases, usage, budget and the key itself."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from teams.models import BudgetWindow
from tests.clients import ApiClient
from tests.factories import BudgetFactory, GenerationFactory, TeamFactory, make_database, make_key
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.models import Catalog, Database, DatabaseAccess

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def ids(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["results"]]


def test_generations_come_page_by_page_while_new_ones_arrive(shopper: Shopper) -> None:
    # Five of one moment, so that only the id tells them apart.
    made = [
        GenerationFactory(team=shopper.team, database=shopper.database, created_at=NOON - timedelta(minutes=n // 5))
        for n in range(12)
    ]
    order = sorted(made, key=lambda row: (row.created_at, row.pk), reverse=True)
    page = shopper.api.get("generations", page_size=5).json()
    assert set(page) == {"next", "previous", "results"}
    seen = ids(page)
    GenerationFactory(team=shopper.team, database=shopper.database, created_at=NOON + timedelta(minutes=1))
    while page["next"]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(page["next"]).query).items()}
        page = shopper.api.get("generations", **query).json()
        seen += ids(page)
    assert seen == [str(row.pk) for row in order]


def test_generations_are_filtered(shopper: Shopper, shop: Any) -> None:
    twin = make_database(shop, shopper.team, name="twin")
    base = {"team": shopper.team, "database": shopper.database}
    in_session = GenerationFactory(**base, session_id="s-1")
    cached = GenerationFactory(**base, cached=True)
    failed = GenerationFactory(**base, status="failed", problem="sql-refused", problem_detail="No.")
    elsewhere = GenerationFactory(team=shopper.team, database=twin)

    def found(**query: str) -> set[str]:
        return set(ids(shopper.api.get("generations", **query).json()))

    assert found(session="s-1") == {str(in_session.pk)}
    assert found(cached="true") == {str(cached.pk)}
    assert found(status="failed") == {str(failed.pk)}
    assert found(database="twin") == {str(elsewhere.pk)}
    assert found(database="shop", status="succeeded", cached="false") == {str(in_session.pk)}
    assert found(database="nowhere") == set()
    assert len(found()) == 4


@pytest.mark.parametrize("query", [{"status": "finished"}, {"session": "nul\0"}, {"database": "nul\0"}])
def test_a_filter_that_makes_no_sense_is_a_problem(shopper: Shopper, query: dict[str, str]) -> None:
    document = assert_problem(shopper.api.get("generations", **query), 400, "invalid-request")
    assert document["errors"][0]["field"] == next(iter(query))


@pytest.mark.parametrize("cursor", ["YQ", "cD1ub25zZW5zZQ==", "cD0yMDI2LTk5LTk5", "bz0tMQ==", "cD0A"])
def test_a_cursor_that_is_none_is_a_problem(shopper: Shopper, cursor: str) -> None:
    GenerationFactory(team=shopper.team, database=shopper.database)
    document = assert_problem(shopper.api.get("generations", cursor=cursor), 400, "invalid-request")
    assert document["errors"][0]["field"] == "cursor"


def test_a_list_costs_as_many_queries_for_many_rows_as_for_one(shopper: Shopper) -> None:
    GenerationFactory(team=shopper.team, database=shopper.database)
    shopper.api.get("generations")
    with CaptureQueriesContext(connection) as few:
        shopper.api.get("generations")
    for _ in range(10):
        GenerationFactory(team=shopper.team, database=shopper.database)
    with CaptureQueriesContext(connection) as many:
        assert len(shopper.api.get("generations").json()["results"]) == 11
    assert len(many) == len(few)


def test_another_teams_rows_and_none_at_all_are_the_same_answer(shopper: Shopper) -> None:
    other = ApiClient(make_key(TeamFactory(slug="marketing"))[1])
    generation = GenerationFactory(team=shopper.team, database=shopper.database)
    for method, path in [
        ("get", "generations/{}"), ("post", "generations/{}/execute"), ("get", "databases/{}/schema"),
    ]:  # fmt: skip
        is_database = "schema" in path
        theirs = getattr(other, method)(path.format("shop" if is_database else generation.pk))
        missing = getattr(other, method)(path.format("nowhere" if is_database else uuid4()))
        assert_problem(theirs, 404, "not-found")
        assert theirs.content == missing.content
    assert other.get("generations").json()["results"] == []
    assert other.get("databases").json() == []


def test_the_databases_are_those_of_the_team(shopper: Shopper, shop: Any) -> None:
    make_database(shop, TeamFactory(slug="marketing"), name="theirs")
    (database,) = shopper.api.get("databases").json()
    assert set(database) == {"name", "description", "dialect", "schema_version", "synced_at", "starter_questions"}
    assert (database["name"], database["dialect"]) == ("shop", "sqlite")
    assert len(database["schema_version"]) == 16
    assert database["starter_questions"]


def test_a_schema_shows_what_the_team_sees(shopper: Shopper) -> None:
    document = shopper.api.get("databases/shop/schema").json()
    assert set(document) == {"database", "dialect", "schema_version", "tables"}
    customers, orders = document["tables"]
    assert set(customers) == {"name", "comment", "is_view", "row_estimate", "primary_key", "columns", "foreign_keys"}
    assert customers["columns"][1] == {"name": "name", "type": "TEXT", "nullable": False, "comment": ""}
    assert orders["foreign_keys"] == [
        {"columns": ["customer_id"], "referred_table": "customers", "referred_columns": ["id"]}
    ]
    DatabaseAccess.objects.update(tables=["customers"], hidden_columns=["customers.email"])
    (seen,) = shopper.api.get("databases/shop/schema").json()["tables"]
    assert [column["name"] for column in seen["columns"]] == ["id", "name", "region"]


def test_a_database_that_was_never_read_has_no_schema_yet(shopper: Shopper) -> None:
    Database.objects.update(catalog=None)
    Catalog.objects.all().delete()
    assert shopper.api.get("databases").json()[0]["schema_version"] is None
    assert_problem(shopper.api.get("databases/shop/schema"), 409, "database-not-read")


@pytest.mark.parametrize("name", ["nowhere", "%00", "a%00b", "%F0%9F%99%82", "x" * 300])
def test_a_database_of_any_other_name_is_not_found(shopper: Shopper, name: str) -> None:
    assert_problem(shopper.api.get(f"databases/{name}/schema"), 404, "not-found")


def test_usage_is_the_months_so_far_by_default(shopper: Shopper) -> None:
    GenerationFactory(team=shopper.team, database=shopper.database, cost_usd=Decimal("0.000000000001"), output_tokens=9)
    GenerationFactory(
        team=shopper.team,
        database=shopper.database,
        cost_usd=Decimal(5),
        created_at=timezone.now() - timedelta(days=40),
    )
    usage = shopper.api.get("usage").json()
    today = timezone.now().date()
    assert (usage["team"], usage["time_zone"]) == ("sales", "UTC")
    assert (usage["first_day"], usage["last_day"]) == (today.replace(day=1).isoformat(), today.isoformat())
    total = usage["total"]
    assert (total["generations"], total["cost_usd"], total["tokens"]["output"]) == (1, "0.000000000001", 9)
    assert [row["day"] for row in usage["by_day"]] == [today.isoformat()]
    assert [(row["database"], row["cost_usd"]) for row in usage["by_database"]] == [("shop", "0.000000000001")]
    since = (today - timedelta(days=60)).isoformat()
    longer = shopper.api.get("usage", **{"from": since, "to": today.isoformat()}).json()
    assert longer["total"]["cost_usd"] == "5.000000000001"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "9999-12-31"}, "to"),
        ({"from": "0001-01-01", "to": "2026-01-01"}, "from"),
    ],
)
def test_a_period_that_makes_no_sense_is_a_problem(shopper: Shopper, query: dict[str, str], field: str) -> None:
    document = assert_problem(shopper.api.get("usage", **query), 400, "invalid-request")
    assert document["errors"][0]["field"] == field


def test_the_budget_shows_its_present_window(shopper: Shopper) -> None:
    assert shopper.api.get("budget").json() == []
    BudgetFactory(team=shopper.team, limit_usd=Decimal("2.50"))
    shopper.api.get("budget")
    BudgetWindow.objects.update(spent_usd=Decimal("0.000000000001"), reserved_usd=Decimal("0.1"))
    (window,) = shopper.api.get("budget").json()
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert datetime.fromisoformat(window.pop("starts_at")) == midnight
    assert datetime.fromisoformat(window.pop("resets_at")) == midnight + timedelta(days=1)
    assert window == {
        "scope": "team", "period": "day", "at_limit": "block", "limit_usd": "2.5", "spent_usd": "0.000000000001",
        "external_usd": "0", "reserved_usd": "0.1", "remaining_usd": "2.399999999999", "requests": 0,
        "request_limit": None,
    }  # fmt: skip
    BudgetWindow.objects.update(spent_usd=Decimal(9))
    assert shopper.api.get("budget").json()[0]["remaining_usd"] == "0"


def test_a_key_may_know_itself(shopper: Shopper) -> None:
    me = shopper.api.get("me").json()
    assert me.pop("key").startswith("test (t2s_")
    assert me == {
        "team": "sales", "team_name": "Sales", "time_zone": "UTC", "scopes": ["execute", "generate", "read"],
        "expires_at": None, "model": "claude-sonnet-5-5", "answered_by": "stand-in",
    }  # fmt: skip


def test_no_answer_holds_an_address_or_a_digest(shopper: Shopper) -> None:
    paths = ["me", "databases", "databases/shop/schema", "generations", "usage", "budget"]
    text = json.dumps([shopper.api.get(path).json() for path in paths])
    assert "sqlite:///" not in text
    assert "encrypted" not in text
    assert "digest" not in text


def test_first_questions_name_nothing_that_is_hidden(shopper: Shopper) -> None:
    DatabaseAccess.objects.filter(team=shopper.team).update(tables=["customers"])
    (database,) = shopper.api.get("databases").json()
    assert database["starter_questions"]
    assert "orders" not in str(database)
