"""However many ask the same at once, one asks Claude: what the others are given, and that nobody hangs."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from teams.models import Charge, Team
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.processes import database_url
from tests.teams.spending import spend
from tests.text2sql.services.conftest import SQL, Asker, assert_settled, play_sql
from tests.text2sql.services.crowds import (
    Gate,
    asked_at_once,
    assert_all_over,
    claude,
    gate,
    gone_through,
    messages,
    outcome_of,
    parted,
    steps_of,
    until,
    waiting,
)  # fmt: skip
from tests.text2sql.targets.conftest import temporary_database
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import CacheEntry, DatabaseAccess, Flight, Generation
from text2sql.problems import Problem
from text2sql.services.databases import database_add
from text2sql.services.generation import Question, Trial, generation_create, generation_queue, generation_resume
from text2sql.services.rules import rules_current
from text2sql.services.syncing import schema_sync
from text2sql.services.targets import Rung

__all__ = ["claude", "gate"]

DEAR, CHEAP = "claude-sonnet-5-5", "claude-haiku-5-5"


# --- One call -------------------------------------------------------------------------------------------------------


def test_of_thirty_that_ask_the_same_at_once_one_asks_claude(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    play_sql(claude)
    with asked_at_once(claude, *[asker.ask] * 30) as asked:
        gate.opened.set()
    first, others = parted(asked)
    assert (messages(claude), len(others)) == (1, 29)
    assert first.cost_usd == claude.billed[0].cost > 0
    stored = Generation.objects.filter(cached=True)
    told = {(each.sql, each.status, each.origin_id, each.saved_usd, each.cost_usd, each.model) for each in stored}
    assert told == {(SQL, "succeeded", first.pk, first.cost_usd, Decimal(0), DEAR)}
    assert stored.count() == 29
    assert all("wait_for_same" in steps_of(each) for each in stored)
    assert Charge.objects.count() == 1
    assert_settled(first)
    assert_all_over()
    later = asker.ask()
    assert (later.origin_id, later.saved_usd) == (first.pk, first.cost_usd)


def test_other_questions_do_not_wait(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    play_sql(claude, times=2)
    with (
        asked_at_once(claude, lambda: asker.ask("Who are the customers?")) as one,
        asked_at_once(claude, lambda: asker.ask("Who are the buyers?")) as other,
    ):
        assert (messages(claude), waiting()) == (2, 0)
        gate.opened.set()
    assert not any(each.cached for each in gone_through(one + other))


def test_teams_with_the_same_view_wait_for_one_another_and_others_never_do(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    twin, narrow = TeamFactory(slug="twin"), TeamFactory(slug="narrow")
    DatabaseAccess.objects.create(team=twin, database=asker.database)
    DatabaseAccess.objects.create(team=narrow, database=asker.database, hidden_columns=["customers.email"])
    principals = {team.pk: make_key(team)[2] for team in (twin, narrow)}

    def ask_as(team: Team) -> Generation:
        question = Question(team.pk, "shop", "Who are the customers?")
        return generation_create(principal=principals[team.pk], question=question)

    play_sql(claude, times=2)
    with (
        asked_at_once(claude, lambda: ask_as(narrow)) as apart,
        asked_at_once(claude, asker.ask, lambda: ask_as(twin)) as together,
    ):
        gate.opened.set()
    first, (shared,) = parted(together)
    assert (shared.team_id, shared.origin_id, shared.cost_usd, shared.sql) == ("twin", first.pk, 0, SQL)
    (other,) = gone_through(apart)
    assert (other.cached, other.origin_id, messages(claude)) == (False, None, 2)


def test_queued_questions_wait_too(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    question = Question(asker.team.pk, "shop", "Who are the customers?")
    queued = generation_queue(principal=asker.principal, question=question)
    Generation.objects.filter(pk=queued.pk).update(status="running")
    queued.status = Generation.Status.RUNNING
    play_sql(claude)
    with asked_at_once(
        claude, asker.ask, lambda: generation_resume(principal=asker.principal, generation=queued)
    ) as asked:
        gate.opened.set()
    first, _ = parted(asked)
    stored = Generation.objects.get(pk=queued.pk)
    assert (stored.status, stored.cached, stored.sql, stored.origin_id) == ("succeeded", True, SQL, first.pk)
    assert (stored.saved_usd, messages(claude)) == (first.cost_usd, 1)
    assert_all_over()


def test_nobody_who_waits_holds_a_connection(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    play_sql(claude)
    most = connection.settings_dict["OPTIONS"]["pool"]["max_size"]
    pool = connection.pool  # type: ignore[attr-defined]  # PostgreSQL's has one
    in_use = []
    with (
        psycopg.connect(database_url(), autocommit=True) as watcher,
        asked_at_once(claude, *[asker.ask] * (2 * most)) as asked,
    ):
        for _ in range(40):
            found = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
                " AND pid <> pg_backend_pid()"
            ).fetchone()
            assert found is not None
            stats = pool.get_stats()
            in_use.append((stats["pool_size"] - stats["pool_available"], found[0]))
            time.sleep(0.02)
        assert waiting() == 2 * most - 1
        gate.opened.set()
    gone_through(asked)
    assert min(in_use) <= (1, 0)  # the test's own


# --- The first comes to nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["max_tokens", "refusal"])
def test_where_the_first_fails_the_others_ask_and_each_ends(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, problem: str
) -> None:
    claude.play(problem)
    play_sql(claude, times=4)
    with asked_at_once(claude, *[asker.ask] * 5) as asked:
        gate.opened.set()
    failed, *others = [each.result(60) for each in asked]
    assert isinstance(failed, Problem)
    assert {other.status for other in others if isinstance(other, Generation)} == {"succeeded"}
    assert len(gone_through(asked[1:])) == 4
    assert 2 <= messages(claude) <= 5
    assert Generation.objects.filter(status="failed").count() == 1
    assert_all_over()


def test_where_all_fail_each_is_told_so(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    claude.play("max_tokens", times=5)
    with asked_at_once(claude, *[asker.ask] * 5) as asked:
        gate.opened.set()
    outcomes = [each.result(60) for each in asked]
    assert len({outcome.kind for outcome in outcomes if isinstance(outcome, Problem)}) == 1
    assert all(isinstance(outcome, Problem) for outcome in outcomes)
    assert Generation.objects.filter(status="failed").count() == 5
    assert_all_over()


@pytest.mark.parametrize("status", ["cannot_answer", "clarify"])
def test_those_who_wait_are_asked_back_or_declined_with_the_first_and_the_next_who_asks_is_not(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, status: str
) -> None:
    claude.play("answer", sql="", status=status, explanation="Which ones?", choices=["A", "B"])
    with asked_at_once(claude, *[asker.ask] * 5) as asked:
        gate.opened.set()
    first, others = parted(asked)
    assert messages(claude) == 1
    said = {(each.status, each.explanation, tuple(each.choices), each.sql) for each in (first, *others)}
    assert said == {(status, "Which ones?", tuple(first.choices), "")}
    assert {each.origin_id for each in others} == {first.pk}
    play_sql(claude)
    assert asker.ask().status == "succeeded"
    assert_all_over()


def test_an_answer_that_is_not_kept_is_given_to_those_who_wait(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    sql = f"SELECT name FROM customers WHERE name <> '{timezone.now().date()}' ORDER BY name"  # noqa: S608  # Claude's
    play_sql(claude, sql)
    with asked_at_once(claude, *[asker.ask] * 6) as asked:
        gate.opened.set()
    first, others = parted(asked)
    assert messages(claude) == 1
    assert {(each.sql, each.origin_id, each.saved_usd) for each in others} == {(sql, first.pk, first.cost_usd)}
    assert not CacheEntry.objects.exists()
    play_sql(claude)
    assert not asker.ask().cached
    assert_all_over()


def test_a_spent_budget_has_the_crowd_answered_by_the_cheaper_model(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    BudgetFactory(team=asker.team, limit_usd=Decimal(5), at_limit="degrade", degrade_from=90, thresholds=[])
    spend(asker.team, Decimal("4.55"), now=timezone.now())
    play_sql(claude)
    with asked_at_once(claude, *[asker.ask] * 12) as asked:
        gate.opened.set()
    first, others = parted(asked)
    assert [bill.model for bill in claude.billed] == [CHEAP]
    assert {(each.model, each.rung, each.sql) for each in [first, *others]} == {(CHEAP, "degraded", SQL)}
    assert {each.origin_id for each in others} == {first.pk}
    assert Generation.objects.filter(rung="degraded", status="succeeded").count() == 12
    assert_all_over()


def test_a_budget_without_a_cheaper_model_refuses_each_of_them(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team, limit_usd=Decimal("0.000001"), thresholds=[])
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(outcome_of, asker.ask) for _ in range(8)]
    assert {getattr(each.result(), "kind", None) for each in asked} == {"request-too-expensive"}
    assert messages(claude) == 0
    assert_all_over()


def test_the_day_of_one_team_is_not_given_to_a_team_whose_day_is_another(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    near, twin, far = TeamFactory(slug="near"), TeamFactory(slug="twin"), TeamFactory(slug="far")
    Team.objects.filter(pk__in=["near", "twin"]).update(time_zone="Pacific/Kiritimati")
    Team.objects.filter(pk="far").update(time_zone="Pacific/Pago_Pago")  # 25 hours behind
    principals = {team.pk: make_key(team)[2] for team in (near, twin, far)}

    def ask_as(team: Team) -> Generation:
        return generation_create(principal=principals[team.pk], question=Question(team.pk, "dated", "Since today?"))

    days = [timezone.now().astimezone(ZoneInfo(f"Pacific/{place}")).date() for place in ("Kiritimati", "Pago_Pago")]
    sqls = [f"SELECT name FROM customers WHERE name <> '{day}'" for day in days]  # noqa: S608  # Claude's
    for sql in sqls:
        play_sql(claude, sql)
    with temporary_database("CREATE TABLE customers (id integer PRIMARY KEY, name text)") as url:
        schema_sync(database_add(name="dated", url=url, teams=[near, twin, far], actor="test").pk)
        with (
            asked_at_once(claude, partial(ask_as, near), partial(ask_as, twin)) as together,
            asked_at_once(claude, partial(ask_as, far)) as apart,
        ):
            gate.opened.set()
    first, (same,) = parted(together)
    (other,) = gone_through(apart)
    assert (same.sql, same.origin_id) == (sqls[0], first.pk)
    assert (other.cached, other.sql, messages(claude)) == (False, sqls[1], 2)


# --- Nothing is shared ----------------------------------------------------------------------------------------------


def test_with_the_cache_off_each_asks_for_itself(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    settings.ENABLE_CACHE = False
    play_sql(claude, times=3)
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(outcome_of, asker.ask) for _ in range(3)]
        until(lambda: messages(claude) == 3, "each of them asks Claude")
        assert not Flight.objects.exists()
        gate.opened.set()
    assert not any(each.cached for each in gone_through(asked))


def test_an_evaluation_neither_waits_nor_is_waited_for(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    play_sql(claude, times=3)
    trial = Trial(Rung(DEAR, ""), rules_current())
    with ThreadPoolExecutor(2) as threads:
        tried = [threads.submit(outcome_of, lambda: asker.ask(trial=trial)) for _ in range(2)]
        until(lambda: messages(claude) == 2, "both are tried")
        assert not Flight.objects.exists()
        with asked_at_once(claude, asker.ask, asker.ask) as asked:
            assert messages(claude) == 3
            gate.opened.set()
    assert {(each.cached, each.cache_key) for each in gone_through(tried)} == {(False, "")}
    parted(asked)
    assert_all_over()
