"""One limit in seconds for a whole conversation with a target, kept even when the server ignores its own."""

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import psycopg

GRACE = 1.0
"""Seconds that the server's own timeout has to speak first: its error says more than a cut connection."""
CANCEL_PATIENCE = 1.0
SQLITE_STEPS = 10_000
"""Virtual machine steps between two looks at the clock: well under a millisecond."""


class Deadline:
    """Counts from its creation; `expired` tells whether it cut the connection."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self._ends = time.monotonic() + seconds
        self._timer: threading.Timer | None = None
        self._line: socket.socket | None = None

    @property
    def left(self) -> float:
        return max(self._ends - time.monotonic(), 0.0)

    def restart(self) -> None:
        """Gives the statement its whole time once the connection stands; connecting has a limit of its own."""
        self._ends = time.monotonic() + self.seconds

    def watch_postgres(self, connection: psycopg.Connection[object]) -> None:
        # The socket is duplicated so that a late timer can never touch a descriptor that was closed and given away.
        self._line = socket.socket(fileno=os.dup(connection.fileno()))
        self._timer = threading.Timer(self.left + GRACE, self._cut, (connection, self._line))
        self._timer.daemon = True
        self._timer.start()

    def watch_sqlite(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(self._sqlite_is_late, SQLITE_STEPS)

    def close(self) -> None:
        if self._timer is not None and self._line is not None:
            self._timer.cancel()
            self._line.close()

    def _sqlite_is_late(self) -> bool:
        self.expired = self.expired or self.left == 0
        return self.expired

    def _cut(self, connection: psycopg.Connection[object], line: socket.socket) -> None:
        self.expired = True
        # A cancel frees the server; the shutdown frees us, also from a server that no longer listens.
        with suppress(psycopg.Error, OSError):
            connection.cancel_safe(timeout=CANCEL_PATIENCE)
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


_current: ContextVar[Deadline] = ContextVar("deadline")


def current_deadline() -> Deadline:
    """The deadline of the `open_deadline` block around the call: connections are opened nowhere else."""
    return _current.get()


@contextmanager
def open_deadline(seconds: float) -> Iterator[Deadline]:
    deadline = Deadline(seconds)
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)
        deadline.close()
