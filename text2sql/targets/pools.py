"""The connections to database servers that this process keeps: few per target, of few targets, closed when idle."""

import atexit
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from text2sql.targets.deadlines import Deadline
from text2sql.targets.errors import TargetError, TargetUnreachable

KEPT = 2
EXTRA = 2
"""Connections beyond the kept ones, closed when they come back: four statements run at once on a target."""
WAIT_SECONDS = 5.0
RECYCLE_SECONDS = 300
IDLE_SECONDS = 60.0
POOLS = 16
"""Targets whose connections are kept, so at most 32 idle connections per process; more are open while in use."""
REAP_SECONDS = 15.0
KEPT_MARK = "served a session"


class Server(Protocol):
    """A kind of database server, as far as its pools have to know it."""

    @property
    def errors(self) -> type[Exception]:
        """What its driver raises."""

    def configure(self, engine: Engine) -> None:
        """Called once per engine."""

    def begin(self, connection: Connection, deadline: Deadline, zone: ZoneInfo) -> None:
        """Opens the read-only transaction, under the deadline's watch."""

    def end(self, connection: Connection) -> None:
        """Rolls back, and leaves nothing behind that the next user of the connection could notice."""

    def connect_failure(self, error: DBAPIError, url: URL, deadline: Deadline) -> TargetError: ...

    def statement_failure(self, error: BaseException, deadline: Deadline) -> TargetError: ...


@dataclass
class _Pool:
    engine: Engine = field(repr=False)
    users: int = 0
    used_at: float = 0.0


class Pools:
    """Engines by target. A changed password is another target: the old one's connections are idle and soon closed."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._pools: OrderedDict[str, _Pool] = OrderedDict()
        self._reaper: threading.Thread | None = None

    @contextmanager
    def session(self, url: URL, server: Server, deadline: Deadline, zone: ZoneInfo) -> Iterator[Connection]:
        """A connection of the target's pool inside its read-only transaction. Raises `TargetError`s only.

        It is kept for the next session only if this one ended well and in time.
        """
        pool = self._enter(url, server)
        try:
            connection = _connect(pool.engine, server, deadline, zone)
            try:
                yield connection
                if not connection.invalidated:
                    server.end(connection)
            except (DBAPIError, server.errors) as error:
                _discard(connection, deadline)
                raise server.statement_failure(error, deadline) from error
            except BaseException:
                _discard(connection, deadline)
                raise
            deadline.close()
            if deadline.is_cut:
                connection.invalidate()
            connection.close()
        finally:
            self._leave(pool)

    def close_idle(self, idle_seconds: float = 0.0) -> int:
        """Closes the connections of targets that nobody used for so long. Returns how many targets are left."""
        with self._lock:
            due = time.monotonic() - idle_seconds
            idle = [key for key, pool in self._pools.items() if not pool.users and pool.used_at <= due]
            dropped = [self._pools.pop(key) for key in idle]
            left = len(self._pools)
        for pool in dropped:
            pool.engine.dispose()
        return left

    def forget(self) -> None:
        """In a forked child: the sockets are the parent's, so they are dropped without a word to the server."""
        for pool in self._pools.values():
            pool.engine.dispose(close=False)
        self._start()  # with a new lock: a thread that the child does not have may hold the old one

    def _enter(self, url: URL, server: Server) -> _Pool:
        # The hash, so that no password stands in a key.
        key = hashlib.sha256(url.render_as_string(hide_password=False).encode()).hexdigest()
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = _Pool(_engine(url, server))
            self._pools.move_to_end(key)
            pool.users += 1
            dropped = self._surplus()
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._reap, name="target-pools", daemon=True)
                self._reaper.start()
        for other in dropped:
            other.engine.dispose()
        return pool

    def _leave(self, pool: _Pool) -> None:
        with self._lock:
            pool.users -= 1
            pool.used_at = time.monotonic()

    def _surplus(self) -> list[_Pool]:
        """The targets unused for longest, beyond `POOLS`; one in use is never dropped."""
        unused = [key for key, pool in self._pools.items() if not pool.users]
        return [self._pools.pop(key) for key in unused[: max(len(self._pools) - POOLS, 0)]]

    def _reap(self) -> None:
        while True:
            time.sleep(REAP_SECONDS)
            if self.close_idle(IDLE_SECONDS):
                continue
            with self._lock:
                if not self._pools:
                    self._reaper = None
                    return


def _connect(engine: Engine, server: Server, deadline: Deadline, zone: ZoneInfo) -> Connection:
    while True:
        try:
            connection = engine.connect()
        except PoolTimeout:
            raise TargetUnreachable(
                f"{KEPT + EXTRA} queries run on this database already. Try again in a moment."
            ) from None
        except DBAPIError as error:
            raise server.connect_failure(error, engine.url, deadline) from error.orig
        is_kept = KEPT_MARK in connection.info
        try:
            deadline.restart()
            server.begin(connection, deadline, zone)
        except DBAPIError as error:
            _discard(connection, deadline)
            # The server closes idle connections as it likes. What it says to the first statement is as good as a ping,
            # and saves one; a discarded connection does not come back, so this ends with a new one.
            if is_kept and not deadline.is_cut:
                continue
            raise server.statement_failure(error, deadline) from error
        connection.info[KEPT_MARK] = True
        return connection


def _discard(connection: Connection, deadline: Deadline) -> None:
    deadline.close()
    connection.invalidate()
    connection.close()


def _engine(url: URL, server: Server) -> Engine:
    engine = create_engine(
        url,
        pool_size=KEPT,
        max_overflow=EXTRA,
        pool_timeout=WAIT_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    server.configure(engine)
    return engine


pools = Pools()
os.register_at_fork(after_in_child=pools.forget)
atexit.register(pools.close_idle)
