"""However many ask the same question at once, one asks Claude: the others wait for its answer, in every process.

Who asks first writes a row, and its process moves the row's time on every two seconds. Where the process dies, the row
falls behind, and one of those who wait asks in its place.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection

from text2sql.cache.answers import CachedAnswer, CacheHit
from text2sql.models import Flight, Generation
from text2sql.services.answers import answer_find_latest
from text2sql.services.connections import connection_release
from text2sql.services.steps import step_taken

logger = logging.getLogger(__name__)

ALIVE_SECONDS = 8
RENEWAL_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
LEAST_SECONDS = 5.0
"""With less time than this left, Claude would be asked, and paid, for an answer that comes too late."""
FORGOTTEN_AFTER = timedelta(hours=1)


class StillAsked(Exception):
    """Whoever asks the same has no answer yet, and the time of this question is over."""


class _Place(Enum):
    FIRST = "asks Claude, and the others wait"
    ALONE = "asks Claude, and nobody waits"


@contextmanager
def answer_shared(generation: Generation, *, deadline: float) -> Iterator[CacheHit | None]:
    """The answer of whoever asks Claude for the same right now; None: the caller has to ask.

    The caller has looked into the cache, and remembers its answer inside of the block: at its end the others look for
    it. A generation without a cache key shares nothing. Raises StillAsked.
    """
    if not (generation.cache_key and settings.ENABLE_CACHE):
        yield None
    else:
        found = _join(generation, deadline)
        if found is _Place.FIRST:
            yield from _ask_first(generation)
        else:
            yield found if isinstance(found, CacheHit) else None


def flights_prune(now: datetime) -> int:
    """Delete what dead processes left and nobody asked for again. Returns how many rows went."""
    deleted, _ = Flight.objects.filter(alive_until__lt=now - FORGOTTEN_AFTER).delete()
    return deleted


def _ask_first(generation: Generation) -> Iterator[CacheHit | None]:
    _keeper.watch(generation.pk)
    try:
        # Looked for again: whoever asked before may have been answered between our look and our row.
        yield answer_find_latest(generation)
    finally:
        _keeper.drop(generation.pk)
        _land(generation)


def _land(generation: Generation) -> None:
    try:
        Flight.objects.filter(cache_key=generation.cache_key, generation_id=generation.pk).delete()
    except DatabaseError:
        # The answer is given all the same; those who wait take its row for one of a dead process.
        logger.exception("It could not be told that %s is answered", generation.pk)


def _join(generation: Generation, deadline: float) -> CacheHit | _Place:
    if _take(generation):
        return _Place.FIRST
    with step_taken(generation, "wait_for_same"):
        return _wait(generation, deadline)


def _wait(generation: Generation, deadline: float) -> CacheHit | _Place:
    """Raises StillAsked."""
    pause, seen = FIRST_PAUSE, None
    while (left := deadline - time.monotonic()) > LONGEST_PAUSE:
        holder, is_alive = _holder(generation.cache_key)
        if holder is None and seen is not None:
            if found := _landed(seen, generation.cache_key) or answer_find_latest(generation):
                return found
            if left < LEAST_SECONDS:
                break
            # It came to nothing: it would not help that all the others try one after the other.
            return _Place.ALONE
        if not is_alive and left > LEAST_SECONDS and _take(generation):
            return _Place.FIRST
        seen = holder or seen
        connection_release()
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    raise StillAsked


def _take(generation: Generation) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [generation.cache_key, generation.pk, ALIVE_SECONDS])
        return cursor.fetchone() is not None


_TAKE = """
    INSERT INTO text2sql_flight (cache_key, generation_id, alive_until)
    VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
    ON CONFLICT (cache_key) DO UPDATE SET generation_id = EXCLUDED.generation_id, alive_until = EXCLUDED.alive_until
    WHERE text2sql_flight.alive_until < clock_timestamp()
    RETURNING 1
"""


def _holder(cache_key: str) -> tuple[UUID | None, bool]:
    """The generation that is being answered, and whether its process is alive."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generation_id, alive_until >= clock_timestamp() FROM text2sql_flight WHERE cache_key = %s",
            [cache_key],
        )
        holder, is_alive = cursor.fetchone() or (None, False)
    return holder, is_alive


def _landed(generation_id: UUID, cache_key: str) -> CacheHit | None:
    # Perhaps another team's: the same key is the same question about the same view, as in the cache itself.
    landed = Generation.objects.filter(pk=generation_id, cache_key=cache_key, status__in=_SHARED).first()
    if landed is None:
        return None
    answer = CachedAnswer(
        sql=landed.sql,
        explanation=landed.explanation,
        tables=tuple(landed.tables),
        model=landed.model,
        cost_usd=landed.saved_usd if landed.cached else landed.cost_usd,
        generation_id=str(landed.origin_id or landed.pk),
        created_at=landed.created_at,
    )
    return CacheHit(answer, status=landed.status, choices=tuple(landed.choices))


_SHARED = (Generation.Status.SUCCEEDED, Generation.Status.CLARIFY, Generation.Status.CANNOT_ANSWER)


class _Keeper:
    """Shows of all questions that this process asks first that it is alive, from a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[UUID] = set()
        self._is_running = False

    def watch(self, generation_id: UUID) -> None:
        with self._lock:
            self._watched.add(generation_id)
            if not self._is_running:
                threading.Thread(target=self._run, name="flights", daemon=True).start()
                self._is_running = True

    def drop(self, generation_id: UUID) -> None:
        with self._lock:
            self._watched.discard(generation_id)

    def _run(self) -> None:
        # A connection of its own: in the pool it would stand in line behind those who wait.
        own: Any = None
        while True:
            time.sleep(RENEWAL_SECONDS)
            with self._lock:
                watched = list(self._watched)
                if not watched:
                    self._is_running = False
                    break
            try:
                own = own or _connect()
                own.execute(_RENEW, [ALIVE_SECONDS, watched])
            except Exception:  # whatever it is, the next round may go well
                logger.exception("It could not be shown that questions are still being answered")
                _close(own)
                own = None
        _close(own)


_RENEW = """
    UPDATE text2sql_flight SET alive_until = clock_timestamp() + make_interval(secs => %s)
    WHERE generation_id = ANY(%s)
"""


def _connect() -> Any:
    psycopg: Any = connection.Database  # type: ignore[attr-defined]  # the backend's own name for its driver
    return psycopg.connect(**connection.get_connection_params(), autocommit=True)


def _close(own: Any) -> None:
    if own is not None:
        own.close()


_keeper = _Keeper()


def _forget_after_fork() -> None:
    global _keeper  # noqa: PLW0603  # a forked worker has neither its parent's thread nor its questions
    _keeper = _Keeper()


os.register_at_fork(after_in_child=_forget_after_fork)
