"""Connections to target databases: read-only, limited in time, always rolled back and closed."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from text2sql.targets.deadlines import Deadline, current_deadline, open_deadline
from text2sql.targets.errors import TargetUnreachable
from text2sql.targets.failures import connect_failure, statement_failure
from text2sql.targets.urls import sqlite_path, target_url

CONNECT_SECONDS = 10
LOCK_SECONDS = 5.0
ENGINES = 64
"""How many targets stay known per process. An engine without a pool holds no connection, so dropping one is free."""
SQLITE_VALUE_BYTES = 64 * 1024 * 1024
"""The largest single value that an SQLite statement may build, `printf('%2000000000d')` included."""

AUTHORIZED_ACTIONS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
REFUSED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "sqlite_dbpage"})

SESSION_SETTINGS = text(
    "SELECT set_config('statement_timeout', :statement, true), set_config('lock_timeout', :lock, true),"
    " set_config('idle_in_transaction_session_timeout', :idle, true), set_config('TimeZone', 'UTC', true),"
    " set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'iso_8601', true),"
    " set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true),"
    " set_config('standard_conforming_strings', 'on', true)"
)


@contextmanager
def open_target(url: str, *, timeout: float) -> Iterator[Connection]:
    """A connection inside a read-only transaction that is rolled back at the end.

    `timeout` is seconds for everything done with the connection; connecting has `CONNECT_SECONDS` at most. Raises
    only `TargetError`s, for what the body does with the connection too.
    """
    engine = _engine(target_url(url).render_as_string(hide_password=False))
    with open_deadline(timeout) as deadline:
        connection = _connect(engine, deadline)
        try:
            with connection, connection.begin() as transaction:
                if engine.dialect.name == "postgresql":
                    connection.execute(SESSION_SETTINGS, _limits(timeout))
                yield connection
                transaction.rollback()
        except DBAPIError as error:
            raise statement_failure(error, deadline) from error.orig


def authorize_sqlite_reads(connection: Connection) -> None:
    """Leaves an SQLite connection nothing but SELECT: no PRAGMA, ATTACH, transaction or dangerous function."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        driver.set_authorizer(_authorize)


def _connect(engine: Engine, deadline: Deadline) -> Connection:
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise connect_failure(error, engine.url, deadline) from error.orig
    if engine.dialect.name == "postgresql":
        connection = connection.execution_options(postgresql_readonly=True)
    deadline.restart()
    return connection


def _limits(timeout: float) -> dict[str, str]:
    milliseconds = max(int(timeout * 1000), 1)
    lock = min(milliseconds, int(LOCK_SECONDS * 1000))
    return {"statement": str(milliseconds), "lock": str(lock), "idle": str(milliseconds + 10_000)}


@lru_cache(maxsize=ENGINES)
def _engine(url: str) -> Engine:
    parsed = target_url(url)
    if parsed.drivername == "sqlite":
        path = sqlite_path(parsed).absolute()

        def open_file() -> sqlite3.Connection:
            if not path.is_file():
                raise TargetUnreachable(f"There is no SQLite file {path.name} at the path of this database.")
            return _open_sqlite(f"file:{quote(str(path))}?mode=ro")

        return create_engine("sqlite://", creator=open_file, poolclass=NullPool)
    engine = create_engine(parsed, poolclass=NullPool, use_native_hstore=False, hide_parameters=True)
    event.listen(engine, "do_connect", _open_postgres)
    return engine


def _open_postgres(
    _dialect: object, _record: object, _arguments: list[Any], parameters: dict[str, Any]
) -> psycopg.Connection[Any]:
    deadline = current_deadline()
    fixed: dict[str, Any] = {
        # libpq counts whole seconds; psycopg applies them to the handshake as well, for each address of the host.
        "connect_timeout": math.ceil(min(CONNECT_SECONDS, deadline.seconds)),
        "client_encoding": "utf8",
        "application_name": "text2sql",
        # A prepared statement would not survive a transaction pooler such as pgbouncer.
        "prepare_threshold": None,
    }
    connection: psycopg.Connection[Any] = psycopg.connect(**{**parameters, **fixed})
    deadline.restart()
    deadline.watch_postgres(connection)
    return connection


def _open_sqlite(uri: str) -> sqlite3.Connection:
    deadline = current_deadline()
    connection = sqlite3.connect(uri, uri=True, timeout=min(LOCK_SECONDS, deadline.seconds), check_same_thread=False)
    connection.text_factory = _decode
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, SQLITE_VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    deadline.watch_sqlite(connection)
    return connection


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _authorize(action: int, _first: str | None, second: str | None, *_place: str | None) -> int:
    if action not in AUTHORIZED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
