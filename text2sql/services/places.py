"""How many questions this process has under way at once: threads are left for answers from the cache and for pages."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.conf import settings

from text2sql.problems import Problem

RETRY_AFTER = 2.0
"""Seconds."""

_lock = Lock()
_taken: Counter[str] = Counter()
"""By team."""


@contextmanager
def place_taken(team_id: str) -> Iterator[None]:
    """Raises Problem `questions-busy`, at once: who waited for a place would hold a thread as well."""
    with _lock:
        if _is_full(_taken.total(), settings.QUESTIONS_IN_FLIGHT):
            raise _busy("As many questions wait for Claude here as may; ask again in a moment.")
        if _is_full(_taken[team_id], settings.QUESTIONS_IN_FLIGHT_PER_TEAM):
            raise _busy("As many of your team's questions wait for Claude here as may; ask again in a moment.")
        _taken[team_id] += 1
    try:
        yield
    finally:
        with _lock:
            _taken[team_id] -= 1
            if not _taken[team_id]:
                del _taken[team_id]


def _is_full(taken: int, limit: int) -> bool:
    return 0 < limit <= taken


def _busy(detail: str) -> Problem:
    return Problem("questions-busy", detail, retry_after=RETRY_AFTER)
