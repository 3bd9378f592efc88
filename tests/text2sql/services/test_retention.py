"""Questions that are too old go with all that hangs on them, and with nothing else."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.core.checks import ERROR
from django.db import connection, models, transaction
from django.utils import timezone
from pytest_django import Settings

from feedback.models import Feedback
from observability.models import Score, Trace
from teams.models import BudgetWindow, Charge, Reservation
from teams.services.windows import window_open
from tests.factories import BudgetFactory, FeedbackFactory, GenerationFactory, TeamFactory
from text2sql.checks import LONGEST_RETENTION, SHORTEST_RETENTION, retention_check
from text2sql.models import (
    Attempt,
    Database,
    DatabaseAccess,
    EvaluationItem,
    EvaluationRun,
    Example,
    ExampleUse,
    Execution,
    Generation,
    QuestionDay,
)
from text2sql.services import retention
from text2sql.services.examples import example_publish
from text2sql.services.question_days import days_count
from text2sql.services.retention import questions_prune, relations
from text2sql.settings import CELERY_BEAT_SCHEDULE
from text2sql.tasks import prune_questions

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=31)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _thirty_days(settings: Settings) -> None:
    settings.RETENTION_DAYS = 30


@pytest.fixture
def access() -> DatabaseAccess:
    database = Database.objects.create(name="shop", dialect="sqlite")
    return DatabaseAccess.objects.create(team=TeamFactory(slug="sales"), database=database)


def asked(access: DatabaseAccess, at: datetime = OLD, **values: Any) -> Generation:
    given = {"cache_key": "k", "created_at": at, "finished_at": at, "lost_at": at, **values}
    generation: Generation = GenerationFactory(team=access.team, database=access.database, **given)
    return generation


def trace_of(generation: Generation, **values: Any) -> Trace:
    given = {"state": "delivered", "delivered_at": OLD, **values}
    return Trace.objects.create(
        trace_id=generation.trace_id, user_id="sales", started_at=OLD, payload={"of": "it"}, **given
    )


def score_of(generation: Generation, **values: Any) -> Score:
    given = {"state": "delivered", "delivered_at": OLD, **values}
    return Score.objects.create(
        id=f"{generation.pk}:execution", trace_id=generation.trace_id, name="execution", data_type="BOOLEAN", value=1,
        timestamp=OLD, **given,
    )  # fmt: skip


def run_of(access: DatabaseAccess, **values: Any) -> EvaluationRun:
    given = {"status": "finished", "finished_at": OLD, **values}
    return EvaluationRun.objects.create(
        database=access.database, team=access.team, source="examples", model="claude", prompt_version="1", rules="",
        answered_by="stand-in", actor="schedule", question_count=1, created_at=OLD, **given,
    )  # fmt: skip


def item_of(generation: Generation, run: EvaluationRun, **values: Any) -> EvaluationItem:
    given = {"state": "delivered", "outcome": "correct", "finished_at": OLD, **values}
    return EvaluationItem.objects.create(
        run=run, number=1, question="Who?", gold="SELECT 1", generation=generation, **given
    )


def with_everything(access: DatabaseAccess) -> dict[str, models.Model]:
    """An old question with a row of each kind that hangs on it, or knows it."""
    generation = asked(access)
    attempt = Attempt.objects.create(
        generation=generation, number=1, model="claude", max_tokens=100, status="succeeded", started_at=OLD
    )
    charge = Charge.objects.create(
        attempt_id=attempt.pk, generation_id=generation.pk, team=access.team, database="shop", model="claude",
        cost_usd=Decimal("0.5"), started_at=OLD, charged_at=OLD,
    )  # fmt: skip
    feedback = FeedbackFactory(generation=generation, updated_at=OLD)
    example = example_publish(
        access=access, question="Who?", sql="SELECT 1", tables=[], generation=generation, actor="user:alice"
    )
    Feedback.objects.update(example=example)
    return {
        "generation": generation, "attempt": attempt, "charge": charge, "feedback": feedback, "example": example,
        "execution": Execution.objects.create(generation=generation, actor="x", status="succeeded", executed_at=OLD),
        "use": ExampleUse.objects.create(example=example, generation=generation),
        "trace": trace_of(generation), "score": score_of(generation), "item": item_of(generation, run_of(access)),
        "follow_up": asked(access, NOW, parent=generation),
        "answered_again": asked(access, NOW, origin_id=generation.pk),
    }  # fmt: skip


def exists(row: models.Model) -> bool:
    return type(row)._default_manager.filter(pk=row.pk).exists()


def test_an_old_question_goes_with_all_that_hangs_on_it_and_the_rest_stays(access: DatabaseAccess) -> None:
    rows = with_everything(access)
    old = rows["generation"].pk
    young = asked(access, NOW - timedelta(days=29))
    assert questions_prune(NOW) == 1
    gone = {name for name, row in rows.items() if not exists(row)}
    assert gone == {"generation", "attempt", "execution", "feedback", "use", "trace", "score"}
    assert exists(young)
    assert Example.objects.get().generation is None
    assert Example.objects.in_force().count() == 1
    assert EvaluationItem.objects.get().generation is None
    assert Generation.objects.get(pk=rows["follow_up"].pk).parent is None
    assert Generation.objects.get(pk=rows["answered_again"].pk).origin_id == old
    assert Charge.objects.get().cost_usd == Decimal("0.5")
    assert questions_prune(NOW) == 0


def test_whatever_points_to_a_question_is_among_what_is_tried_here() -> None:
    pointing = {relation.related_model: relation.on_delete for relation in relations()}
    assert pointing == {
        Attempt: models.CASCADE, Execution: models.CASCADE, Feedback: models.CASCADE, ExampleUse: models.CASCADE,
        Example: models.SET_NULL, EvaluationItem: models.SET_NULL, Generation: models.SET_NULL,
    }  # fmt: skip


def test_nothing_is_deleted_unless_somebody_says_after_how_long(access: DatabaseAccess, settings: Settings) -> None:
    settings.RETENTION_DAYS = 0
    generation = asked(access, NOW - timedelta(days=5000))
    assert questions_prune(NOW) == 0
    assert exists(generation)
    assert not QuestionDay.objects.filter(is_closed=True).exists()


Keeping = Callable[[Generation, DatabaseAccess], object]
RECENTLY = NOW - timedelta(hours=3)
KEPT: dict[str, Keeping] = {
    "it waits": lambda asked, _: Generation.objects.filter(pk=asked.pk).update(status="queued"),
    "it runs": lambda asked, _: Generation.objects.filter(pk=asked.pk).update(status="running"),
    "money is held for it": lambda asked, access: Reservation.objects.create(
        generation_id=asked.pk, team=access.team, amount_usd=1, window_ids=[], created_at=OLD, expires_at=NOW
    ),
    "its trace waits": lambda asked, _: trace_of(asked, state="pending", delivered_at=None),
    "its trace is being sent": lambda asked, _: trace_of(asked, state="claimed", claimed_until=NOW, delivered_at=None),
    "a later part of its trace waits": lambda asked, _: (
        trace_of(asked), trace_of(asked, state="pending", part="execution", delivered_at=None)
    ),
    "its trace may have been lost": lambda asked, _: trace_of(asked, delivered_at=RECENTLY),
    "its score waits": lambda asked, _: score_of(asked, state="pending", delivered_at=None),
    "its score may have been lost": lambda asked, _: score_of(asked, delivered_at=RECENTLY),
    "its evaluation goes on": lambda asked, access: item_of(
        asked, run_of(access, status="running", claimed_until=NOW, finished_at=None)
    ),
    "its evaluation has paused": lambda asked, access: item_of(
        asked, run_of(access, status="stopped", finished_at=RECENTLY)
    ),
    "its evaluation waits for Langfuse": lambda asked, access: item_of(
        asked, run_of(access), state="pending", finished_at=NOW - timedelta(days=29)
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", KEPT)
def test_what_is_not_over_stays_and_holds_up_no_other(why: str, access: DatabaseAccess, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    kept = asked(access, OLD - timedelta(days=1))
    KEPT[why](kept, access)
    later = asked(access)
    assert questions_prune(NOW) == 1
    assert exists(kept)
    assert not exists(later)


OVER: dict[str, Keeping] = {
    "its trace was given up": lambda asked, _: trace_of(asked, state="failed", delivered_at=None),
    "its trace was seen": lambda asked, _: trace_of(asked, delivered_at=RECENTLY, confirmed_at=RECENTLY),
    "its evaluation was killed long ago": lambda asked, access: item_of(
        asked, run_of(access, status="running", claimed_until=OLD, finished_at=None), state="pending"
    ),
    "its evaluation waited in vain": lambda asked, access: item_of(asked, run_of(access), state="pending"),
    "it failed": lambda asked, _: Generation.objects.filter(pk=asked.pk).update(status="failed"),
}


@pytest.mark.parametrize("why", OVER)
def test_what_will_never_come_keeps_nothing(why: str, access: DatabaseAccess) -> None:
    generation = asked(access)
    OVER[why](generation, access)
    assert questions_prune(NOW) == 1
    assert not Trace.objects.exists()


def test_conversations_go_in_one_batch_or_in_many(access: DatabaseAccess, monkeypatch: Any) -> None:
    for size in (2, 500):
        monkeypatch.setattr(retention, "BATCH", size)
        turns: list[Generation] = []
        for number in range(5):
            parent = turns[-1] if turns else None
            turns.append(asked(access, OLD + timedelta(minutes=number), parent=parent))
        young = asked(access, NOW, parent=turns[-1])
        assert questions_prune(NOW) == 5
        assert list(Generation.objects.values_list("pk", "parent")) == [(young.pk, None)]
        young.delete()


def test_many_of_one_moment_are_all_passed_and_deleted(access: DatabaseAccess, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    rows = [asked(access) for _ in range(7)]
    kept = sorted(rows, key=lambda row: row.pk)[2]
    trace_of(kept, state="pending", delivered_at=None)
    assert questions_prune(NOW) == 6
    assert list(Generation.objects.all()) == [kept]


def test_a_run_ends_when_its_time_is_over_and_the_next_goes_on(access: DatabaseAccess, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        asked(access)
    assert questions_prune(NOW, seconds=0) == 0
    assert questions_prune(NOW) == 5


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_sums_of_days_stay_whatever_is_counted_again(zone: str, access: DatabaseAccess) -> None:
    access.team.time_zone = ZoneInfo(zone)
    access.team.save()
    for hours in range(24 * 28, 24 * 34, 5):
        asked(access, NOW - timedelta(hours=hours), cost_usd=Decimal("0.01"))
    days_count(NOW)
    before = list(QuestionDay.objects.order_by("day").values_list("day", "questions", "cost_usd"))
    deleted = questions_prune(NOW)
    assert 0 < deleted < 29
    days_count(NOW, since=date(2026, 1, 1))
    assert list(QuestionDay.objects.order_by("day").values_list("day", "questions", "cost_usd")) == before
    # The first day that is whole is still counted.
    asked(access, NOW - timedelta(days=28), cost_usd=Decimal("0.01"))
    days_count(NOW, since=date(2026, 1, 1))
    assert sum(QuestionDay.objects.values_list("questions", flat=True)) == 30


def test_what_was_not_counted_yet_is_counted_before_it_goes(access: DatabaseAccess) -> None:
    asked(access, cost_usd=Decimal("0.25"))
    assert questions_prune(NOW) == 1
    day = QuestionDay.objects.get()
    assert (day.questions, day.cost_usd, day.is_closed) == (1, Decimal("0.25"), True)


def test_a_window_that_opens_later_still_counts_what_was_charged(access: DatabaseAccess) -> None:
    now = timezone.now()
    generation = asked(access, now - timedelta(days=40))
    Charge.objects.create(
        attempt_id=uuid4(), generation_id=generation.pk, team=access.team, database="shop", model="claude",
        cost_usd=Decimal(2), started_at=now, charged_at=now,
    )  # fmt: skip
    assert questions_prune(now) == 1
    window = window_open(budget=BudgetFactory(team=access.team), at=now)
    assert BudgetWindow.objects.get(pk=window.pk).spent_usd == 2


@pytest.mark.django_db(transaction=True)
def test_what_another_has_in_hand_is_not_waited_for(access: DatabaseAccess) -> None:
    held, free = asked(access), asked(access)
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Generation.objects.select_for_update().get(pk=held.pk)
            holds.set()
            done.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert holds.wait(30)
    assert questions_prune(NOW) == 1
    done.set()
    holder.join()
    assert (exists(held), exists(free)) == (True, False)
    assert questions_prune(NOW) == 1


def test_the_worker_looks_each_hour(access: DatabaseAccess) -> None:
    entry = CELERY_BEAT_SCHEDULE["prune questions"]
    assert (entry["task"], entry["schedule"]) == ("text2sql.tasks.prune_questions", 3600)
    asked(access, timezone.now() - timedelta(days=32))
    assert prune_questions() == 1


@pytest.mark.parametrize("days", [-1, 1, LONGEST_RETENTION + 1, 10**9])
def test_a_time_that_cannot_be_meant_stops_the_start(days: int, settings: Settings) -> None:
    settings.RETENTION_DAYS = days
    (found,) = retention_check(None)
    assert (found.level, found.msg) == (ERROR, f"RETENTION_DAYS is {days}.")
    assert "0" in str(found.hint)


@pytest.mark.parametrize("days", [0, SHORTEST_RETENTION, 365, LONGEST_RETENTION])
def test_a_time_that_can_be_meant_works(days: int, settings: Settings, access: DatabaseAccess) -> None:
    settings.RETENTION_DAYS = days
    assert retention_check(None) == []
    asked(access)
    assert questions_prune(NOW) == (1 if days == SHORTEST_RETENTION else 0)
