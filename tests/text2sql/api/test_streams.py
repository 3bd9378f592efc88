"""POST generate as a stream: the events in their order, and which problems still have a status of their own."""

from collections.abc import Iterator
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from teams.models import Charge, Reservation
from tests.clients import ApiClient
from tests.events import events_of
from tests.factories import BudgetFactory
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.api.streams import stream_crew
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Catalog, Generation
from text2sql.services.targets import _view

ASK = {"database": "shop", "question": "Who are the customers?"}
SQL = "SELECT name FROM customers ORDER BY name"


@pytest.fixture(autouse=True)
def fresh_crew() -> Iterator[None]:
    """Threads for this test, all at rest when it ends."""
    stream_crew.cache_clear()
    yield
    stream_crew()._threads.shutdown()
    stream_crew.cache_clear()


def stream(api: ApiClient, body: dict[str, Any], accept: str = "text/event-stream", **headers: str) -> Any:
    return api.post("generate", body, HTTP_ACCEPT=accept, **headers)


def test_a_question_is_told_while_it_goes(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="All of them.")
    response = stream(shopper.api, ASK)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/event-stream")
    assert (response.headers["Cache-Control"], response.headers["X-Accel-Buffering"]) == ("no-store", "no")
    told = events_of(response)
    assert [event.id for event in told] == [str(number) for number in range(1, len(told) + 1)]
    names = [event.name for event in told]
    assert names[:2] == ["context", "attempt"]
    assert set(names[2:-2]) == {"sql"}
    assert names[-2:] == ["result", "done"]
    assert told[0].data["strategy"] == "whole_schema"
    assert set(told[0].data["tables"]) == {"customers", "orders"}
    assert told[1].data == {"number": 1, "kind": "first", "model": "claude-sonnet-5-5"}
    assert "".join(event.data["delta"] for event in told if event.name == "sql") == SQL
    generation = Generation.objects.get()
    assert response.headers["Content-Location"] == f"/api/v1/generations/{generation.pk}"
    answer = told[-2].data
    assert (answer["sql"], answer["rows"], answer["execution"]) == (SQL, None, None)
    stored = shopper.api.get(f"generations/{generation.pk}").json()
    assert {name: answer[name] for name in stored} == stored
    assert Decimal(answer["cost_usd"]) == claude.billed[0].cost


