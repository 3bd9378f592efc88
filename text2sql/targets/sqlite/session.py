"""SQLite: a file opened read-only for one session, left with nothing but SELECT."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from text2sql.pipeline.schema import Schema
from text2sql.targets.deadlines import Deadline, current_deadline
from text2sql.targets.errors import QueryFailed, TargetError, TargetTimeout, TargetUnreachable, query_failed
from text2sql.targets.session import EMPTINESS, Answer, Probe, Reader, ResultColumn
from text2sql.targets.sqlite.catalog import read_sqlite
from text2sql.targets.urls import file_path
from text2sql.targets.values import JsonValue, read_bytes, read_float

LOCK_SECONDS = 5.0
STEPS = 10_000
"""Virtual machine steps between two looks at the deadline: well under a millisecond."""
VALUE_BYTES = 64 * 1024 * 1024
"""The largest single value that a statement may build, `printf('%2000000000d')` included."""

AUTHORIZED_ACTIONS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
REFUSED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "sqlite_dbpage"})


class SqliteSession:
    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @contextmanager
    def run(self, sql: str, *, row_cap: int) -> Iterator[Answer]:
        cursor = self._authorized().cursor()
        try:
            cursor.execute(sql)
        except sqlite3.Warning as error:  # Python 3.11 says so when there are two statements
            raise query_failed(str(error)) from error
        if cursor.description is None:
            raise QueryFailed("The statement returns no rows. Only queries can be run.")
        columns = tuple(ResultColumn(str(column[0]), "") for column in cursor.description)
        readers: Sequence[Reader] = [_value] * len(columns)
        yield Answer(columns, readers, cursor.fetchmany)

    def plan_cost(self, sql: str) -> None:
        with self.run(f"EXPLAIN QUERY PLAN {sql}", row_cap=0):
            return

    def read_schema(self) -> Schema:
        return read_sqlite(self._connection)

    def probe(self) -> Probe:
        # Reading the schema is what finds out that a file is no database.
        tables = self._connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'view')"))
        version = str(self._connection.scalar(text("SELECT sqlite_version()")))
        return Probe("sqlite", version, self._path.name, "", read_only=True, warnings=() if tables else (EMPTINESS,))

    def _authorized(self) -> sqlite3.Connection:
        """No PRAGMA, ATTACH, transaction or dangerous function from now on."""
        driver: Any = self._connection.connection.driver_connection
        driver.set_authorizer(_authorize)
        return driver  # type: ignore[no-any-return]  # the engine is one of sqlite3's


@contextmanager
def open_sqlite(url: URL, deadline: Deadline, _zone: ZoneInfo) -> Iterator[SqliteSession]:
    """The file is opened anew each time: that costs less than a millisecond, and a file that was replaced is seen."""
    path = file_path(url).absolute()
    if not path.is_file():
        raise TargetUnreachable(f"There is no SQLite file {path.name} at the path of this database.")
    try:
        with _engine(path).connect() as connection, connection.begin() as transaction:
            yield SqliteSession(connection, path)
            transaction.rollback()
    except DBAPIError as error:
        raise _failure(error.orig, deadline) from error.orig
    except sqlite3.Error as error:
        raise _failure(error, deadline) from error


@lru_cache(maxsize=64)
def _engine(path: Path) -> Engine:
    return create_engine("sqlite://", creator=lambda: _open(path, current_deadline()), poolclass=NullPool)


def _open(path: Path, deadline: Deadline) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro", uri=True, timeout=min(LOCK_SECONDS, deadline.seconds),
        check_same_thread=False,
    )  # fmt: skip
    connection.text_factory = _decode
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_progress_handler(deadline.look, STEPS)
    return connection


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _value(value: Any) -> JsonValue:
    if isinstance(value, bytes):
        return read_bytes(value)
    if isinstance(value, float):
        return read_float(value)
    return value if isinstance(value, int) else str(value)


def _authorize(action: int, _first: str | None, second: str | None, *_place: str | None) -> int:
    if action not in AUTHORIZED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _failure(cause: BaseException | None, deadline: Deadline) -> TargetError:
    name = getattr(cause, "sqlite_errorname", "")
    if deadline.is_cut or name == "SQLITE_INTERRUPT":
        return deadline.failure()
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TargetTimeout("The SQLite file is locked by a writer. Try again in a moment.")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return TargetUnreachable("The file is not an SQLite database, or it is damaged. Check the path.")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM")):
        return TargetUnreachable("The SQLite file cannot be opened. Check the path and the rights on the file.")
    return query_failed(str(cause))
