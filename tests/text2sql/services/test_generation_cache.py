"""When an answer may be given again, and to whom never."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from pytest_django import Settings

from observability.services.traces import traces_export
from teams.models import Charge, Team
from tests.factories import BudgetFactory, TeamFactory, make_database, make_key
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.cache.stand_ins import ScriptedDynamo, scripted_dynamo
from tests.text2sql.services.conftest import SQL, Asker, assert_settled, play_sql
from tests.text2sql.targets.conftest import temporary_database
from text2sql.cache.answers import answer_cache
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import CacheEntry, Database, DatabaseAccess, Generation
from text2sql.pipeline import prompt as prompts
from text2sql.services.databases import database_add
from text2sql.services.forgetting import removal_run
from text2sql.services.generation import Question, generation_create
from text2sql.services.syncing import schema_sync

OTHER_SQL = "SELECT COUNT(*) AS customers FROM customers"


def test_the_same_question_again_costs_nothing_and_calls_nobody(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    first = asker.ask("Who are the customers?")
    again = asker.ask("  who are THE customers ", session_id="s-2", end_user="otto")
    assert (again.cached, again.status, again.sql, again.tables) == (True, "succeeded", SQL, ["customers"])
    assert (again.explanation, again.model, again.cost_usd) == (first.explanation, first.model, 0)
    assert (again.session_id, again.end_user) == ("s-2", "otto")
    assert len(claude.requests) == 1
    assert_settled(again)
    assert Charge.objects.count() == 1


@pytest.fixture
def dynamo(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedDynamo]:
    """A DynamoDB that holds nothing yet, as the answer cache."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with scripted_dynamo() as server:
        settings.DYNAMODB_ENDPOINT_URL, settings.CACHE_TABLE_NAME = server.url, "answers"
        answer_cache.cache_clear()
        yield server


