"""The faults of the Langfuse stand-in, as the unmodified SDK client and OTLP exporter meet them."""

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from langfuse.api.core import ApiError

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import ONCE, client_of, post, score, send, text2sql_trace, trace_id


@pytest.fixture
def lf() -> Iterator[LangfuseStandIn]:
    with LangfuseStandIn() as stand_in:
        yield stand_in


@pytest.mark.parametrize("status", [400, 401, 500])
def test_failures_that_are_not_retried_lose_the_batch(lf: LangfuseStandIn, status: int) -> None:
    lf.fail(next=1, status=status, path="/api/public/otel")
    assert not send(lf, text2sql_trace("q"))
    assert lf.observations() == []
    assert send(lf, text2sql_trace("q"))
    assert [request.status for request in lf.requests] == [status, 200]


@pytest.mark.parametrize(("status", "retry_after"), [(503, None), (429, 1)])
def test_transient_failures_are_retried_by_the_exporter(
    lf: LangfuseStandIn, status: int, retry_after: float | None
) -> None:
    lf.fail(next=1, status=status, retry_after=retry_after)
    assert send(lf, text2sql_trace("q"), timeout=5)
    assert [request.status for request in lf.requests] == [status, 200]


def test_a_failure_reaches_the_client_with_its_retry_after(lf: LangfuseStandIn) -> None:
    lf.fail(next=None, status=429, retry_after=30)
    with pytest.raises(ApiError) as refused:
        client_of(lf).projects.get(request_options=ONCE)
    assert refused.value.headers is not None
    assert (refused.value.status_code, refused.value.headers["retry-after"]) == (429, "30")
    lf.clear()
    assert client_of(lf).projects.get().data


def test_a_cut_answer_leaves_the_batch_stored_and_the_sender_unsure(lf: LangfuseStandIn) -> None:
    lf.cut_answer(next=None, path="/api/public/otel")
    assert not send(lf, text2sql_trace("q"), timeout=0.5)
    assert trace_id("q") in lf.traces()
    assert lf.requests[0].status is None
    lf.clear()
    lf.cut_answer()
    with pytest.raises(httpx.RemoteProtocolError):
        post(lf, score("a", 1))
    assert [item.id for item in lf.scores()] == ["a"]


def test_a_refused_connection_becomes_a_good_one_on_the_same_port(lf: LangfuseStandIn) -> None:
    address = lf.base_url
    with httpx.Client(base_url=lf.base_url) as kept:
        assert kept.get("/api/public/health").status_code == 200
        lf.refuse()
        with pytest.raises(httpx.TransportError):
            kept.get("/api/public/health")
        with pytest.raises(httpx.ConnectError):
            client_of(lf).projects.get()
        assert not send(lf, text2sql_trace("q"), timeout=0.5)
        lf.accept()
        assert lf.base_url == address
        assert kept.get("/api/public/health").status_code == 200
    assert send(lf, text2sql_trace("q"))


def test_a_stalled_server_takes_the_batch_after_its_release(lf: LangfuseStandIn) -> None:
    lf.stall(path="/api/public/otel")
    assert not send(lf, text2sql_trace("q"), timeout=0.3)
    assert lf.observations() == []
    assert client_of(lf).health.health().status == "OK"
    waiting = threading.Thread(target=send, args=(lf, text2sql_trace("late")), kwargs={"timeout": 10})
    waiting.start()
    while len(lf.requests) < 3:
        time.sleep(0.01)
    lf.release()
    waiting.join()
    assert trace_id("late") in lf.traces()


def test_a_slow_answer_comes_too_late_for_what_is_already_stored(lf: LangfuseStandIn) -> None:
    lf.slow(30, next=1, path="/api/public/scores")
    with pytest.raises(httpx.ReadTimeout):
        client_of(lf, timeout=0.2).scores.create(request=[score("a", 1)], request_options=ONCE)
    assert [item.id for item in lf.scores()] == ["a"]


def test_many_senders_at_once_lose_nothing(lf: LangfuseStandIn) -> None:
    threads = [threading.Thread(target=send, args=(lf, text2sql_trace(str(n)))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(lf.traces()) == {trace_id(str(n)) for n in range(12)}


def test_a_request_held_when_the_stand_in_stops_is_dropped() -> None:
    with LangfuseStandIn() as lf:
        lf.stall()
        held = threading.Thread(target=send, args=(lf, text2sql_trace("q")), kwargs={"timeout": 1})
        held.start()
        while not lf.requests:
            time.sleep(0.01)
    held.join()
    assert lf.observations() == []
