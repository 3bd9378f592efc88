"""Questions asked at once, and a Claude that keeps its answers back until it is told to give them."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from django.db import connection
from pytest_django import Settings

from teams.models import Reservation
from tests.text2sql.services.conftest import Asker
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Attempt, Flight, Generation
from text2sql.problems import Problem
from text2sql.services import flights
from text2sql.services.generation import Question, generation_queue

PATIENCE = 60.0

Outcome = Generation | Problem


@dataclass
class Gate:
    """What the stand-in asks before it answers; it opens once and for all."""

    opened: threading.Event = field(default_factory=threading.Event)

    def __call__(self, database: str, question: str) -> None:
        self.opened.wait(PATIENCE)


def messages(claude: ClaudeStandIn) -> int:
    """How often Claude was asked for an answer."""
    return sum(request.path.endswith("/messages") for request in claude.requests)


def waiting() -> int:
    """Threads of this process that wait for another one's answer."""
    return sum(_is_waiting(thread) for thread in sys._current_frames())


def _is_waiting(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code is flights._wait.__code__:
            return True
        frame = frame.f_back
    return False


def until(condition: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, f"never: {what}"
        time.sleep(0.02)


def outcome_of(ask: Callable[[], Generation]) -> Outcome:
    """The answer, or the problem that it ended in; the thread keeps no connection."""
    try:
        return ask()
    except Problem as problem:
        return problem
    finally:
        connection.close()


@contextmanager
def asked_at_once(claude: ClaudeStandIn, *asks: Callable[[], Generation]) -> Iterator[list["Future[Outcome]"]]:
    """The first asks Claude, then all the others ask: inside of the block they wait. `claude` has to be kept back."""
    asked_before, waiting_before = messages(claude), waiting()
    with ThreadPoolExecutor(len(asks)) as threads:
        asked = [threads.submit(outcome_of, asks[0])]
        until(lambda: messages(claude) > asked_before, "Claude is asked")
        asked += [threads.submit(outcome_of, ask) for ask in asks[1:]]
        until(lambda: waiting() == waiting_before + len(asks) - 1, "the others wait")
        yield asked


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def claude(settings: Settings, gate: Gate) -> Iterator[ClaudeStandIn]:
    """Claude's stand-in, which answers as soon as the gate is open."""
    with ClaudeStandIn(lookup=gate) as stand_in:
        settings.CLAUDE_STAND_IN_URL = stand_in.base_url
        yield stand_in
        gate.opened.set()


def gone_through(asked: list[Future[Outcome]]) -> list[Generation]:
    """All the answers; none of them ended in a problem."""
    outcomes = [each.result(60) for each in asked]
    assert not [outcome for outcome in outcomes if isinstance(outcome, Problem)], outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Generation)]


def parted(asked: list[Future[Outcome]]) -> tuple[Generation, list[Generation]]:
    """Who asked Claude, and those that were given the same answer."""
    answers = gone_through(asked)
    (first,) = [each for each in answers if not each.cached]
    return first, [each for each in answers if each.cached]


def key_of(asker: Asker, question: str = "Who are the customers?") -> str:
    queued = generation_queue(principal=asker.principal, question=Question(asker.team.pk, "shop", question))
    queued.delete()
    return queued.cache_key


def steps_of(generation: Generation) -> list[str]:
    return [step["name"] for step in generation.steps]


def assert_all_over() -> None:
    assert not Flight.objects.exists()
    assert not Reservation.objects.exists()
    assert not Attempt.objects.filter(status="running").exists()
    assert not Generation.objects.filter(status="running").exists()