def test_rows_come_with_the_result(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    told = events_of(stream(shopper.api, {**ASK, "execute": True}))
    assert told[-2].data["rows"] == [["Ada"], ["Bert"]]
    assert told[-2].data["execution"]["status"] == "succeeded"


def test_a_finding_is_told_before_the_attempt_that_repairs_it(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql="SELECT nam FROM customers", explanation="x")
    claude.play("answer", sql=SQL, explanation="x")
    told = events_of(stream(shopper.api, ASK))
    names = [event.name for event in told if event.name != "sql"]
    assert names == ["context", "attempt", "finding", "attempt", "result", "done"]
    finding = next(event.data for event in told if event.name == "finding")
    assert set(finding) == {"severity", "code", "message", "closest"}
    assert "nam" in finding["message"]
    assert [event.data["kind"] for event in told if event.name == "attempt"] == ["first", "repair"]


def test_what_is_known_already_is_the_only_thing_told(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    events_of(stream(shopper.api, ASK))
    told = events_of(stream(shopper.api, ASK))
    assert [event.name for event in told] == ["result", "done"]
    assert told[0].data["cached"] is True


def test_that_claude_asks_back_is_a_result(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql="", status="clarify", explanation="Which?", choices=("a", "b"))
    told = events_of(stream(shopper.api, {**ASK, "execute": True}))
    assert [event.name for event in told] == ["context", "attempt", "result", "done"]
    assert (told[2].data["status"], told[2].data["choices"]) == ("clarify", ["a", "b"])


def test_what_goes_wrong_before_claude_is_asked_has_its_own_status(shopper: Shopper, claude: ClaudeStandIn) -> None:
    assert_problem(stream(ApiClient("t2s_wrong"), ASK), 401, "unauthenticated")
    assert_problem(stream(shopper.api, {**ASK, "question": ""}), 400, "invalid-request")
    assert_problem(stream(shopper.api, {**ASK, "database": "nowhere"}), 404, "not-found")
    BudgetFactory(team=shopper.team, limit_usd=Decimal("0.0001"))
    document = assert_problem(stream(shopper.api, ASK), 402, "request-too-expensive")
    assert Generation.objects.get().pk.hex == document["generation_id"].replace("-", "")
    assert claude.requests == []


def test_a_crash_before_claude_is_asked_is_a_problem_that_tells_nothing(
    shopper: Shopper, caplog: pytest.LogCaptureFixture
) -> None:
    Catalog.objects.update(content={"broken": "secret-of-the-row"})
    _view.cache_clear()
    document = assert_problem(stream(shopper.api, ASK), 500, "internal-error")
    assert "secret" not in str(document)
    assert "A request failed unexpectedly" in caplog.text
    _view.cache_clear()


def test_what_goes_wrong_later_is_the_last_event_but_one(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("refusal", category="cyber", mid_stream=True)
    response = stream(shopper.api, ASK)
    assert response.status_code == 200
    told = events_of(response)
    assert [event.name for event in told if event.name != "sql"] == ["context", "attempt", "problem", "done"]
    problem = told[-2].data
    assert (problem["type"], problem["status"]) == ("urn:text2sql:problem:claude-refused", 422)
    assert problem["generation_id"] == str(Generation.objects.get().pk)


def test_the_question_goes_on_when_its_listener_has_gone(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    response = stream(shopper.api, {**ASK, "execute": True})
    chunks = iter(response.streaming_content)
    assert b"event: context" in next(chunks)
    response.close()
    stream_crew()._threads.shutdown()
    generation = Generation.objects.get()
    assert (generation.status, generation.cost_usd) == ("succeeded", claude.billed[0].cost)
    assert Charge.objects.get().cost_usd == claude.billed[0].cost
    assert not Reservation.objects.exists()
    stream_crew.cache_clear()
    assert shopper.api.post("generate", ASK).json()["cached"] is True


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, */*;q=0.1", "text/event-stream"),
        ("text/*", "text/event-stream"),
    ],
)
def test_the_client_chooses_the_way(shopper: Shopper, claude: ClaudeStandIn, accept: str, expected: str) -> None:
    response = stream(shopper.api, ASK, accept)
    assert response.headers["Content-Type"] == expected
    assert response.status_code == 200
    if expected == "text/event-stream":
        assert events_of(response)[-1].name == "done"


@pytest.mark.parametrize("accept", ["application/xml", "text/csv", "image/*"])
def test_another_way_cannot_be_had(shopper: Shopper, accept: str) -> None:
    assert_problem(stream(shopper.api, ASK, accept), 406, "not-acceptable")


def test_nothing_else_comes_as_a_stream(shopper: Shopper) -> None:
    for path in ("me", "generations", "databases"):
        response = shopper.api.client.get(
            f"/api/v1/{path}", headers={**shopper.api.headers, "Accept": "text/event-stream"}
        )
        assert_problem(response, 406, "not-acceptable")


def test_one_stream_too_many_is_told_to_come_back(shopper: Shopper, claude: ClaudeStandIn, settings: Settings) -> None:
    settings.STREAM_THREADS = 1
    over = Event()

    def hold() -> None:
        over.wait(30)

    assert stream_crew().start(hold)
    response = stream(shopper.api, ASK, HTTP_IDEMPOTENCY_KEY="k")
    over.set()
    assert_problem(response, 503, "streams-busy")
    assert response.headers["Retry-After"] == "2"
    assert not Generation.objects.exists()
    again = shopper.api.post("generate", ASK, HTTP_IDEMPOTENCY_KEY="k")
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (200, False)


def test_a_waiting_stream_holds_no_connection(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    response = stream(shopper.api, ASK)
    assert connection.connection is None
    events_of(response)
