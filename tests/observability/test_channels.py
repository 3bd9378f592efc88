"""One pace and one pause for all exporters."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from observability.models import Channel, Score, Trace
from observability.services import channels
from observability.services.channels import channel_succeeded, channel_take, channel_troubled
from observability.services.deliveries import ExportOutcome, drain
from observability.services.scores import score_record, scores_export
from observability.services.traces import trace_record, traces_export
from tests.observability.clock import time_passes
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse.faults import GARBAGE

pytestmark = pytest.mark.django_db
TRACES = "/api/public/otel/v1/traces"
SCORES = "/api/public/scores"
INGESTION, API = Channel.Name.INGESTION, Channel.Name.API


def record(count: int, prefix: str = "generation") -> None:
    for number in range(count):
        trace_record(trace_made(f"{prefix}-{number}"))


def rate(count: int, prefix: str = "score") -> None:
    for number in range(count):
        score_record(
            score_id=f"{prefix}-{number}", trace_id=f"{number:032x}", name="sql_valid", value=1, data_type="BOOLEAN"
        )


def test_a_busy_server_is_left_alone_by_everything_that_uses_its_channel(langfuse: LangfuseStandIn) -> None:
    record(2)
    langfuse.fail(status=429, retry_after=600, path=TRACES)
    traces_export()
    record(2, "new")  # due at once
    assert traces_export() == ExportOutcome()
    time_passes(langfuse, 590)
    assert traces_export() == ExportOutcome()
    assert len(langfuse.requests) == 1
    rate(1)  # another channel, another limit
    assert scores_export().delivered == 1
    time_passes(langfuse, 11)
    assert drain(traces_export).delivered == 4


def test_a_busy_api_pauses_scores_and_questions_alike(langfuse: LangfuseStandIn) -> None:
    rate(1)
    langfuse.fail(status=429, retry_after=90, path=SCORES)
    scores_export()
    record(1)
    langfuse.cut_answer(path=TRACES)
    traces_export()
    time_passes(langfuse, 60)
    record(1, "certain")
    outcome = traces_export()  # it may go, but the doubtful one may not be asked for
    assert (outcome.delivered, outcome.postponed) == (1, 1)
    assert [request.path for request in langfuse.requests] == [SCORES, TRACES, TRACES]
    doubtful = Trace.objects.get(maybe_sent=True)
    assert (doubtful.state, doubtful.tries) == (Trace.State.PENDING, 1)
    time_passes(langfuse, 31)
    assert drain(traces_export).delivered == 1
    assert len(langfuse.observations()) == 4


def test_an_absurd_retry_after_is_obeyed_for_an_hour(langfuse: LangfuseStandIn) -> None:
    record(1)
    langfuse.fail(status=429, retry_after=86_400)
    traces_export()
    time_passes(langfuse, 3_590)
    assert traces_export() == ExportOutcome()
    time_passes(langfuse, 11)
    assert traces_export().delivered == 1


def test_after_trouble_one_probe_goes_out_at_a_time() -> None:
    assert channel_take(API)
    for _ in range(20):
        channel_troubled(API, "down")
    closed_until = Channel.objects.get(name=API).closed_until
    assert closed_until
    assert timedelta(seconds=55) < closed_until - timezone.now() <= timedelta(minutes=1)
    Channel.objects.update(closed_until=timezone.now())
    probe = channel_take(API)
    assert probe
    assert channel_take(API) is None
    channel_succeeded(API, probe)
    assert channel_take(API)
    assert channel_take(API)


def test_an_answer_to_an_older_request_does_not_open_what_trouble_closed() -> None:
    before = channel_take(API)
    assert before
    channel_troubled(API, "busy", retry_after=timedelta(minutes=2))
    channel_succeeded(API, before)
    assert channel_take(API) is None
    assert channel_take(INGESTION)


def test_cloud_is_asked_at_its_pace_and_the_rest_waits_unpunished(
    langfuse: LangfuseStandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LANGFUSE_API_PER_MINUTE = 20
    rate(200)
    per_minute = []
    for _ in range(3):
        before = len(langfuse.requests)
        for _ in range(30):  # the schedule calls every two seconds
            drain(scores_export)
            time_passes(langfuse, 2)
        per_minute.append(len(langfuse.requests) - before)
    assert max(per_minute) <= 30
    assert Score.objects.filter(state="delivered").count() == 200
    assert set(Score.objects.values_list("tries", flat=True)) == {1}  # to wait is no failure


@pytest.mark.parametrize(
    ("url", "paced"),
    [
        ("https://cloud.langfuse.com", True),
        ("https://us.cloud.langfuse.com", True),
        ("https://langfuse.example.com", False),
        ("https://notlangfuse.com", False),
    ],
)
def test_only_cloud_has_limits_by_itself(settings: Settings, url: str, paced: bool) -> None:
    settings.LANGFUSE_BASE_URL = url
    taken = [channel_take(API) is not None for _ in range(40)]
    assert sum(taken) == (5 if paced else 40)
    assert sum(channel_take(INGESTION) is not None for _ in range(40)) == (20 if paced else 40)
    for pace in channels.CLOUD.values():
        assert pace.per_minute + pace.burst <= {600: 1000, 20: 30}[pace.per_minute]


@pytest.mark.parametrize("kind", GARBAGE)
def test_rubbish_with_a_200_is_no_delivery(langfuse: LangfuseStandIn, kind: Any) -> None:
    record(1)
    rate(2)
    langfuse.garbage(kind, next=None)
    for export in (traces_export, scores_export):
        outcome = export()
        assert (outcome.delivered, outcome.failed, outcome.postponed) == (0, 0, outcome.claimed)
        assert outcome.error
    time_passes(langfuse, 31)
    assert traces_export().postponed == 1  # asking is answered with rubbish too
    assert len(langfuse.observations()) == len(langfuse.scores()) == 0
    langfuse.clear()
    time_passes(langfuse, 300)
    assert traces_export().delivered == 1
    assert scores_export().delivered == 2


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500, 502, 503])
def test_a_status_that_may_pass_fails_nothing_for_good(langfuse: LangfuseStandIn, status: int) -> None:
    record(3)
    rate(3)
    langfuse.fail(next=None, status=status)
    for _ in range(10):
        drain(traces_export)
        drain(scores_export)
        time_passes(langfuse, 300)
    assert not Trace.objects.exclude(state="pending").exists()
    assert not Score.objects.exclude(state="pending").exists()
    langfuse.clear()
    assert drain(traces_export).delivered == 3
    assert drain(scores_export).delivered == 3


def test_one_trace_that_breaks_the_server_ends_up_alone(langfuse: LangfuseStandIn) -> None:
    record(49)
    trace_record(trace_made("poison", name="poison"))
    answer = langfuse._api.answer

    def break_at_poison(request: Any) -> Any:
        if request.path == TRACES and b"poison" in request.body:
            raise RuntimeError
        return answer(request)

    langfuse._api.answer = break_at_poison  # type: ignore[method-assign]  # the server dies of this trace
    for _ in range(40):
        drain(traces_export)
        time_passes(langfuse, 301)
    assert Trace.objects.filter(state="delivered").count() == 49
    assert Trace.objects.get(state="pending").payload["name"] == "poison"
