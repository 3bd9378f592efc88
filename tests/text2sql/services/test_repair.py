"""SQL that does not pass goes back with what is wrong with it: at most twice, and only for a concrete finding."""

from decimal import Decimal

import pytest
from pytest_django import Settings

from teams.models import Budget, Charge, Team
from tests.factories import BudgetFactory
from tests.text2sql.services.conftest import SQL, Asker, assert_settled, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Attempt, Generation
from text2sql.services.events import Event
from text2sql.services.generation import Question, generation_create

pytestmark = pytest.mark.django_db(transaction=True)

WRONG = "SELECT nme FROM customers"


def last_words(claude: ClaudeStandIn) -> str:
    return str(claude.requests[-1].body["messages"][-1]["content"])


def test_wrong_sql_goes_back_with_its_finding_and_the_mended_one_is_the_answer(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    play_sql(claude, WRONG)
    play_sql(claude)
    answer = asker.ask()
    assert (answer.status, answer.rung, answer.attempt_count) == ("succeeded", "repair", 2)
    first, second = answer.attempts.all()
    assert (first.kind, second.kind) == ("first", "repair")
    assert first.sql == WRONG
    assert "nme" in str(first.finding)
    assert second.finding is None
    assert "nme" in last_words(claude)
    assert claude.requests[-1].body["messages"][-2]["role"] == "assistant"
    assert Charge.objects.filter(generation_id=answer.pk).count() == 2
    assert_settled(answer)


def test_a_mended_answer_is_cached(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, WRONG)
    play_sql(claude)
    asker.ask()
    assert asker.ask().cached


def test_what_stays_broken_is_a_problem_with_the_last_sql_and_is_never_cached(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    play_sql(claude, WRONG, times=3)
    problem = asker.problem_of()
    assert problem.type.status == 422
    assert problem.extras["sql"] == WRONG
    assert len(claude.requests) == 3
    play_sql(claude)
    assert not asker.ask().cached


def test_a_good_answer_is_one_call(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    asker.ask()
    assert len(claude.requests) == 1


def test_a_repair_may_be_another_models(asker: Asker, claude: ClaudeStandIn) -> None:
    Team.objects.update(repair_model="claude-opus-5-5", repair_effort="high")
    play_sql(claude, WRONG)
    play_sql(claude)
    answer = asker.ask()
    sent = claude.requests[-1].body
    assert (sent["model"], sent["output_config"]["effort"]) == ("claude-opus-5-5", "high")
    assert "cache_control" not in str(sent["system"])
    assert answer.model == "claude-opus-5-5"
    assert {charge.model for charge in Charge.objects.all()} == {"claude-sonnet-5-5", "claude-opus-5-5"}


def test_a_repair_that_money_does_not_allow_is_not_made(asker: Asker, claude: ClaudeStandIn) -> None:
    budget = BudgetFactory(team=asker.team, limit_usd=Decimal("0.0001"))
    least = Decimal(asker.problem_of().extras["needed_usd"])
    Generation.objects.all().delete()
    Budget.objects.filter(pk=budget.pk).update(limit_usd=least)
    play_sql(claude, WRONG)
    problem = asker.problem_of()
    assert problem.extras["sql"] == WRONG
    assert "no money for another try" in problem.detail
    assert len(claude.requests) == 1
    assert_settled()


def test_who_listens_hears_the_way(asker: Asker, claude: ClaudeStandIn, settings: Settings) -> None:
    heard: list[Event] = []
    play_sql(claude, WRONG)
    play_sql(claude)
    question = Question(asker.team.pk, "shop", "Who listens?")
    generation_create(principal=asker.principal, question=question, listener=heard.append)
    names = [event.name for event in heard]
    assert names[:2] == ["context", "attempt"]
    assert names.count("attempt") == 2
    assert names.count("finding") == 1
    second = names.index("attempt", 2)
    assert "".join(e.data["delta"] for e in heard[:second] if e.name == "sql") == WRONG
    assert "".join(e.data["delta"] for e in heard[second:] if e.name == "sql") == SQL


def test_claude_may_ask_back_and_be_answered(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.play("answer", status="clarify", explanation="Which year?", choices=["2025", "2026"])
    asked = asker.ask("Revenue of the year?")
    assert (asked.status, asked.choices, asked.sql) == (Generation.Status.CLARIFY, ["2025", "2026"], "")
    assert asked.explanation == "Which year?"
    play_sql(claude)
    answer = asker.ask("2026", parent_id=asked.pk)
    assert answer.status == Generation.Status.SUCCEEDED
    assert answer.parent == asked
    assert "Which year?" in last_words(claude)
    assert Attempt.objects.count() == 2
