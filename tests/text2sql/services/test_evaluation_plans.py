"""Scheduled evaluations: begun when due, resumed after a death, paused by budgets and slices, and drops are told."""

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from observability.models import Alert, AlertDelivery, AuditEntry
from teams.models import Budget, Charge, Membership
from tests.factories import BudgetFactory, MembershipFactory, TeamFactory, UserFactory
from tests.text2sql.services.conftest import Asker
from tests.text2sql.services.test_evaluation import playing
from tests.text2sql.services.test_sweeping import run_together
from text2sql.models import Database, DatabaseAccess, EvaluationItem, EvaluationPlan, EvaluationRun
from text2sql.services.evaluation import PAUSED
from text2sql.services.evaluation_plans import plan_crew, plan_save, plans_run
from text2sql.services.examples import example_publish
from text2sql.settings import CELERY_BEAT_SCHEDULE
from text2sql.tasks import run_evaluation_plans

APPROVED = {
    "How many customers are there?": "SELECT COUNT(*) AS n FROM customers",
    "How many orders are there?": "SELECT COUNT(*) AS n FROM orders",
    "Who spent the most?": "SELECT customer_id FROM orders GROUP BY customer_id ORDER BY SUM(amount) DESC LIMIT 1",
    "Which regions are there?": "SELECT region FROM customers",
    "What is the average amount?": "SELECT AVG(amount) AS mean FROM orders",
}
QUESTIONS = list(APPROVED)
WRONG = dict.fromkeys(QUESTIONS, "SELECT 1234 AS n")


def wrong(*places: int) -> dict[str, str]:
    return APPROVED | {QUESTIONS[place]: WRONG[QUESTIONS[place]] for place in places}


def publish(approved: Mapping[str, str]) -> None:
    access = DatabaseAccess.objects.get(team="sales")
    for question, sql in approved.items():
        example_publish(access=access, question=question, sql=sql, tables=[], generation=None, actor="user:alice")


@pytest.fixture
def plan(asker: Asker) -> EvaluationPlan:
    alice = UserFactory(username="alice")
    MembershipFactory(team=asker.team, user=alice, role=Membership.Role.LEAD)
    UserFactory(username="root", is_superuser=True)
    publish(APPROVED)
    plan = EvaluationPlan(access=DatabaseAccess.objects.get(team="sales"), enabled=True)
    return plan_save(plan=plan, actor="user:alice")


def fresh(plan: EvaluationPlan) -> EvaluationPlan:
    return EvaluationPlan.objects.select_related("run").get(pk=plan.pk)


def make_due(plan: EvaluationPlan) -> None:
    """As if its days had gone by."""
    EvaluationPlan.objects.filter(pk=plan.pk).update(next_run_at=timezone.now())


def days_until(plan: EvaluationPlan) -> float:
    at = fresh(plan).next_run_at
    assert at is not None
    return (at - timezone.now()) / timedelta(days=1)


def run_of(plan: EvaluationPlan) -> EvaluationRun:
    run = fresh(plan).run
    assert run is not None
    return run


def test_a_due_plan_asks_the_approved_questions_by_the_teams_own_ladder(
    asker: Asker, plan: EvaluationPlan, settings: Settings
) -> None:
    asker.team.model, asker.team.effort = "claude-haiku-5-5", ""
    asker.team.save()
    with playing(settings, wrong(0)) as stand_in:
        assert plans_run() == 1
        assert plans_run() == 0
    run = run_of(plan)
    assert (run.status, run.source, run.actor, run.model) == ("finished", "examples", "schedule", "claude-haiku-5-5")
    assert run.accuracy == 0.8
    assert len(stand_in.billed) == len(APPROVED)
    assert {charge.team_id for charge in Charge.objects.all()} == {"sales"}
    assert 6.9 < days_until(plan) <= 7
    assert fresh(plan).claimed_until is None
    assert not Alert.objects.exists()  # there is nothing to compare it with


def test_a_plan_that_is_off_or_not_due_or_of_a_closed_team_does_nothing(
    asker: Asker, plan: EvaluationPlan, settings: Settings
) -> None:
    with playing(settings, APPROVED) as stand_in:
        EvaluationPlan.objects.update(enabled=False)
        assert plans_run() == 0
        EvaluationPlan.objects.update(enabled=True, next_run_at=timezone.now() + timedelta(minutes=1))
        assert plans_run() == 0
        EvaluationPlan.objects.update(next_run_at=None)
        asker.team.active = False
        asker.team.save()
        assert plans_run() == 0
    assert not stand_in.requests
    assert not EvaluationPlan(access=plan.access).enabled


def test_no_more_questions_are_asked_than_the_plan_allows(plan: EvaluationPlan, settings: Settings) -> None:
    EvaluationPlan.objects.update(question_limit=2)
    with playing(settings, APPROVED):
        plans_run()
    assert list(run_of(plan).items.values_list("question", flat=True)) == QUESTIONS[:2]


