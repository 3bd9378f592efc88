"""What Langfuse took and lost is noticed and sent again, a few times."""

from datetime import timedelta

import pytest
from django.utils import timezone

from observability.models import Score, Trace
from observability.services.deliveries import drain
from observability.services.scores import score_record, scores_export
from observability.services.sightings import (
    LOSSES,
    Sighting,
    scores_reconcile,
    traces_look_again,
    traces_reconcile,
    traces_since,
)
from observability.services.traces import trace_id_for, trace_record, traces_export
from observability.tasks import reconcile_deliveries
from tests.observability.clock import time_passes
from tests.observability.conftest import START, part_made, trace_made
from tests.standins.langfuse import LangfuseStandIn

pytestmark = pytest.mark.django_db
TRACES = "/api/public/otel/v1/traces"
SCORES = "/api/public/scores"
OBSERVATIONS = "/api/public/v2/observations"
MINUTE = 60


def deliver(count: int, prefix: str) -> None:
    for number in range(count):
        trace_record(trace_made(f"{prefix}-{number}"))
    assert drain(traces_export).delivered == count


def rate(count: int, prefix: str = "score", value: int = 1) -> None:
    for number in range(count):
        score_record(
            score_id=f"{prefix}-{number}", trace_id=f"{number:032x}", name="sql_valid", value=value, data_type="BOOLEAN"
        )
    assert drain(scores_export).delivered == count


def test_what_is_shown_is_asked_for_once(langfuse: LangfuseStandIn) -> None:
    deliver(3, "stored")
    assert traces_reconcile() == Sighting()  # too early to ask
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile() == Sighting(asked=3, seen=3)
    assert traces_reconcile() == Sighting()
    assert [request.path for request in langfuse.requests] == [TRACES, OBSERVATIONS]
    assert not Trace.objects.filter(confirmed_at=None).exists()


def test_a_lost_batch_is_sent_again_when_a_later_one_is_shown(langfuse: LangfuseStandIn) -> None:
    langfuse.lose_batch(path=TRACES)
    deliver(3, "lost")
    time_passes(langfuse, 1)
    deliver(2, "stored")
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile() == Sighting(asked=5, seen=2, lost=3)
    assert drain(traces_export).delivered == 3
    assert len(langfuse.observations()) == 2 * 5
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile() == Sighting(asked=3, seen=3)


def test_a_slow_queue_is_not_a_loss_and_doubles_nothing(langfuse: LangfuseStandIn) -> None:
    langfuse.store.visible_after = 50 * MINUTE
    deliver(3, "slow")
    for _ in range(4):
        time_passes(langfuse, 11 * MINUTE)
        assert traces_reconcile() == Sighting(asked=3)
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile() == Sighting(asked=3, seen=3)
    assert len(langfuse.observations()) == 2 * 3


def test_after_an_hour_without_anything_shown_it_is_lost(langfuse: LangfuseStandIn) -> None:
    langfuse.lose_batch(path=TRACES)
    deliver(2, "lost")
    time_passes(langfuse, 59 * MINUTE)
    assert traces_reconcile() == Sighting(asked=2)
    time_passes(langfuse, 2 * MINUTE)
    assert traces_reconcile() == Sighting(asked=2, lost=2)
    assert drain(traces_export).delivered == 2
    assert len(langfuse.traces()) == 2


def test_what_appears_after_all_is_not_sent_again(langfuse: LangfuseStandIn) -> None:
    langfuse.store.visible_after = 70 * MINUTE
    deliver(2, "late")
    time_passes(langfuse, 61 * MINUTE)
    assert traces_reconcile() == Sighting(asked=2, lost=2)
    time_passes(langfuse, 10 * MINUTE)
    assert drain(traces_export).delivered == 2
    assert len(langfuse.observations()) == 2 * 2


def test_half_a_trace_is_completed(langfuse: LangfuseStandIn) -> None:
    deliver(1, "half")
    time_passes(langfuse, 1)
    deliver(1, "whole")
    langfuse.store._rows.pop(0)  # the server lost one of four
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile() == Sighting(asked=2, seen=1, lost=1)
    assert drain(traces_export).delivered == 1
    stored = [(row.trace_id, row.id) for row in langfuse.observations()]
    assert len(stored) == len(set(stored)) == 4


