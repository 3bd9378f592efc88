"""Streams, queued questions and repeated requests against the real web and worker processes."""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection
from pytest_django import Settings

from teams.models import Charge, Reservation, Team
from tests.conftest import SHOP
from tests.events import Told, events_read
from tests.factories import BudgetFactory, TeamFactory, make_database, make_key
from tests.journeys.installation import wait_until
from tests.processes import celery_running, web_running
from text2sql.demo.claude import ClaudeStandIn
from text2sql.demo.questions.recorded import RecordedQuestion
from text2sql.models import Attempt, Generation

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SQL = "SELECT name FROM customers ORDER BY name"
HEARTBEAT = 1
DEADLINE = 12


@dataclass(frozen=True)
class Counter:
    """The web at work, with a team that may ask."""

    url: str
    token: str
    team: Team
    claude: ClaudeStandIn

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/api/v1/", headers={"Authorization": f"Bearer {self.token}"}, timeout=60
        )

    @contextmanager
    def stream(self, question: str, **body: Any) -> Iterator[Iterator[Told | str]]:
        asked = {"database": "shop", "question": question, **body}
        headers = {"Accept": "text/event-stream"}
        with self.client() as client, client.stream("POST", "generate", json=asked, headers=headers) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["Content-Type"] == "text/event-stream"
            yield events_read(response.iter_lines())


def answered(_database: str, question: str) -> RecordedQuestion:
    return RecordedQuestion(question, SQL, "All of them.", lambda _database, _today: [])


@pytest.fixture(scope="module")
def claude() -> Iterator[ClaudeStandIn]:
    with ClaudeStandIn(lookup=answered) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("delivery")
    with closing(sqlite3.connect(place / "shop.sqlite")) as shop:
        shop.executescript(SHOP)
    return place