def test_of_workers_that_look_at_once_one_takes_the_plan(plan: EvaluationPlan, settings: Settings) -> None:
    with playing(settings, APPROVED) as stand_in:
        run_together(4, plans_run)
        assert len(stand_in.billed) == len(APPROVED)
    assert EvaluationRun.objects.count() == 1


def test_the_run_of_a_dead_worker_is_resumed_and_not_begun_anew(plan: EvaluationPlan, settings: Settings) -> None:
    with playing(settings, APPROVED) as stand_in:
        plans_run()
        run = run_of(plan)
        # As a worker leaves it that was killed after three answers.
        left = run.items.filter(number__gt=3)
        EvaluationItem.objects.filter(pk__in=left).update(outcome="")
        soon = timezone.now() + timedelta(seconds=20)
        EvaluationRun.objects.update(status="running", accuracy=None, claimed_until=soon)
        EvaluationPlan.objects.update(next_run_at=None, claimed_until=soon)
        assert plans_run() == 0  # it may be alive
        EvaluationPlan.objects.update(claimed_until=timezone.now())
        assert plans_run() == 1
        assert run_of(plan).status == "running"  # the run is still somebody's
        past = timezone.now() - timedelta(seconds=1)
        EvaluationPlan.objects.update(claimed_until=past)
        EvaluationRun.objects.update(claimed_until=past)
        assert plans_run() == 1
        assert len(stand_in.billed) == len(APPROVED) + 2
    assert EvaluationRun.objects.count() == 1
    assert (run_of(plan).status, run_of(plan).accuracy) == ("finished", 1.0)
    assert days_until(plan) > 6.9


def test_a_run_goes_on_slice_by_slice(plan: EvaluationPlan, settings: Settings) -> None:
    with playing(settings, APPROVED) as stand_in:
        assert plans_run(slice_seconds=0) == 1
        run = run_of(plan)
        assert (run.status, run.stop_reason, run.accuracy) == ("stopped", PAUSED, None)
        assert 0 < run.correct_count < len(APPROVED)
        assert fresh(plan).next_run_at is None
        for _ in APPROVED:
            plans_run(slice_seconds=0)
        assert len(stand_in.billed) == len(APPROVED)
    assert EvaluationRun.objects.count() == 1
    assert (run_of(plan).status, run_of(plan).accuracy) == ("finished", 1.0)


def test_questions_that_fail_do_not_keep_the_others_from_their_turn(plan: EvaluationPlan, settings: Settings) -> None:
    # The verified SQL of the first two no longer runs, which the examples' own check has not seen yet.
    with playing(settings, APPROVED):
        plans_run(slice_seconds=0)
        run = run_of(plan)
        EvaluationItem.objects.filter(run=run, number__lte=2).update(
            gold="SELECT nothing FROM nowhere", outcome="failed"
        )
        for _ in APPROVED:
            plans_run(slice_seconds=0)
    assert (run_of(plan).status, run_of(plan).failed_count) == ("finished", 2)
    assert set(run_of(plan).items.filter(number__gt=2).values_list("outcome", flat=True)) == {"correct"}


def test_a_spent_budget_is_tried_again_after_an_hour_and_given_up_after_a_day(
    asker: Asker, plan: EvaluationPlan, settings: Settings
) -> None:
    BudgetFactory(team=asker.team, request_limit=2)
    with playing(settings, APPROVED) as stand_in:
        plans_run()
        assert run_of(plan).status == "stopped"
        assert "requests-exhausted" in run_of(plan).stop_reason
        assert plans_run() == 0
        held = fresh(plan).claimed_until
        assert held is not None
        assert timedelta(minutes=59) < held - timezone.now() <= timedelta(hours=1)
        EvaluationPlan.objects.update(claimed_until=timezone.now())
        assert plans_run() == 1
        assert len(stand_in.billed) == 2
        EvaluationPlan.objects.update(claimed_until=timezone.now())
        EvaluationRun.objects.update(created_at=timezone.now() - timedelta(hours=25))
        assert plans_run() == 1
    assert days_until(plan) > 6.9
    assert "given up" in fresh(plan).problem
    assert "requests-exhausted" in fresh(plan).problem
    Budget.objects.all().delete()
    make_due(plan)
    with playing(settings, APPROVED):
        assert plans_run() == 1
    assert EvaluationRun.objects.count() == 2
    assert (run_of(plan).accuracy, fresh(plan).problem) == (1.0, "")


def test_a_plan_that_cannot_begin_says_why_and_waits_for_its_next_date(
    asker: Asker, plan: EvaluationPlan, settings: Settings, shop: Path
) -> None:
    with playing(settings, APPROVED) as stand_in:
        plan.access.examples.update(enabled=False)
        assert plans_run() == 1
        assert "no approved examples" in fresh(plan).problem
        assert days_until(plan) > 6.9
        plan.access.examples.update(enabled=True)
        shop.rename(shop.with_suffix(".away"))
        make_due(plan)
        assert plans_run() == 1
        assert "SQLite" in fresh(plan).problem
        Database.objects.update(catalog=None)
        make_due(plan)
        assert plans_run() == 1
        assert "not been read" in fresh(plan).problem
        assert not stand_in.requests
    assert not EvaluationRun.objects.exists()


