"""Two hundred ask the same at once in four processes: Claude is asked once, and once more where the first is killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.utils import timezone
from moto.server import ThreadedMotoServer
from pytest_django import Settings

from teams.models import Reservation
from tests.processes import PROJECT, child_environment
from tests.text2sql.services.conftest import SQL, Asker, play_sql
from tests.text2sql.services.crowds import Gate, claude, gate, messages, until
from text2sql.cache.answers import answer_cache
from text2sql.cache.table import table_ensure
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Flight, Generation
from text2sql.services.sweeping import questions_sweep

__all__ = ["claude", "gate"]

PROCESSES, THREADS = 4, 50
POOL = 6
"""Connections of each process: far fewer than questions that wait."""
TAKEN_OVER_WITHIN = timedelta(seconds=15)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Crowd:
    """The processes by name, and the file with what became of their questions."""

    processes: dict[str, subprocess.Popen[str]]
    outcomes: Path

    def is_waiting(self) -> bool:
        """Whether each question of each process waits for an answer, but for the one that Claude is asked."""
        return len(self._lines("waiting")) == PROCESSES

    def ended(self) -> list[dict[str, Any]]:
        return self._lines("ended")

    def finish(self) -> None:
        for process in self.processes.values():
            process.wait(120)

    def _lines(self, state: str) -> list[dict[str, Any]]:
        text = self.outcomes.read_text() if self.outcomes.exists() else ""
        return [line for line in map(json.loads, text.splitlines()) if line["state"] == state]


@contextmanager
def crowd_asking(asker: Asker, folder: Path, **more: str) -> Iterator[Crowd]:
    """All of them begin once the last process is ready; what still runs at the end is killed."""
    (folder / "asker.json").write_text(json.dumps([asker.team.pk, str(asker.key.pk), asker.key.prefix]))
    crowd = Crowd({}, folder / "outcomes.jsonl")
    arguments = [
        "-m", "tests.text2sql.services.asking_alike", "--threads", str(THREADS),
        "--asker", str(folder / "asker.json"), "--outcomes", str(crowd.outcomes),
    ]  # fmt: skip
    environment = child_environment(
        folder, DATABASE_POOL_SIZE=str(POOL), QUESTIONS_IN_FLIGHT_PER_TEAM="0", QUESTIONS_IN_FLIGHT="0", **more
    )
    with ExitStack() as stack:
        log = stack.enter_context((folder / "asking.log").open("w"))
        for name in (f"process-{number}" for number in range(PROCESSES)):
            process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, *arguments, "--name", name], cwd=PROJECT, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
            stack.enter_context(process)  # waited for after it was killed
            stack.callback(process.kill)
            crowd.processes[name] = process
        for process in crowd.processes.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", (folder / "asking.log").read_text()
        for process in crowd.processes.values():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield crowd


@pytest.fixture(params=["postgres", "dynamodb"])
def store(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where answers are kept, in this process and in those that it starts."""
    if request.param == "postgres":
        yield
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    settings.DYNAMODB_ENDPOINT_URL = "http://{}:{}".format(*server.get_host_and_port())
    settings.CACHE_TABLE_NAME, settings.AWS_REGION = "crowd-answers", "eu-central-1"
    for name in ("DYNAMODB_ENDPOINT_URL", "CACHE_TABLE_NAME", "AWS_REGION"):
        monkeypatch.setenv(name, getattr(project, name))
    answer_cache.cache_clear()
    table_ensure()
    yield
    server.stop()


def test_two_hundred_that_ask_the_same_in_four_processes_make_one_call(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, store: None, tmp_path: Path
) -> None:
    play_sql(claude)
    with crowd_asking(asker, tmp_path) as crowd:
        until(crowd.is_waiting, "all wait")
        assert messages(claude) == 1
        gate.opened.set()
        crowd.finish()
    ended = crowd.ended()
    assert {(each["kind"], each.get("sql")) for each in ended} == {("succeeded", SQL)}
    assert (len(ended), messages(claude)) == (PROCESSES * THREADS, 1)
    (first,) = [each for each in ended if not each["cached"]]
    origins = Generation.objects.filter(cached=True).values_list("origin_id", flat=True)
    assert {str(origin) for origin in origins} == {first["id"]}
    assert len(origins) == PROCESSES * THREADS - 1
    assert not Flight.objects.exists()
    assert not Reservation.objects.exists()


def test_where_the_first_is_killed_another_one_asks_and_all_others_are_answered(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, tmp_path: Path
) -> None:
    play_sql(claude, times=2)
    with crowd_asking(asker, tmp_path) as crowd:
        until(crowd.is_waiting, "all wait")
        assert messages(claude) == 1
        killed = Generation.objects.get(pk=Flight.objects.get().generation_id)
        crowd.processes[killed.end_user].kill()
        killed_at = timezone.now()
        until(lambda: messages(claude) == 2, "another one asks")
        taken_over_at = claude.requests[-1].at
        gate.opened.set()
        crowd.finish()
    assert taken_over_at - killed_at < TAKEN_OVER_WITHIN
    ended = crowd.ended()
    assert {(each["kind"], each.get("sql")) for each in ended} == {("succeeded", SQL)}
    assert {each["process"] for each in ended} == crowd.processes.keys() - {killed.end_user}
    assert (len(ended), messages(claude)) == ((PROCESSES - 1) * THREADS, 2)
    assert [each["cached"] for each in ended].count(False) == 1
    # What the killed one was asked and what it held are settled as those of any lost question.
    Generation.objects.filter(status="running").update(lost_at=timezone.now())
    questions_sweep()
    assert list(Generation.objects.filter(status="failed").values_list("pk", flat=True)) == [killed.pk]
    assert not Reservation.objects.exists()
    assert not Flight.objects.exists()
