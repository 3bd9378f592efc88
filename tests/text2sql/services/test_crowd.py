"""Many slow questions wait for Claude at once and hold no connection while they do."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from django.conf import settings as project

from teams.models import Charge, Reservation
from tests.factories import BudgetFactory, TeamFactory, make_database, make_key
from tests.processes import child_environment, database_url, free_port
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation

QUESTIONS, POOL, DELAY = 50, 5, 4.0
NAME = f"crowd-{os.getpid()}"


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_fifty_slow_questions_in_flight_share_a_pool_of_five_connections(shop: Path, tmp_path: Path) -> None:
    team = TeamFactory(slug="sales")
    BudgetFactory(team=team, limit_usd=1000)
    make_database(shop, team)
    token = make_key(team)[1]
    with (
        ClaudeStandIn(delay=DELAY) as claude,
        web_server(claude, tmp_path) as url,
        Watch(claude) as watch,
        ThreadPoolExecutor(QUESTIONS) as threads,
    ):
        answers = list(threads.map(lambda number: ask(url, token, number), range(QUESTIONS)))
    assert [answer.status_code for answer in answers] == [200] * QUESTIONS
    assert {answer.json()["status"] for answer in answers} == {"cannot_answer"}
    assert len(claude.billed) == QUESTIONS == Charge.objects.count()
    assert not Reservation.objects.exists()
    assert not Generation.objects.filter(status="running").exists()
    print(f"in flight at once: {watch.in_flight}, connections at most: {watch.connections}")  # noqa: T201  # the proof
    assert watch.in_flight >= 45
    # One more shows for all of them that the process is alive (text2sql/services/flights.py).
    assert 1 <= watch.connections <= POOL + 1


def ask(url: str, token: str, number: int) -> httpx.Response:
    return httpx.post(
        f"{url}/api/v1/generate",
        content=json.dumps({"database": "shop", "question": f"What is the sum of number {number}?"}),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        timeout=60,
    )


class Watch:
    """The most questions that were at the stand-in at once, and the most connections that the server held meanwhile."""

    def __init__(self, claude: ClaudeStandIn) -> None:
        self.in_flight = self.connections = 0
        self._claude, self._over = claude, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        with psycopg.connect(database_url(application_name="crowd-watch"), autocommit=True) as watcher:
            while not self._over.wait(0.02):
                query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
                (connections,) = watcher.execute(query, [NAME]).fetchone() or (0,)
                self.connections = max(self.connections, connections)
                # Billed is what has started to be answered; what came and is not billed yet waits.
                self.in_flight = max(self.in_flight, len(self._claude.requests) - len(self._claude.billed))


@contextmanager
def web_server(claude: ClaudeStandIn, tmp_path: Path) -> Iterator[str]:
    """The real web process, on the test's database."""
    port = free_port()
    environment = child_environment(
        tmp_path,
        DATABASE_URL=database_url(application_name=NAME),
        DATABASE_POOL_SIZE=str(POOL),
        CLAUDE_STAND_IN_URL=claude.base_url,
        QUESTIONS_IN_FLIGHT="60",
        QUESTIONS_IN_FLIGHT_PER_TEAM="60",
    )
    arguments = [
        "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--blocking-threads", "64", "text2sql.wsgi:application",
    ]  # fmt: skip
    with (tmp_path / "web.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603  # our own server
            [sys.executable, *arguments], cwd=project.BASE_DIR, env=environment, stdout=log, stderr=log
        )
        try:
            wait_for(port, server, tmp_path / "web.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends and server.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/v1/me", timeout=30)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the web server does not answer: {log.read_text()}")
