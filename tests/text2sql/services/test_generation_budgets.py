"""What a question does where money is short: it waits, is shrunk, goes to the cheaper model, or is refused."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from moto.server import ThreadedMotoServer
from pytest_django import Settings

from observability.models import Alert, Trace
from observability.services.traces import traces_export
from teams.models import Budget, BudgetWindow, Charge, ModelLimit, Reservation, Team
from teams.services.model_limits import model_limits_forget
from tests.factories import BudgetFactory
from tests.standins.langfuse import LangfuseStandIn
from tests.teams.spending import figures, reserve, settle, spend
from tests.text2sql.services.conftest import Asker, assert_settled, play_sql
from text2sql.cache.answers import answer_cache
from text2sql.cache.table import table_ensure
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation
from text2sql.services.admission import WAIT_SECONDS

DEAR, CHEAP = "claude-sonnet-5-5", "claude-haiku-5-5"
CAP = 4096


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    """A process keeps the models' limits for a minute."""
    model_limits_forget()
    yield
    model_limits_forget()


def worst_case(asker: Asker, *, whole: bool = True) -> Decimal:
    """What a call may cost at most, with all its output tokens or with the fewest; asked as a client would learn it."""
    limit = ModelLimit.objects.create(model=DEAR, floor_tokens=CAP if whole else 1024)
    model_limits_forget()
    budget = BudgetFactory(team=asker.team, period="week", limit_usd=0)
    needed = Decimal(asker.problem_of().extras["needed_usd"])
    budget.delete()
    limit.delete()
    model_limits_forget()
    Generation.objects.all().delete()
    Alert.objects.all().delete()
    return needed


def in_background(seconds: float, work: Callable[[], object]) -> Thread:
    def run() -> None:
        time.sleep(seconds)
        try:
            work()
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    return thread


def present(budget: Budget) -> tuple[Decimal | int, Decimal | int]:
    return figures(budget, at=timezone.now())


# --- Waiting --------------------------------------------------------------------------------------------------------


def test_a_question_waits_for_money_that_a_running_one_gives_back(asker: Asker, claude: ClaudeStandIn) -> None:
    worst = worst_case(asker)
    budget = BudgetFactory(team=asker.team, limit_usd=worst)
    other = reserve(asker.team, worst, now=timezone.now())
    giving = in_background(0.5, lambda: settle(asker.team, other, "0"))
    play_sql(claude)
    answer = asker.ask()
    giving.join()
    assert (answer.status, answer.attempts.get().is_shrunk) == ("succeeded", False)
    assert present(budget) == (claude.billed[0].cost, 0)


def test_after_two_seconds_it_is_told_to_come_back(asker: Asker, claude: ClaudeStandIn) -> None:
    worst = worst_case(asker)
    budget = BudgetFactory(team=asker.team, limit_usd=worst)
    reserve(asker.team, worst, now=timezone.now())
    begun = time.monotonic()
    problem = asker.problem_of()
    assert time.monotonic() - begun > WAIT_SECONDS - 0.5
    assert (problem.kind, problem.type.status, problem.retry_after) == ("budget-in-flight", 402, 2.0)
    assert (problem.extras["reason"], Decimal(problem.extras["reserved_usd"])) == ("in_flight", worst)
    assert claude.requests == []
    assert present(budget) == (0, worst)
    assert not Alert.objects.exists()  # it passes by itself


def test_a_spent_budget_is_not_waited_for_and_its_people_are_told_once(asker: Asker, claude: ClaudeStandIn) -> None:
    budget = BudgetFactory(team=asker.team, limit_usd=worst_case(asker), thresholds=[])
    spend(asker.team, budget.limit_usd / 2, now=timezone.now())
    spend(asker.team, budget.limit_usd / 4, now=timezone.now())
    problems = [asker.problem_of(f"Number {number}?") for number in range(3)]
    assert {problem.kind for problem in problems} == {"budget-exhausted"}
    assert claude.requests == []
    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.scope, alert.level) == ("budget_exhausted", asker.team.pk, "critical")


def test_questions_that_are_used_up_are_told_with_the_end_of_the_period(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team, request_limit=1)
    play_sql(claude)
    asker.ask()
    problem = asker.problem_of("Another?")
    assert (problem.kind, problem.type.status) == ("requests-exhausted", 402)
    assert problem.retry_after is not None
    assert 0 < problem.retry_after <= 24 * 3600
    assert asker.ask().cached  # the first one again


def test_a_call_above_the_cap_is_refused_and_time_will_not_help(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team, request_cap_usd=Decimal("0.001"))
    problem = asker.problem_of()
    assert (problem.kind, problem.retry_after) == ("request-too-expensive", None)
    assert problem.extras["cap_usd"] == "0.001"
    assert claude.requests == []


