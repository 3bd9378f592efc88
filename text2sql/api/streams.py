"""A question's way as server-sent events (text/event-stream), told while it goes.

The question has a thread of its own and the response only hands on what that one tells. A client that goes away leaves
the thread at work: the call is finished, paid exactly and its answer cached; only rows are not fetched any more.
"""

import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from queue import Empty, SimpleQueue
from threading import Event as Flag

from django.conf import settings
from django.db import connection
from django.http import StreamingHttpResponse
from django.urls import reverse
from rest_framework.renderers import JSONRenderer

from text2sql.api.errors import problem_of
from text2sql.api.headers import replay_headers
from text2sql.api.serializers import answer_document
from text2sql.problems import Problem
from text2sql.services.connections import connection_release
from text2sql.services.crew import Crew
from text2sql.services.events import Event
from text2sql.services.questions import Asked, question_answer, question_release
from text2sql.services.stopping import stop_told

OPENING_SECONDS = 3.0
"""How long the response waits for a first sign: until then what goes wrong still has a status of its own."""
STOP_SECONDS = 5.0
"""How long a stream goes on after its server was told to stop, which waits ten seconds for it."""
LOOK_SECONDS = 1.0


@lru_cache(maxsize=1)
def stream_crew() -> Crew:
    return Crew(settings.STREAM_THREADS, name="stream")


def stream_response(asked: Asked) -> StreamingHttpResponse:
    """Begin with the question, and answer once it is sure that Claude is asked or the answer known.

    Raises:
        Problem: What kept it from being asked; `streams-busy`.
    """
    stream = Stream(asked)
    if not stream_crew().start(stream.work):
        question_release(asked)
        raise Problem("streams-busy", "As many streams run here as can; ask again in a moment.", retry_after=2)
    connection_release()  # the stream may last; its thread has a connection of its own
    begun = stream.begin()
    return StreamingHttpResponse(
        stream.frames(begun),
        content_type="text/event-stream",
        headers={
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx would keep the events back
            "Content-Location": reverse("generation", args=[asked.question.id]),
            **replay_headers(asked),
        },
    )


class Stream:
    """What the question's thread tells, and the response's thread hands on."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._told: SimpleQueue[Event | Problem] = SimpleQueue()
        self._left = Flag()

    def work(self) -> None:
        """The question's thread."""
        last: Event | Problem = Problem("internal-error", "The error has been logged; an admin can find it there.")
        try:
            answered = question_answer(self._asked, listener=self._told.put, is_left=self._left.is_set)
            last = Event("result", answer_document(answered))
        except Exception as error:  # noqa: BLE001  # logged there; the stream's end must be told in any case
            last = problem_of(error)
        finally:
            connection.close()
            self._told.put(last)

    def begin(self) -> list[Event | Problem]:
        """What was told up to the first sign of how it goes. Raises Problem where it went no further."""
        begun: list[Event | Problem] = []
        until = time.monotonic() + OPENING_SECONDS
        while not begun or (isinstance(begun[-1], Event) and begun[-1].name == "context"):
            try:
                begun.append(self._told.get(timeout=max(until - time.monotonic(), 0.001)))
            except Empty:
                break
        if begun and isinstance(begun[-1], Problem):
            raise begun[-1]
        return begun

    def frames(self, begun: list[Event | Problem]) -> Iterator[bytes]:
        """The response's body, from what was told already to the last event."""
        number = 0
        try:
            for told in chain(begun, self._wait()):
                if told is None:
                    yield b": still at work\n\n"
                    continue
                number += 1
                yield _frame(number, told)
                if isinstance(told, Problem) or told.name == "result":
                    break
            yield _frame(number + 1, Event("done"))
        finally:
            self._left.set()

    def _wait(self) -> Iterator[Event | Problem | None]:
        """What comes; None where nothing came for as long as a heartbeat."""
        quiet_since, stopping_since = time.monotonic(), None
        while True:
            try:
                told = self._told.get(timeout=min(LOOK_SECONDS, settings.STREAM_HEARTBEAT_SECONDS))
            except Empty:
                now = time.monotonic()
                if stop_told.is_set():
                    stopping_since = stopping_since or now
                    if now - stopping_since > STOP_SECONDS:
                        yield self._goodbye()
                if now - quiet_since >= settings.STREAM_HEARTBEAT_SECONDS:
                    quiet_since = now
                    yield None
            else:
                quiet_since = time.monotonic()
                yield told

    def _goodbye(self) -> Problem:
        where = reverse("generation", args=[self._asked.question.id])
        detail = f"This server is being stopped. What becomes of the question is told at {where}."
        return Problem("stopping", detail, {"generation_id": str(self._asked.question.id)})


def _frame(number: int, told: Event | Problem) -> bytes:
    name, data = ("problem", told.as_document()) if isinstance(told, Problem) else (told.name, told.data)
    return f"id: {number}\nevent: {name}\ndata: ".encode() + JSONRenderer().render(data) + b"\n\n"
