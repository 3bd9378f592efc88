"""Idempotency-Key: the same request again is answered, and never paid, twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from teams.models import Charge
from tests.clients import ApiClient
from tests.events import events_of
from tests.factories import make_key
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, Generation, IdempotencyKey
from text2sql.services.idempotency import keys_prune
from text2sql.services.sweeping import questions_sweep

ASK = {"database": "shop", "question": "Who are the customers?"}
SQL = "SELECT name FROM customers ORDER BY name"


def post(api: ApiClient, body: Any = ASK, key: str = "k-1", **headers: str) -> Any:
    return api.post("generate", body, HTTP_IDEMPOTENCY_KEY=key, **headers)


def test_the_same_request_is_answered_and_not_paid_again(shopper: Shopper, claude: ClaudeStandIn) -> None:
    first = post(shopper.api)  # cannot be answered, which the cache does not keep
    assert first.status_code == 200
    assert "Idempotency-Replayed" not in first.headers
    again = post(shopper.api)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert len(claude.billed) == Charge.objects.count() == Generation.objects.count() == 1
    assert post(shopper.api, key="k-2").json()["id"] != first.json()["id"]
    assert len(claude.billed) == 2


def test_a_body_spelled_otherwise_is_the_same_one(shopper: Shopper, claude: ClaudeStandIn) -> None:
    first = post(shopper.api, '{"database": "shop", "question": "Wo ist Zoë?"}').json()
    again = post(shopper.api, '{ "question":"Wo ist Zo\\u00eb?",\n"database":"shop"}').json()
    assert again["id"] == first["id"]


def test_rows_are_fetched_anew(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    first = post(shopper.api, {**ASK, "execute": True}).json()
    again = post(shopper.api, {**ASK, "execute": True}).json()
    assert again["rows"] == first["rows"] == [["Ada"], ["Bert"]]
    assert Generation.objects.get().executions.count() == 2


def test_another_body_is_refused(shopper: Shopper, claude: ClaudeStandIn) -> None:
    post(shopper.api)
    for other in ({**ASK, "question": "Who?"}, {**ASK, "execute": True}, {**ASK, "session_id": "s"}):
        assert_problem(post(shopper.api, other), 422, "idempotency-mismatch")
    assert len(claude.billed) == 1


def test_another_api_key_has_keys_of_its_own(shopper: Shopper, claude: ClaudeStandIn) -> None:
    first = post(shopper.api).json()
    other = post(ApiClient(make_key(shopper.team)[1]), {**ASK, "question": "Who?"})
    assert (other.status_code, other.json()["id"] == first["id"]) == (200, False)


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ümlaut", "nul\0"])
def test_a_key_that_is_none_is_refused(shopper: Shopper, claude: ClaudeStandIn, key: str) -> None:
    document = assert_problem(post(shopper.api, key=key), 400, "invalid-request")
    assert document["errors"][0]["field"] == "Idempotency-Key"
    assert claude.requests == []


def test_the_longest_key_is_taken(shopper: Shopper, claude: ClaudeStandIn) -> None:
    assert post(shopper.api, key="x" * 255).json()["id"] == post(shopper.api, key="x" * 255).json()["id"]


def test_what_failed_at_a_cost_is_told_again(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql="DROP TABLE customers", explanation="x", times=3)
    first = assert_problem(post(shopper.api), 422, "sql-refused")
    calls = len(claude.billed)
    again = post(shopper.api)
    document = assert_problem(again, 422, "sql-refused")
    assert document["generation_id"] == first["generation_id"]
    assert document["detail"] == first["detail"]
    assert len(claude.billed) == calls


def test_what_failed_without_a_cost_is_asked_again(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("spend_limit")
    assert_problem(post(shopper.api), 503, "claude-spend-limit")
    claude.play("answer", sql=SQL, explanation="x")
    answer = post(shopper.api).json()
    assert (answer["status"], answer["sql"]) == ("succeeded", SQL)
    assert post(shopper.api).json()["id"] == answer["id"]
    assert len(claude.billed) == 1


def test_what_never_became_a_question_leaves_the_key_free(shopper: Shopper, claude: ClaudeStandIn) -> None:
    assert_problem(post(shopper.api, {**ASK, "database": "nowhere"}), 404, "not-found")
    assert not IdempotencyKey.objects.exists()
    assert post(shopper.api).status_code == 200


def test_a_request_not_valid_takes_no_key(shopper: Shopper) -> None:
    assert_problem(post(shopper.api, {**ASK, "question": ""}), 400, "invalid-request")
    assert not IdempotencyKey.objects.exists()


def test_a_running_question_is_told_to_wait_for(shopper: Shopper, claude: ClaudeStandIn) -> None:
    post(shopper.api)
    Generation.objects.update(status="running", lost_at=timezone.now() + timedelta(minutes=1))
    response = post(shopper.api)
    assert_problem(response, 409, "idempotency-in-flight")
    assert int(response.headers["Retry-After"]) >= 1
    assert_problem(post(shopper.api, HTTP_ACCEPT="text/event-stream"), 409, "idempotency-in-flight")


def test_a_question_that_died_with_its_process_is_asked_again(shopper: Shopper, claude: ClaudeStandIn) -> None:
    post(shopper.api)
    Generation.objects.update(status="running", lost_at=timezone.now() - timedelta(seconds=1))
    assert_problem(post(shopper.api), 409, "idempotency-in-flight")
    questions_sweep()
    assert post(shopper.api).status_code == 200
    assert len(claude.billed) == 2


def test_a_request_that_died_before_its_question_frees_its_key(shopper: Shopper, claude: ClaudeStandIn) -> None:
    post(shopper.api)
    IdempotencyKey.objects.update(generation_id=uuid4())
    assert_problem(post(shopper.api), 409, "idempotency-in-flight")
    IdempotencyKey.objects.update(claimed_at=timezone.now() - timedelta(minutes=5))
    assert post(shopper.api).status_code == 200


def test_a_key_is_kept_for_a_day(shopper: Shopper, claude: ClaudeStandIn) -> None:
    first = post(shopper.api).json()
    IdempotencyKey.objects.update(claimed_at=timezone.now() - timedelta(hours=23, minutes=59))
    assert post(shopper.api).json()["id"] == first["id"]
    assert keys_prune(timezone.now()) == 0
    IdempotencyKey.objects.update(claimed_at=timezone.now() - timedelta(hours=24, minutes=1))
    other = post(shopper.api, {**ASK, "question": "Another one?"})
    assert (other.status_code, other.json()["id"] == first["id"]) == (200, False)
    assert keys_prune(timezone.now()) == 0
    assert keys_prune(timezone.now() + timedelta(hours=25)) == 1


def test_a_stream_tells_what_was_answered_before(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    first = events_of(post(shopper.api, {**ASK, "execute": True}, HTTP_ACCEPT="text/event-stream"))
    response = post(shopper.api, {**ASK, "execute": True}, HTTP_ACCEPT="text/event-stream")
    assert response.headers["Idempotency-Replayed"] == "true"
    again = events_of(response)
    assert [event.name for event in again] == ["result", "done"]
    assert again[0].data["id"] == first[-2].data["id"]
    assert again[0].data["rows"] == [["Ada"], ["Bert"]]
    assert response.headers["Content-Location"].endswith(again[0].data["id"])
    assert post(shopper.api, {**ASK, "execute": True}).json()["id"] == again[0].data["id"]
    assert len(claude.billed) == 1


def test_a_queued_question_is_queued_once(shopper: Shopper, claude: ClaudeStandIn) -> None:
    first = post(shopper.api, HTTP_PREFER="respond-async")
    again = post(shopper.api, HTTP_PREFER="respond-async")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert_problem(post(shopper.api), 409, "idempotency-in-flight")
    Generation.objects.update(status="cannot_answer")
    finished = post(shopper.api, HTTP_PREFER="respond-async")
    assert (finished.status_code, finished.json()["status"]) == (200, "cannot_answer")
    assert "Preference-Applied" not in finished.headers


def test_a_database_closed_since_shows_no_rows(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    post(shopper.api, {**ASK, "execute": True})
    DatabaseAccess.objects.all().delete()
    assert_problem(post(shopper.api, {**ASK, "execute": True}), 404, "not-found")


@pytest.mark.parametrize("state", ["new", "old", "failed", "dead"])
def test_of_twenty_at_once_one_is_asked(shopper: Shopper, claude: ClaudeStandIn, state: str) -> None:
    if state != "new":
        post(shopper.api)
        Generation.objects.update(status="failed", cost_usd=0, problem="internal-error")
    if state == "old":
        IdempotencyKey.objects.update(claimed_at=timezone.now() - timedelta(days=2))
    if state == "dead":
        IdempotencyKey.objects.update(claimed_at=timezone.now() - timedelta(hours=1), generation_id=uuid4())
    before, start = len(claude.billed), Barrier(20)

    def once(_: int) -> Any:
        start.wait()
        try:
            response = post(shopper.api)
            return response.status_code, response.json().get("id")
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(once, range(20)))
    assert len(claude.billed) == before + 1
    assert {status for status, _ in found} <= {200, 409}
    assert len({answer for status, answer in found if status == 200}) == 1