# --- Shrinking ------------------------------------------------------------------------------------------------------


def test_where_money_is_short_the_call_may_write_less(asker: Asker, claude: ClaudeStandIn) -> None:
    least, most = worst_case(asker, whole=False), worst_case(asker)
    BudgetFactory(team=asker.team, limit_usd=(least + most) / 2)
    play_sql(claude)
    attempt = asker.ask().attempts.get()
    assert attempt.is_shrunk
    assert attempt.max_tokens == claude.requests[0].body["max_tokens"]
    assert abs(attempt.max_tokens - (1024 + CAP) // 2) <= 1
    assert_settled()


def test_below_the_floor_nothing_is_called(asker: Asker, claude: ClaudeStandIn) -> None:
    least = worst_case(asker, whole=False)
    BudgetFactory(team=asker.team, limit_usd=least - Decimal("1e-12"))
    problem = asker.problem_of()
    assert (problem.kind, Decimal(problem.extras["needed_usd"])) == ("request-too-expensive", least)
    Budget.objects.update(limit_usd=least)
    play_sql(claude)
    assert asker.ask().attempts.get().max_tokens == claude.requests[0].body["max_tokens"] == 1024


def test_an_observed_floor_holds_too(asker: Asker, claude: ClaudeStandIn) -> None:
    least = worst_case(asker, whole=False)
    ModelLimit.objects.create(model=DEAR, observed_p99=2000, observed_calls=500, observed_at=timezone.now())
    model_limits_forget()
    BudgetFactory(team=asker.team, limit_usd=least)
    assert asker.problem_of().kind == "request-too-expensive"
    assert claude.requests == []


def cut_then_answered(asker: Asker, claude: ClaudeStandIn, meanwhile: Callable[[], object]) -> None:
    """The first answer is cut off; `meanwhile` happens while it is being written."""
    look_up = claude._desk.lookup

    def watched(database: str, question: str) -> Any:
        claude._desk.lookup = look_up
        meanwhile()
        connection.close()
        return look_up(database, question)

    claude._desk.lookup = watched
    claude.play("max_tokens")
    play_sql(claude)


def test_an_answer_that_was_cut_for_want_of_money_is_asked_for_once_more_in_full(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    least, most = worst_case(asker, whole=False), worst_case(asker)
    budget = BudgetFactory(team=asker.team, limit_usd=least + 2 * most)
    other = reserve(asker.team, 2 * most, now=timezone.now())
    cut_then_answered(asker, claude, lambda: settle(asker.team, other, "0"))
    answer = asker.ask()
    first, second = answer.attempts.order_by("number")
    assert (first.is_shrunk, first.max_tokens, first.stop_reason) == (True, 1024, "max_tokens")
    assert (second.is_shrunk, second.max_tokens, second.stop_reason) == (False, CAP, "end_turn")
    assert answer.status == "succeeded"
    assert present(budget) == (sum(bill.cost for bill in claude.billed), 0)
    assert_settled(answer)


def test_without_the_money_for_all_of_it_the_cut_answer_ends_the_question(asker: Asker, claude: ClaudeStandIn) -> None:
    least, most = worst_case(asker, whole=False), worst_case(asker)
    BudgetFactory(team=asker.team, limit_usd=(least + most) / 2)
    claude.play("max_tokens")
    problem = asker.problem_of()
    assert (problem.kind, len(claude.requests)) == ("answer-truncated", 1)
    assert "no money" in problem.detail
    assert assert_settled().cost_usd == claude.billed[0].cost


def test_an_answer_that_is_simply_too_long_is_not_asked_for_again(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team)
    claude.play("max_tokens")
    assert asker.problem_of().kind == "answer-truncated"
    assert len(claude.requests) == 1


# --- The cheaper model ----------------------------------------------------------------------------------------------


@pytest.fixture
def scarce(asker: Asker) -> Budget:
    """A budget of five dollars that has the cheaper model answer from 90 % on, with 91 % spent."""
    budget = BudgetFactory(team=asker.team, limit_usd=Decimal(5), at_limit="degrade", degrade_from=90, thresholds=[])
    spend(asker.team, Decimal("4.55"), now=timezone.now())
    return budget


def test_the_cheaper_model_answers_and_says_so(
    asker: Asker, claude: ClaudeStandIn, scarce: Budget, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    answer = asker.ask()
    assert (answer.model, answer.degraded, answer.cached) == (CHEAP, True, False)
    assert [request.body["model"] for request in claude.requests] == [CHEAP]
    stored = assert_settled(answer)
    assert (stored.degraded, stored.rung, stored.attempts.get().model) == (True, "degraded", CHEAP)
    assert Charge.objects.get(generation_id=answer.pk).model == CHEAP
    traces_export()
    root = langfuse.traces()[answer.trace_id].root
    assert root is not None
    assert root.metadata["rung"] == "degraded"


def test_a_team_names_its_own_cheaper_model(asker: Asker, claude: ClaudeStandIn, scarce: Budget) -> None:
    Team.objects.update(degraded_model="claude-haiku-4-5-20251001")
    play_sql(claude)
    assert asker.ask().model == "claude-haiku-4-5-20251001"


def test_below_its_percent_the_usual_model_answers(asker: Asker, claude: ClaudeStandIn, scarce: Budget) -> None:
    Budget.objects.update(degrade_from=92)
    play_sql(claude)
    answer = asker.ask()
    assert (answer.model, answer.degraded) == (DEAR, False)


def test_the_cheaper_model_is_not_asked_to_repair_what_it_wrote(
    asker: Asker, claude: ClaudeStandIn, scarce: Budget
) -> None:
    play_sql(claude, "SELECT nowhere FROM customers")
    play_sql(claude)
    assert asker.problem_of().kind.startswith("sql-")
    assert len(claude.requests) == 1
    assert_settled(Generation.objects.get())


def test_an_answer_that_the_cheaper_model_gave_before_is_given_again(
    asker: Asker, claude: ClaudeStandIn, scarce: Budget
) -> None:
    play_sql(claude)
    first, again = asker.ask(), asker.ask()
    assert (again.cached, again.sql, again.model, again.degraded) == (True, first.sql, CHEAP, True)
    assert len(claude.requests) == 1
    Budget.objects.update(degrade_from=100)
    play_sql(claude)
    usual = asker.ask()
    assert (usual.cached, usual.model, usual.degraded) == (False, DEAR, False)


def test_at_the_limit_only_cached_answers_are_left(asker: Asker, claude: ClaudeStandIn, scarce: Budget) -> None:
    play_sql(claude)
    asker.ask()
    spent, _ = present(scarce)
    Budget.objects.filter(pk=scarce.pk).update(limit_usd=spent)
    assert asker.ask().cached
    problem = asker.problem_of("Another one?")
    assert (problem.kind, len(claude.requests)) == ("budget-exhausted", 1)
    refused = Generation.objects.get(status="failed")
    assert (refused.degraded, refused.cost_usd) == (True, 0)
    assert present(scarce) == (spent, 0)


def test_a_budget_that_does_not_speak_of_the_cheaper_model_never_asks_it(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team, limit_usd=Decimal("0.001"))
    assert asker.problem_of().kind == "request-too-expensive"
    assert claude.requests == []


# --- Cached answers -------------------------------------------------------------------------------------------------


@pytest.fixture
def dynamo_store(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Answers are cached in DynamoDB, which charges for each read."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    settings.DYNAMODB_ENDPOINT_URL = "http://{}:{}".format(*server.get_host_and_port())
    settings.CACHE_TABLE_NAME, settings.AWS_REGION = "budget-answers", "eu-central-1"
    answer_cache.cache_clear()
    table_ensure()
    yield
    server.stop()


def test_a_cached_answer_is_charged_what_its_store_costs_and_never_refused(
    asker: Asker, claude: ClaudeStandIn, settings: Settings, dynamo_store: None
) -> None:
    settings.DYNAMODB_USD_PER_MILLION_READS = Decimal(2)
    play_sql(claude)
    first = asker.ask(end_user="nina")
    budgets = [
        BudgetFactory(team=asker.team, limit_usd=0, request_limit=0), BudgetFactory(team=None, limit_usd=0),
        BudgetFactory(team=asker.team, api_key=asker.key, limit_usd=0),
    ]  # fmt: skip
    again = asker.ask(end_user="otto")
    read_cost = Decimal("0.000001")
    assert (again.cached, again.cost_usd, len(claude.requests)) == (True, read_cost, 1)
    charge = Charge.objects.get(cached=True)
    assert (charge.generation_id, charge.attempt_id, charge.cost_usd) == (again.pk, again.pk, read_cost)
    assert (charge.end_user, charge.model, charge.api_key_id, charge.estimated) == ("otto", DEAR, asker.key.pk, False)
    assert {present(budget) for budget in budgets} == {(first.cost_usd + read_cost, 0)}
    assert {window.requests for window in BudgetWindow.objects.all()} == {0}
    assert not Reservation.objects.exists()


def test_a_cached_answer_from_postgres_is_not_in_the_ledger(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    asker.ask()
    assert asker.ask().cached
    assert Charge.objects.count() == 1


def test_every_refusal_leaves_a_trace_with_its_reason(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    BudgetFactory(team=asker.team, limit_usd=0)
    problem = asker.problem_of()
    stored = assert_settled()
    assert (stored.status, stored.problem) == ("failed", "request-too-expensive")
    assert problem.extras["generation_id"] == str(stored.pk)
    assert "request-too-expensive" in str(Trace.objects.get().payload)
