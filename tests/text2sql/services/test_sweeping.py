"""A question that its process left behind is ended, paid at its bound and traced, once."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from observability.models import Trace
from observability.services.traces import trace_id_for
from teams.models import BudgetWindow, Charge, Reservation
from teams.services.budgets import Spender, budget_reserve
from tests.factories import BudgetFactory
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.services.conftest import Asker, assert_settled, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Attempt, Generation
from text2sql.services.sweeping import questions_sweep

HELD = Decimal("0.05")


def leave_behind(asker: Asker, *, ago: float = 1.0, reserved: bool = True) -> Generation:
    """What a process that was killed in mid-call leaves: the rows that it had committed by then."""
    now, pk = timezone.now(), uuid4()
    lost_at = now - timedelta(seconds=ago)
    generation = Generation.objects.create(
        id=pk, team=asker.team, database=asker.database, question="Lost?", dialect="sqlite", schema_version="0" * 16,
        prompt_version="test", model="claude-sonnet-5-5", trace_id=trace_id_for(f"generation:{pk}"),
        created_at=now - timedelta(minutes=2), lost_at=lost_at,
    )  # fmt: skip
    if reserved:
        with transaction.atomic():
            attempt = Attempt.objects.create(
                generation=generation, number=1, model=generation.model, max_tokens=4096, started_at=now
            )
            budget_reserve(
                attempt_id=attempt.pk,
                generation_id=pk,
                spender=Spender(asker.team.pk),
                least=HELD,
                most=HELD,
                now=now,
                expires_at=lost_at,
            )
    return generation


def test_a_lost_question_is_ended_booked_at_its_bound_and_traced(asker: Asker, langfuse: LangfuseStandIn) -> None:
    budget = BudgetFactory(team=asker.team)
    lost = leave_behind(asker)
    assert questions_sweep() == 1
    stored = assert_settled(lost)
    assert (stored.status, stored.problem, stored.cost_usd) == ("failed", "question-lost", HELD)
    attempt = stored.attempts.get()
    assert (attempt.status, attempt.problem) == ("failed", "question-lost")
    charge = Charge.objects.get()
    assert (charge.cost_usd, charge.estimated, charge.database) == (HELD, True, "shop")
    window = BudgetWindow.objects.get(budget=budget)
    assert (window.spent_usd, window.reserved_usd) == (HELD, 0)
    trace = Trace.objects.get()
    assert trace.trace_id == lost.trace_id
    assert "question-lost" in str(trace.payload)


def test_sweeping_again_changes_nothing(asker: Asker, langfuse: LangfuseStandIn) -> None:
    lost = leave_behind(asker)
    questions_sweep()
    before = Generation.objects.values().get(pk=lost.pk)
    assert questions_sweep() == 0
    assert Generation.objects.values().get(pk=lost.pk) == before
    assert Charge.objects.count() == Trace.objects.count() == 1


def test_a_question_that_may_still_be_answered_is_left_alone(asker: Asker) -> None:
    leave_behind(asker, ago=-30)
    assert questions_sweep() == 0
    assert Generation.objects.get().status == "running"
    assert Reservation.objects.exists()


def test_a_question_lost_between_two_attempts_is_ended_without_a_charge(asker: Asker) -> None:
    lost = leave_behind(asker, reserved=False)
    assert questions_sweep() == 1
    assert assert_settled(lost).cost_usd == 0


def test_money_held_for_a_question_that_has_ended_is_booked_too(asker: Asker) -> None:
    lost = leave_behind(asker)
    Generation.objects.update(status="failed")
    Attempt.objects.update(status="failed")
    assert questions_sweep() == 1
    assert not Reservation.objects.exists()
    assert Charge.objects.get().generation_id == lost.pk
    assert questions_sweep() == 0


def test_one_run_ends_no_more_than_its_limit(asker: Asker) -> None:
    for _ in range(3):
        leave_behind(asker)
    assert questions_sweep(limit=2) == 2
    assert Generation.objects.filter(status="running").count() == 1


@pytest.mark.services
def test_two_sweepers_at_once_end_each_question_once(asker: Asker, langfuse: LangfuseStandIn) -> None:
    BudgetFactory(team=asker.team, limit_usd=Decimal(100))
    for _ in range(25):
        leave_behind(asker)
    counts: list[int] = []
    run_together(4, lambda: counts.append(questions_sweep()))
    questions_sweep()
    assert Generation.objects.filter(status="failed", problem="question-lost", cost_usd=HELD).count() == 25
    assert Charge.objects.count() == Trace.objects.count() == 25
    assert BudgetWindow.objects.get().spent_usd == 25 * HELD
    assert BudgetWindow.objects.get().reserved_usd == 0
    assert len(counts) == 4


def test_an_answer_that_comes_after_the_sweep_is_refused_and_not_charged_twice(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    # The sweeper takes the question while Claude is answering: the late answer must change nothing.
    look_up = claude._desk.lookup

    def sweep_first(database: str, question: str) -> object:
        Generation.objects.update(lost_at=timezone.now() - timedelta(seconds=1))
        assert questions_sweep() == 1
        connection.close()
        return look_up(database, question)

    claude._desk.lookup = sweep_first  # type: ignore[assignment]  # it answers as the one it wraps
    problem = asker.problem_of()
    assert (problem.kind, problem.type.status) == ("question-lost", 500)
    stored = assert_settled()
    assert (stored.status, stored.problem) == ("failed", "question-lost")
    assert Charge.objects.get().estimated
    claude._desk.lookup = look_up
    play_sql(claude)
    assert asker.ask().status == "succeeded"


def run_together(count: int, work: Callable[[], object]) -> None:
    start = Barrier(count)

    def one() -> None:
        start.wait()
        try:
            work()
        finally:
            connection.close()

    threads = [Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