def test_what_is_lost_again_and_again_is_given_up_and_says_why(langfuse: LangfuseStandIn) -> None:
    langfuse.lose_batch(next=None, path=TRACES)
    deliver(1, "lost")
    for _ in range(LOSSES):
        time_passes(langfuse, 61 * MINUTE)
        assert traces_reconcile() == Sighting(asked=1, lost=1)
        assert drain(traces_export).delivered == 1
    time_passes(langfuse, 61 * MINUTE)
    assert traces_reconcile() == Sighting(asked=1, given_up=1)
    trace = Trace.objects.get()
    assert (trace.state, trace.last_error) == (
        Trace.State.FAILED,
        "Langfuse took it and does not show it, 4 times",
    )


def test_lost_scores_and_lost_changes_of_scores_are_sent_again(langfuse: LangfuseStandIn) -> None:
    rate(20, value=0)
    langfuse.lose_batch(next=2, path=SCORES)
    rate(20, value=1)
    rate(1, "later")
    time_passes(langfuse, 11 * MINUTE)
    assert scores_reconcile() == Sighting(asked=21, seen=1, lost=20)
    assert drain(scores_export).delivered == 20
    assert {score.value for score in langfuse.scores()} == {1}
    time_passes(langfuse, 11 * MINUTE)
    assert scores_reconcile() == Sighting(asked=20, seen=20)
    assert Score.objects.filter(losses=1).count() == 20


def test_a_server_that_cannot_be_asked_loses_nothing(langfuse: LangfuseStandIn) -> None:
    deliver(1, "stored")
    rate(1)
    time_passes(langfuse, 120 * MINUTE)
    langfuse.fail(status=422, path=OBSERVATIONS)
    looked = traces_reconcile()
    assert (looked.asked, looked.lost) == (0, 0)
    assert "HTTP 422" in looked.error
    assert scores_reconcile() == Sighting()  # the channel is closed
    time_passes(langfuse, 2)
    reconcile_deliveries()
    assert not Trace.objects.filter(confirmed_at=None).exists()
    assert not Score.objects.filter(confirmed_at=None).exists()


def test_a_run_asks_few_questions_and_the_next_goes_on(langfuse: LangfuseStandIn) -> None:
    deliver(620, "stored")
    time_passes(langfuse, 11 * MINUTE)
    langfuse.requests.clear()
    assert traces_reconcile() == Sighting(asked=500, seen=500)
    assert [request.path for request in langfuse.requests] == [OBSERVATIONS] * 5
    assert traces_reconcile() == Sighting(asked=120, seen=120)


def test_a_part_that_was_lost_is_sent_again_and_the_trace_is_not(langfuse: LangfuseStandIn) -> None:
    deliver(1, "run")
    langfuse.lose_batch(path=TRACES)
    trace_record(part_made("run-0"))
    assert drain(traces_export).delivered == 1
    time_passes(langfuse, 1)
    deliver(1, "later")
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile() == Sighting(asked=3, seen=2, lost=1)
    assert Trace.objects.get(state=Trace.State.PENDING).part == "execution:1"
    assert drain(traces_export).delivered == 1
    stored = [(row.trace_id, row.id) for row in langfuse.observations()]
    assert len(stored) == len(set(stored)) == 2 * 2 + 1
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile() == Sighting(asked=1, seen=1)


def test_a_trace_that_is_to_be_looked_at_again_is_sent_again_where_it_is_gone(langfuse: LangfuseStandIn) -> None:
    for seed, user in [("gone", "sales"), ("kept", "sales"), ("other", "hr")]:
        trace_record(trace_made(seed, user_id=user))
        traces_export()
    time_passes(langfuse, 11 * MINUTE)
    assert traces_reconcile().seen == 3
    gone = trace_id_for("gone")
    langfuse.store._rows = [row for row in langfuse.store.rows() if row.trace_id != gone]
    assert traces_reconcile() == Sighting()
    assert traces_since() == START
    assert traces_look_again(user_id="sales", starts_at=START, ends_at=START + timedelta(days=1)) == 2
    assert traces_look_again(user_id="sales", starts_at=START + timedelta(seconds=1), ends_at=timezone.now()) == 0
    assert traces_reconcile() == Sighting(asked=2, seen=1, lost=1)
    traces_export()
    assert set(langfuse.traces()) == {trace_id_for(seed) for seed in ("kept", "gone", "other")}
    assert len(langfuse.observations()) == 6
