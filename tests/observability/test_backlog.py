"""What waits is seen, and does not wait or lie around for ever."""

import pytest
from pytest_django import Settings

from observability.models import Score, Trace
from observability.services.backlog import Pruned, backlog, backlog_prune
from observability.services.deliveries import drain
from observability.services.scores import score_record
from observability.services.traces import trace_record, traces_export
from observability.tasks import prune_deliveries
from tests.observability.clock import time_passes
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn

pytestmark = pytest.mark.django_db
DAY = 86_400


def test_an_empty_backlog_says_so() -> None:
    now = backlog()
    assert (now.pending_traces, now.pending_scores, now.failed_traces, now.failed_scores) == (0, 0, 0, 0)
    assert (now.oldest_age_seconds, now.paused_seconds, now.last_error) == (0, 0, "")
    assert now.last_error_at is now.last_success_at is None


def test_a_backlog_tells_its_age_its_trouble_and_its_pause_until_it_is_over(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made("old"))
    time_passes(langfuse, 500)
    trace_record(trace_made("new"))
    score_record(score_id="s", trace_id="0" * 32, name="sql_valid", value=1, data_type="BOOLEAN")
    langfuse.fail(status=429, retry_after=120)
    drain(traces_export)
    now = backlog()
    assert (now.pending_traces, now.pending_scores) == (2, 1)
    assert 500 <= now.oldest_age_seconds < 520
    assert 110 < now.paused_seconds <= 120
    assert "HTTP 429" in now.last_error
    assert now.last_error_at
    time_passes(langfuse, 121)
    drain(traces_export)
    now = backlog()
    assert (now.pending_traces, now.last_error, now.paused_seconds) == (0, "", 0)
    assert now.last_success_at


def test_trouble_that_holds_nothing_up_any_more_is_over(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    langfuse.cut_answer()
    drain(traces_export)
    assert "RemoteProtocolError" in backlog().last_error
    time_passes(langfuse, 31)
    assert drain(traces_export).delivered == 1  # it was asked for and is there: nothing is sent
    assert backlog().last_error == ""


def test_what_waits_too_long_is_given_up_with_the_reason(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.TRACE_MAX_AGE_DAYS = 3
    trace_record(trace_made("old"))
    score_record(score_id="s", trace_id="0" * 32, name="sql_valid", value=1, data_type="BOOLEAN")
    langfuse.refuse()
    drain(traces_export)
    time_passes(langfuse, 2 * DAY)
    trace_record(trace_made("new"))
    assert backlog_prune() == Pruned(0, 0, 0)
    time_passes(langfuse, DAY + 1)
    assert backlog_prune() == Pruned(2, 0, 0)
    failed = Trace.objects.get(state=Trace.State.FAILED)
    assert failed.last_error.startswith("given up after 3 days: ConnectError")
    assert Score.objects.get().state == Score.State.FAILED
    now = backlog()
    assert (now.pending_traces, now.failed_traces, now.failed_scores) == (1, 1, 1)


def test_what_was_delivered_is_emptied_after_a_week_and_deleted_after_ninety_days(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made("delivered"))
    drain(traces_export)
    time_passes(langfuse, 6 * DAY)
    assert backlog_prune() == Pruned(0, 0, 0)
    time_passes(langfuse, 2 * DAY)
    assert backlog_prune() == Pruned(0, 1, 0)
    assert Trace.objects.get().payload == {}
    assert backlog_prune() == Pruned(0, 0, 0)
    time_passes(langfuse, 83 * DAY)
    prune_deliveries()
    assert not Trace.objects.exists()


def test_a_payload_is_kept_as_long_as_it_may_have_to_be_sent_again(
    langfuse: LangfuseStandIn, settings: Settings
) -> None:
    settings.TRACE_KEEP_DAYS = 0
    trace_record(trace_made("delivered"))
    drain(traces_export)
    time_passes(langfuse, DAY + DAY // 2)
    assert backlog_prune() == Pruned(0, 0, 0)
    time_passes(langfuse, DAY)
    assert backlog_prune() == Pruned(0, 1, 0)