def test_a_begun_run_waits_where_the_database_is_being_read_anew(plan: EvaluationPlan, settings: Settings) -> None:
    with playing(settings, APPROVED):
        plans_run(slice_seconds=0)
        catalog = Database.objects.get().catalog
        Database.objects.update(catalog=None)
        assert plans_run() == 1
        assert fresh(plan).next_run_at is None
        Database.objects.update(catalog=catalog)
        EvaluationPlan.objects.update(claimed_until=None)
        assert plans_run() == 1
    assert EvaluationRun.objects.get().accuracy == 1


def twice(plan: EvaluationPlan, settings: Settings, then: Mapping[str, str]) -> None:
    with playing(settings, APPROVED):
        plans_run()
    make_due(plan)
    with playing(settings, then):
        plans_run()


def test_a_drop_is_told_to_leads_and_admins_once(plan: EvaluationPlan, settings: Settings) -> None:
    twice(plan, settings, wrong(1, 3))
    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.scope, alert.level) == ("accuracy_drop", "sales", "warning")
    assert alert.subject == "shop, Sales: accuracy 100.0 % → 60.0 %"
    assert [line for line in alert.body.splitlines() if line.startswith("- ")] == [
        f"- {QUESTIONS[1]}", f"- {QUESTIONS[3]}",
    ]  # fmt: skip
    assert AlertDelivery.objects.get(alert=alert).recipients == ["alice@example.com", "root@example.com"]
    # A worker that died after the run and before it was noted leaves the noting to the next.
    EvaluationPlan.objects.update(next_run_at=None)
    assert plans_run() == 1
    assert Alert.objects.count() == 1
    assert days_until(plan) > 6.9


@pytest.mark.parametrize(("points", "told"), [(20, 1), (21, 0)])
def test_a_smaller_drop_than_the_plan_names_is_not_told(
    plan: EvaluationPlan, settings: Settings, points: int, told: int
) -> None:
    EvaluationPlan.objects.update(drop_points=points)
    twice(plan, settings, wrong(2))
    assert Alert.objects.count() == told


def test_of_a_database_that_shares_no_text_the_alert_quotes_no_question(
    plan: EvaluationPlan, settings: Settings
) -> None:
    Database.objects.update(share_text=False)
    twice(plan, settings, wrong(1, 3))
    (alert,) = Alert.objects.all()
    assert not any(question in alert.body for question in QUESTIONS)
    assert "Newly wrong: 2" in alert.body


def test_of_many_wrong_answers_ten_are_quoted(plan: EvaluationPlan, settings: Settings) -> None:
    many = {f"Who are the customers of week {week}?": "SELECT name FROM customers" for week in range(13)}
    publish(many)
    with playing(settings, APPROVED | many):
        plans_run()
    make_due(plan)
    with playing(settings, APPROVED | dict.fromkeys(many, "SELECT 1234 AS n")):
        plans_run()
    body = Alert.objects.get().body
    assert sum(line.startswith("- ") for line in body.splitlines()) == 10
    assert "… and 3 more" in body


def test_another_teams_run_is_not_what_it_is_compared_with(
    asker: Asker, plan: EvaluationPlan, settings: Settings
) -> None:
    with playing(settings, APPROVED):
        plans_run()
    EvaluationRun.objects.update(team=TeamFactory(slug="marketing"))
    EvaluationPlan.objects.update(run=None)
    make_due(plan)
    with playing(settings, WRONG):
        plans_run()
    assert EvaluationRun.objects.get(team="sales").accuracy == 0
    assert not Alert.objects.exists()


def test_changing_a_plan_is_audited_and_brings_a_far_date_nearer(plan: EvaluationPlan) -> None:
    EvaluationPlan.objects.update(next_run_at=timezone.now() + timedelta(days=300), every_days=365)
    changed = fresh(plan)
    changed.every_days = 2
    plan_save(plan=changed, actor="user:alice")
    assert 1.9 < days_until(plan) <= 2
    entry = AuditEntry.objects.get(verb="evaluation_plan.changed")
    assert (entry.actor, entry.target, entry.scope) == ("user:alice", "shop", "sales")
    assert (entry.data["was"], entry.data["now"]) == ({"every_days": 365}, {"every_days": 2})


def test_the_workers_task_sets_a_thread_of_its_own_to_work(plan: EvaluationPlan, settings: Settings) -> None:
    assert CELERY_BEAT_SCHEDULE["run evaluation plans"]["task"] == "text2sql.tasks.run_evaluation_plans"
    ended = threading.Event()
    with playing(settings, APPROVED):
        assert run_evaluation_plans() is True
        ends = time.monotonic() + 30
        while not plan_crew().start(ended.set) and time.monotonic() < ends:  # until the thread is free again
            time.sleep(0.05)
        assert ended.wait(30)
    assert run_of(plan).accuracy == 1
    assert run_evaluation_plans() is False
