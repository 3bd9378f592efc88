"""Prefer: respond-async: what the client is told, and how the worker answers, whatever happens meanwhile."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from observability.models import Trace
from teams.models import Budget, Charge, Reservation
from teams.services.budgets import budget_reserve
from teams.services.keys import key_revoke
from tests.clients import ApiClient
from tests.factories import BudgetFactory, make_key
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Attempt, Catalog, DatabaseAccess, Generation
from text2sql.services import jobs
from text2sql.services.attempts import spender_of
from text2sql.services.generation import generation_resume
from text2sql.services.jobs import job_crew, questions_answer
from text2sql.services.sweeping import RUNS, _queue_again, questions_sweep
from text2sql.services.targets import _view

ASK = {"database": "shop", "question": "Who are the customers?"}
SQL = "SELECT name FROM customers ORDER BY name"


@pytest.fixture(autouse=True)
def fresh_crew() -> Iterator[None]:
    job_crew.cache_clear()
    yield
    job_crew()._threads.shutdown()
    job_crew.cache_clear()


def queue(api: ApiClient, body: Any = ASK, prefer: str = "respond-async", **headers: str) -> Any:
    return api.post("generate", body, HTTP_PREFER=prefer, **headers)


def work() -> None:
    """Everything that is queued is answered by this process."""
    questions_answer()
    job_crew()._threads.shutdown()
    job_crew.cache_clear()


def lose(generation_id: str) -> Generation:
    """What a worker leaves that was killed in the midst of a call."""
    claimed = jobs._claim()
    assert claimed is not None
    assert str(claimed.pk) == generation_id
    Generation.objects.filter(pk=claimed.pk).update(lost_at=timezone.now() - timedelta(seconds=1))
    return claimed


def die_in_call(claimed: Generation) -> None:
    with transaction.atomic():
        attempt = Attempt.objects.create(
            generation=claimed, number=1, model=claimed.model, max_tokens=4096, started_at=timezone.now()
        )
        budget_reserve(
            attempt_id=attempt.pk, generation_id=claimed.pk, spender=spender_of(claimed), least=Decimal("0.05"),
            most=Decimal("0.05"), now=timezone.now(), expires_at=timezone.now(), is_new_question=True,
        )  # fmt: skip


def test_a_question_is_written_down_and_answered_later(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="All of them.")
    response = queue(shopper.api, {**ASK, "session_id": "s", "end_user": "nina"}, "wait=5, Respond-Async; x=1")
    assert response.status_code == 202
    document = response.json()
    assert (document["status"], document["sql"], document["cost_usd"]) == ("queued", "", "0")
    assert response.headers["Location"] == f"/api/v1/generations/{document['id']}"
    assert response.headers["Preference-Applied"] == "respond-async"
    assert response.headers["Retry-After"] == "1"
    assert claude.requests == []
    waiting = shopper.api.get(f"generations/{document['id']}")
    assert (waiting.json()["status"], waiting.headers["Retry-After"]) == ("queued", "1")
    assert [row["id"] for row in shopper.api.get("generations", status="queued").json()["results"]] == [document["id"]]
    work()
    finished = shopper.api.get(f"generations/{document['id']}")
    assert "Retry-After" not in finished.headers
    answer = finished.json()
    assert (answer["status"], answer["sql"], answer["explanation"]) == ("succeeded", SQL, "All of them.")
    assert (answer["session_id"], answer["end_user"], answer["created_at"]) == ("s", "nina", document["created_at"])
    assert Decimal(answer["cost_usd"]) == claude.billed[0].cost == Charge.objects.get().cost_usd
    assert not Reservation.objects.exists()
    assert shopper.api.post(f"generations/{document['id']}/execute").json()["rows"] == [["Ada"], ["Bert"]]
    # The next one finds it in the cache, and is queued and answered all the same.
    again = queue(shopper.api).json()
    work()
    told = shopper.api.get(f"generations/{again['id']}").json()
    assert (told["status"], told["cached"], told["cost_usd"]) == ("succeeded", True, "0")


def test_rows_are_not_to_be_had_later(shopper: Shopper) -> None:
    document = assert_problem(queue(shopper.api, {**ASK, "execute": True}), 400, "invalid-request")
    assert document["errors"][0]["field"] == "execute"
    assert not Generation.objects.exists()


def test_another_preference_changes_nothing(shopper: Shopper, claude: ClaudeStandIn) -> None:
    for prefer in ("", "wait=10", "respond-asynchronously", "return=minimal"):
        response = queue(shopper.api, ASK, prefer)
        assert response.status_code == 200
        assert "Preference-Applied" not in response.headers


def test_what_is_wrong_with_a_question_is_said_at_once(shopper: Shopper) -> None:
    assert_problem(queue(shopper.api, {**ASK, "database": "nowhere"}), 404, "not-found")
    assert_problem(queue(shopper.api, {**ASK, "question": ""}), 400, "invalid-request")
    assert not Generation.objects.exists()


def test_a_conversation_goes_on_in_the_queue(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    first = shopper.api.post("generate", {**ASK, "session_id": "s"}).json()
    claude.play("answer", sql=f"{SQL} LIMIT 1", explanation="x")
    second = queue(shopper.api, {**ASK, "question": "Only the first?", "session_id": "s"}).json()
    assert second["parent_id"] == first["id"]
    work()
    assert shopper.api.get(f"generations/{second['id']}").json()["sql"].endswith("LIMIT 1")
    assert SQL in str(claude.requests[-1].body)


def test_a_key_revoked_meanwhile_ends_the_question(shopper: Shopper, claude: ClaudeStandIn) -> None:
    key, token, _ = make_key(shopper.team)
    document = queue(ApiClient(token)).json()
    key_revoke(key=key, actor="test")
    work()
    told = shopper.api.get(f"generations/{document['id']}").json()
    assert (told["status"], told["problem"]["type"]) == ("failed", "urn:text2sql:problem:unauthenticated")
    assert claude.requests == []


def test_a_database_closed_meanwhile_ends_the_question(shopper: Shopper, claude: ClaudeStandIn) -> None:
    document = queue(shopper.api).json()
    DatabaseAccess.objects.all().delete()
    work()
    told = shopper.api.get(f"generations/{document['id']}").json()
    assert (told["status"], told["problem"]["type"]) == ("failed", "urn:text2sql:problem:not-found")
    assert claude.requests == []


def test_a_budget_refuses_when_the_question_is_asked(shopper: Shopper, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=shopper.team, limit_usd=Decimal("0.0001"))
    document = queue(shopper.api).json()
    work()
    told = shopper.api.get(f"generations/{document['id']}").json()
    assert (told["status"], told["problem"]["status"]) == ("failed", 402)


def test_a_crash_ends_the_question(shopper: Shopper, claude: ClaudeStandIn, caplog: pytest.LogCaptureFixture) -> None:
    document = queue(shopper.api).json()
    Catalog.objects.update(content={"broken": "secret-of-the-row"})
    _view.cache_clear()
    work()
    _view.cache_clear()
    told = shopper.api.get(f"generations/{document['id']}").json()
    assert (told["status"], told["problem"]["type"]) == ("failed", "urn:text2sql:problem:internal-error")
    assert "secret" not in str(told)
    assert "failed unexpectedly" in caplog.text


def test_a_worker_that_dies_leaves_its_question_to_the_next_one(
    shopper: Shopper, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    BudgetFactory(team=shopper.team)
    document = queue(shopper.api).json()
    claimed = lose(document["id"])
    # In mid-call: what it had committed by then is an attempt and the money for it.
    claude.play("answer", sql=SQL, explanation="x")
    die_in_call(claimed)
    held = Reservation.objects.get().amount_usd
    assert questions_sweep() == 1
    queued = Generation.objects.get()
    assert (queued.status, queued.run_count, queued.cost_usd) == ("queued", 1, held)
    assert not Reservation.objects.exists()
    assert not Trace.objects.exists()
    work()
    told = Generation.objects.get()
    assert (told.status, told.sql, told.run_count, told.attempt_count) == ("succeeded", SQL, 2, 2)
    assert told.cost_usd == held + claude.billed[-1].cost
    bound, exact = Charge.objects.order_by("charged_at")
    assert (bound.cost_usd, bound.estimated, exact.cost_usd, exact.estimated) == (
        held, True, claude.billed[-1].cost, False,
    )  # fmt: skip
    assert list(told.attempts.values_list("number", "status")) == [(1, "failed"), (2, "succeeded")]
    assert Trace.objects.count() == 1
    assert Budget.objects.get().windows.get().requests == 1  # one question, however often it was begun


def test_a_question_that_kills_its_workers_comes_to_an_end(shopper: Shopper, claude: ClaudeStandIn) -> None:
    document = queue(shopper.api).json()
    for _ in range(RUNS - 1):
        lose(document["id"])
        assert questions_sweep() == 1
        assert Generation.objects.get().status == "queued"
    lose(document["id"])
    assert questions_sweep() == 1
    told = shopper.api.get(f"generations/{document['id']}").json()
    assert (told["status"], told["problem"]["type"]) == ("failed", "urn:text2sql:problem:question-lost")
    questions_answer()
    assert claude.requests == []


def test_a_worker_taken_for_dead_changes_nothing_when_it_comes_back(shopper: Shopper, claude: ClaudeStandIn) -> None:
    document = queue(shopper.api).json()
    sleeper = lose(document["id"])
    questions_sweep()
    successor = jobs._claim()
    assert successor is not None
    claude.play("answer", sql="SELECT email FROM customers", explanation="late")
    with pytest.raises(Exception, match="question-lost"):
        generation_resume(principal=shopper.principal, generation=sleeper)
    claude.play("answer", sql=SQL, explanation="x")
    generation_resume(principal=shopper.principal, generation=successor)
    told = Generation.objects.get()
    assert (told.status, told.sql) == ("succeeded", SQL)


def test_a_sweeper_that_was_slow_leaves_the_next_run_alone(shopper: Shopper) -> None:
    document = queue(shopper.api).json()
    lose(document["id"])
    stale = Generation.objects.get()
    questions_sweep()
    jobs._claim()
    assert not _queue_again(stale)
    assert Generation.objects.get().status == "running"


def test_the_oldest_question_is_taken_first_and_by_one_worker(shopper: Shopper) -> None:
    asked = [queue(shopper.api, {**ASK, "question": f"Question {n}?"}).json()["id"] for n in range(3)]
    claimed = [jobs._claim() for _ in range(4)]
    assert [str(row.pk) if row else None for row in claimed] == [*asked, None]