def test_what_dynamodb_charges_for_a_cached_answer_is_in_its_history_and_trace_and_no_cost_in_langfuse(
    asker: Asker, claude: ClaudeStandIn, dynamo: ScriptedDynamo, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    first = asker.ask()
    assert first.cost_usd == claude.billed[0].cost
    capacity = {"TableName": "answers", "CapacityUnits": 0.5}
    dynamo.body = {"Item": dynamo.requests[-1][1]["Item"], "ConsumedCapacity": capacity}
    again = asker.ask()
    again.refresh_from_db()
    assert (again.cached, again.cost_usd) == (True, Decimal("0.0000000625"))
    traces_export()
    paid, cached = (langfuse.traces()[one.trace_id] for one in (first, again))
    assert cached.root is not None
    assert paid.root is not None
    assert cached.root.metadata["store_cost_usd"] == "0.0000000625"
    assert "store_cost_usd" not in paid.root.metadata
    assert [(one.type, one.total_cost) for one in cached.observations] == [("SPAN", Decimal(0))]
    assert sum(one.total_cost for one in langfuse.observations()) == first.cost_usd


def test_a_cached_answer_from_postgres_costs_nothing_and_says_so(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    asker.ask()
    again = asker.ask()
    traces_export()
    root = langfuse.traces()[again.trace_id].root
    assert root is not None
    assert (root.metadata["store_cost_usd"], again.cost_usd) == ("0", 0)


def test_a_cached_answer_is_given_though_the_budget_is_spent_and_claude_is_gone(
    asker: Asker, claude: ClaudeStandIn, settings: Settings
) -> None:
    play_sql(claude)
    asker.ask()
    BudgetFactory(team=asker.team, limit_usd=0)
    settings.CLAUDE_STAND_IN_URL = ""
    assert asker.ask().cached


CHANGES = ["view: hidden column", "view: tables", "schema", "model", "prompt", "database", "who answers"]


@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_is_stale_as_soon_as_what_shaped_it_changes(
    asker: Asker, claude: ClaudeStandIn, shop: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    play_sql(claude)
    asker.ask()
    database = "shop"
    if change == "view: hidden column":
        DatabaseAccess.objects.update(hidden_columns=["customers.email"])
    elif change == "view: tables":
        DatabaseAccess.objects.update(tables=["customers"])
    elif change == "schema":
        change_structure(shop)
        schema_sync(asker.database.pk)
    elif change == "model":
        Team.objects.update(model="claude-haiku-5-5")
    elif change == "prompt":
        monkeypatch.setattr(prompts, "VERSION", "another")
    elif change == "database":
        make_database(shop, asker.team, name="twin")
        database = "twin"
    else:
        settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL = "sk-ant-test", claude.base_url
    play_sql(claude, OTHER_SQL)
    fresh = asker.ask(database=database)
    assert (fresh.cached, fresh.sql) == (False, OTHER_SQL)
    assert asker.ask(database=database).cached


def change_structure(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("ALTER TABLE customers ADD COLUMN phone TEXT")


def test_teams_with_the_same_view_share_an_answer_and_others_never_do(asker: Asker, claude: ClaudeStandIn) -> None:
    twin, narrow = TeamFactory(slug="twin"), TeamFactory(slug="narrow")
    DatabaseAccess.objects.create(team=twin, database=asker.database)
    DatabaseAccess.objects.create(team=narrow, database=asker.database, hidden_columns=["customers.name"])
    play_sql(claude)
    asker.ask()

    def ask_as(team: Team) -> Any:
        return generation_create(
            principal=make_key(team)[2], question=Question(team.pk, "shop", "Who are the customers?")
        )

    shared = ask_as(twin)
    assert (shared.cached, shared.team_id) == (True, "twin")
    play_sql(claude, "SELECT id FROM customers")
    own = ask_as(narrow)
    assert (own.cached, own.sql) == (False, "SELECT id FROM customers")
    assert asker.ask().sql == SQL


def test_that_it_cannot_answer_is_not_kept(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql="", status="cannot_answer", explanation="No such table.", times=2)
    answer = asker.ask()
    assert (answer.status, answer.sql, answer.explanation) == ("cannot_answer", "", "No such table.")
    assert not asker.ask().cached
    assert len(claude.requests) == 2
    assert answer.cost_usd == claude.billed[0].cost


def test_failures_are_not_kept(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.play("max_tokens")
    asker.problem_of()
    play_sql(claude)
    assert not asker.ask().cached


def test_a_forgotten_answer_is_asked_anew(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    asker.ask()
    assert removal_run(asker.ask().cache_key)  # by the generation that was given it, too
    play_sql(claude)
    assert not asker.ask().cached


def test_a_switched_off_cache_answers_nothing(asker: Asker, claude: ClaudeStandIn, settings: Settings) -> None:
    settings.ENABLE_CACHE = False
    play_sql(claude)
    play_sql(claude)
    asker.ask()
    assert not asker.ask().cached


def test_a_team_that_loses_the_database_gets_no_cached_answer(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    asker.ask()
    DatabaseAccess.objects.all().delete()
    assert asker.problem_of().kind == "not-found"
    assert Database.objects.exists()


# --- Who paid, and what ---------------------------------------------------------------------------------------------


def test_a_cached_answer_names_who_paid_for_it_and_what_it_saved(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    first = asker.ask()
    assert (first.origin_id, first.saved_usd) == (None, 0)
    twin = TeamFactory(slug="twin")
    DatabaseAccess.objects.create(team=twin, database=asker.database)
    asker.ask()
    generation_create(principal=make_key(twin)[2], question=Question("twin", "shop", "Who are the customers?"))
    for again in Generation.objects.filter(cached=True):
        assert (again.origin_id, again.saved_usd, again.cost_usd) == (first.pk, claude.billed[0].cost, 0)
    assert Generation.objects.filter(cached=True).count() == 2


def test_what_a_repaired_answer_saves_is_all_that_it_cost(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, "SELECT nowhere FROM customers")
    play_sql(claude)
    first, again = asker.ask(), asker.ask()
    assert len(claude.billed) == 2
    assert again.saved_usd == first.cost_usd == sum(bill.cost for bill in claude.billed)


def test_who_paid_may_be_gone(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    first = asker.ask()
    paid = (first.pk, first.cost_usd)
    first.delete()
    again = Generation.objects.get(pk=asker.ask().pk)
    assert (again.cached, (again.origin_id, again.saved_usd)) == (True, paid)


def test_what_an_uncached_question_saves_is_nothing(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.play("max_tokens")
    asker.problem_of()
    failed = Generation.objects.get()
    assert (failed.cached, failed.origin_id, failed.saved_usd) == (False, None, 0)


# --- Today ----------------------------------------------------------------------------------------------------------


def sql_of(day: object) -> str:
    return f"SELECT name FROM customers WHERE name <> '{day}' ORDER BY name"  # noqa: S608  # Claude's


def test_an_answer_with_the_date_of_today_is_given_and_not_kept(asker: Asker, claude: ClaudeStandIn) -> None:
    today = timezone.now().date()
    play_sql(claude, sql_of(today))
    first = asker.ask()
    assert (first.status, first.sql) == ("succeeded", sql_of(today))
    assert not CacheEntry.objects.exists()
    play_sql(claude, sql_of(today - timedelta(days=1)))
    assert not asker.ask().cached
    assert asker.ask().cached


def test_a_question_may_name_the_date_of_today(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, "SELECT name FROM customers WHERE name <> date('now') ORDER BY name")
    question = f"Who ordered since {timezone.now().date()}?"
    asker.ask(question)
    assert asker.ask(question).cached


@pytest.fixture
def elsewhere(asker: Asker) -> Iterator[Asker]:
    """A team in a zone where it is another day than UTC's now, with a database that can be told the zone."""
    zone = "Pacific/Pago_Pago" if timezone.now().hour < 10 else "Pacific/Kiritimati"
    Team.objects.filter(pk=asker.team.pk).update(time_zone=zone)
    with temporary_database("CREATE TABLE customers (id integer PRIMARY KEY, name text)") as url:
        database = database_add(name="far", url=url, teams=[asker.team], actor="test")
        schema_sync(database.pk)
        asker.team.refresh_from_db()
        yield replace(asker, database=database)


def test_today_is_the_day_of_the_team(elsewhere: Asker, claude: ClaudeStandIn) -> None:
    now = timezone.now()
    theirs = now.astimezone(ZoneInfo(str(elsewhere.team.time_zone))).date()
    assert theirs != now.date()
    play_sql(claude, sql_of(theirs))
    assert not elsewhere.ask(database="far").cached
    assert str(theirs) in str(claude.requests[-1].body["messages"])
    assert not CacheEntry.objects.exists()
    play_sql(claude, sql_of(now.date()))
    assert not elsewhere.ask(database="far").cached
    assert elsewhere.ask(database="far").cached