@contextmanager
def web(place: Path, claude: ClaudeStandIn) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with web_running(
        place,
        CLAUDE_STAND_IN_URL=claude.base_url,
        FILE_FOLDERS=str(place),
        STREAM_HEARTBEAT_SECONDS=str(HEARTBEAT),
        QUESTION_DEADLINE_SECONDS=str(DEADLINE),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def served(django_db_setup: None, place: Path, claude: ClaudeStandIn) -> Iterator[str]:
    with web(place, claude) as (url, _):
        yield url


@pytest.fixture
def counter(transactional_db: None, served: str, place: Path, claude: ClaudeStandIn, settings: Settings) -> Counter:
    settings.FILE_FOLDERS = [str(place)]
    team = TeamFactory(slug="sales")
    BudgetFactory(team=team, limit_usd=Decimal(1000))
    make_database(place / "shop.sqlite", team)
    return Counter(served, make_key(team)[1], team, claude)


def assert_paid(count: int, billed: Decimal) -> None:
    """Nothing runs or is held, and the ledger holds what was billed."""
    assert not Reservation.objects.exists()
    assert not Generation.objects.filter(status__in=["running", "queued"]).exists()
    assert not Attempt.objects.filter(status="running").exists()
    charges = list(Charge.objects.filter(cached=False))
    assert len(charges) == count
    assert sum(charge.cost_usd for charge in charges) == billed


def bill_since(claude: ClaudeStandIn, start: int) -> Decimal:
    return sum((bill.cost for bill in claude.billed[start:]), Decimal(0))


def test_the_sql_arrives_while_it_is_written(counter: Counter) -> None:
    start = len(counter.claude.billed)
    seconds: list[tuple[str, float]] = []
    with counter.stream("[[slow_stream 4]] Who are the customers?", execute=True) as events:
        for told in events:
            if isinstance(told, Told):
                seconds.append((told.name, time.monotonic()))
                last = told.data if told.name == "result" else None
                if last:
                    assert last["rows"] == [["Ada"], ["Bert"]]
    names = [name for name, _ in seconds]
    assert (names[:2], names[-2:]) == (["context", "attempt"], ["result", "done"])
    written = [at for name, at in seconds if name == "sql"]
    assert len(written) > 1
    # Spread over the seconds in which the stand-in writes, not all together at its end.
    assert written[-1] - written[0] > 0.2
    assert dict(seconds)["result"] - written[0] > 0.5
    assert_paid(1, bill_since(counter.claude, start))


def test_a_silent_stream_is_kept_alive(counter: Counter) -> None:
    with counter.stream("[[slow 4]] Who keeps silent?") as events:
        told = list(events)
    beats = [event for event in told if isinstance(event, str)]
    assert len(beats) >= 2
    assert [event.name for event in told if isinstance(event, Told)][-2:] == ["result", "done"]


def test_a_client_that_goes_away_stops_nothing(counter: Counter) -> None:
    start, question = len(counter.claude.billed), "[[slow_stream 4]] Who goes away?"
    with counter.stream(question, execute=True) as events:
        for told in events:
            if isinstance(told, Told) and told.name == "sql":
                break
    assert Generation.objects.get().status == "running"
    wait_until(lambda: Generation.objects.get().status == "succeeded", 30)
    wait_until(lambda: not Reservation.objects.exists(), 10)
    assert_paid(1, bill_since(counter.claude, start))
    assert not Charge.objects.filter(estimated=True).exists()
    assert not Generation.objects.get().executions.exists()  # nobody is there for the rows
    again = counter.client().post("generate", json={"database": "shop", "question": question}).json()
    assert again["cached"] is True
    assert len(counter.claude.billed) == start + 1


def test_many_streams_at_once_all_come_to_their_end(counter: Counter) -> None:
    start, count = len(counter.claude.billed), 40

    def one(number: int) -> list[str]:
        with counter.stream(f"[[slow_stream 2]] Who is number {number}?") as events:
            return [told.name for told in events if isinstance(told, Told)]

    with ThreadPoolExecutor(count) as threads:
        told = list(threads.map(one, range(count)))
        # Meanwhile and afterwards the others are served.
        assert counter.client().get("me").status_code == 200
    assert all(names[0] == "context" and names[-2:] == ["result", "done"] for names in told)
    assert_paid(count, bill_since(counter.claude, start))


def test_a_server_that_stops_says_so_and_the_question_is_swept(
    transactional_db: None, place: Path, claude: ClaudeStandIn, counter: Counter
) -> None:
    with web(place, claude) as (url, server), replace(counter, url=url).stream("[[timeout]] Who waits?") as events:
        told = [next(event for event in events if isinstance(event, Told))]
        server.send_signal(signal.SIGTERM)
        told += [event for event in events if isinstance(event, Told)]
        assert [event.name for event in told] == ["context", "attempt", "problem", "done"]
        assert told[2].data["type"] == "urn:text2sql:problem:stopping"
        assert server.wait(30) == 0
    assert Generation.objects.get(pk=told[2].data["generation_id"]).status == "running"
    with celery_running(place, QUESTION_DEADLINE_SECONDS=str(DEADLINE)):
        wait_until(lambda: Generation.objects.get().problem == "question-lost", 60)
    assert not Reservation.objects.exists()
    assert Charge.objects.get().estimated


def test_a_question_that_ends_while_the_server_stops_is_told(
    transactional_db: None, place: Path, claude: ClaudeStandIn, counter: Counter
) -> None:
    start = len(claude.billed)
    with web(place, claude) as (url, server), replace(counter, url=url).stream("[[slow 3]] Who stops?") as events:
        next(events)
        server.send_signal(signal.SIGTERM)
        assert [event.name for event in events if isinstance(event, Told)][-2:] == ["result", "done"]
        assert server.wait(30) == 0
    assert_paid(1, bill_since(claude, start))


def test_a_queued_question_survives_its_workers_death(counter: Counter, place: Path) -> None:
    settings = {"QUESTION_DEADLINE_SECONDS": "8", "CLAUDE_STAND_IN_URL": counter.claude.base_url}
    calls, start = len(counter.claude.requests), len(counter.claude.billed)
    client = counter.client()
    body = {"database": "shop", "question": "[[slow 6]] Who survives?"}
    with celery_running(place, **settings) as (worker, _):
        queued = client.post("generate", json=body, headers={"Prefer": "respond-async"})
        assert queued.status_code == 202
        wait_until(lambda: len(counter.claude.requests) > calls, 30)
        assert client.get(queued.headers["Location"].rpartition("v1/")[2]).json()["status"] == "running"
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait(10)
        connection.close()
    held = Reservation.objects.get().amount_usd
    with celery_running(place, **settings):
        wait_until(lambda: Generation.objects.get().run_count == 2, 60)
        wait_until(lambda: Generation.objects.get().status == "succeeded", 60)
    told = client.get(f"generations/{queued.json()['id']}").json()
    assert (told["status"], told["sql"], told["attempts"]) == ("succeeded", SQL, 2)
    exact = Charge.objects.get(estimated=False)
    assert exact.cost_usd == counter.claude.billed[-1].cost
    assert Charge.objects.get(estimated=True).cost_usd == held
    assert Decimal(told["cost_usd"]) == held + exact.cost_usd
    assert not Reservation.objects.exists()
    assert len(counter.claude.billed) - start in (1, 2)  # whether Claude billed the first one nobody can know


def test_of_twenty_repeats_at_once_one_is_asked(counter: Counter) -> None:
    start = len(counter.claude.billed)

    def once(_: int) -> httpx.Response:
        return counter.client().post(
            "generate",
            json={"database": "shop", "question": "[[slow 2]] Who repeats?"},
            headers={"Idempotency-Key": "the-same"},
        )

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(once, range(20)))
    assert sorted({response.status_code for response in found}) == [200, 409]
    assert all(response.headers["Retry-After"] for response in found if response.status_code == 409)
    assert once(0).headers["Idempotency-Replayed"] == "true"
    assert len(counter.claude.billed) == start + 1
    assert_paid(1, bill_since(counter.claude, start))
