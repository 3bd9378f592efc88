"""One limit in seconds for a whole conversation with a target, kept even when the server ignores its own."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from text2sql.targets.errors import QueryCancelled, TargetTimeout

GRACE = 1.0
"""Seconds that the server's own timeout has to speak first: its error says more than a cut connection."""
CANCEL_PATIENCE = 1.0
POLL_SECONDS = 0.25
"""How often it is looked whether the caller went away."""
REPEAT_SECONDS = 0.2


class Deadline:
    """Counts from its creation; `expired` and `cancelled` tell whether and why it cut the connection."""

    def __init__(self, seconds: float, is_cancelled: Callable[[], bool] | None = None) -> None:
        self.seconds = seconds
        self.expired = False
        self.cancelled = False
        self._ends = time.monotonic() + seconds
        self._is_cancelled = is_cancelled
        self._ask_at = 0.0
        self._watch: Watch | None = None

    @property
    def left(self) -> float:
        return max(self._ends - time.monotonic(), 0.0)

    @property
    def is_cut(self) -> bool:
        return self.expired or self.cancelled

    def restart(self) -> None:
        """Gives the statement its whole time once the connection stands; connecting has a limit of its own."""
        self._ends = time.monotonic() + self.seconds

    def watch(self, cancel: Callable[[], None], *, descriptor: int | None = None, grace: float = 0.0) -> None:
        """From now on, `cancel` is called when the time is over or the caller went away.

        With the `descriptor` of a socket, that is shut down after one call. Without one, `cancel` is called again and
        again until the deadline is closed, since it may have come between two statements.
        """
        self.close()
        self._watch = Watch(self, cancel, descriptor, grace)

    def check(self) -> None:
        """Raises `QueryCancelled` or `TargetTimeout` where it is over."""
        if self.is_cut:
            raise self.failure()

    def failure(self) -> QueryCancelled | TargetTimeout:
        if self.cancelled:
            return QueryCancelled("The query was stopped because nobody waits for its result any more.")
        return TargetTimeout(
            f"The database did not finish within {self.seconds:g} seconds. Ask for less, or raise the limit."
        )

    def look(self, *, grace: float = 0.0) -> bool:
        """Finds out whether it is over; kept, once it is."""
        now = time.monotonic()
        if not self.is_cut and self._is_cancelled is not None and now >= self._ask_at:
            self._ask_at = now + POLL_SECONDS
            self.cancelled = self._is_cancelled()
        self.expired = self.expired or (not self.cancelled and now >= self._ends + grace)
        return self.is_cut

    def next_look(self, *, grace: float = 0.0) -> float:
        left = self._ends + grace - time.monotonic()
        return max(left if self._is_cancelled is None else min(left, POLL_SECONDS), 0.0)

    def close(self) -> None:
        """Ends the watch. Once it returns nothing is cancelled any more, so the connection may serve someone else."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


class Watch:
    """The thread that looks at the clock while the caller's own thread waits for the database."""

    def __init__(self, deadline: Deadline, cancel: Callable[[], None], descriptor: int | None, grace: float) -> None:
        self._deadline = deadline
        self._cancel = cancel
        self._grace = grace
        # The socket is duplicated so that a late cut can never touch a descriptor that was closed and given away.
        self._line = None if descriptor is None else socket.socket(fileno=os.dup(descriptor))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="target-deadline", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()  # a cut takes no longer than CANCEL_PATIENCE and the driver's own limit
        if self._line is not None:
            self._line.close()

    def _run(self) -> None:
        while not self._over.wait(self._deadline.next_look(grace=self._grace)):
            if self._deadline.look(grace=self._grace):
                self._cut()
                return

    def _cut(self) -> None:
        if self._line is None:
            self._cancel()
            while not self._over.wait(REPEAT_SECONDS):
                self._cancel()
            return
        # A cancel frees the server; the shutdown frees us, also from a server that no longer listens.
        self._cancel()
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)


_current: ContextVar[Deadline] = ContextVar("deadline")


def current_deadline() -> Deadline:
    """The deadline of the `open_deadline` block around the call: connections are opened nowhere else."""
    return _current.get()


@contextmanager
def open_deadline(seconds: float, is_cancelled: Callable[[], bool] | None = None) -> Iterator[Deadline]:
    deadline = Deadline(seconds, is_cancelled)
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)
        deadline.close()
