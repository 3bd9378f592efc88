"""PostgreSQL: a pooled connection in a read-only transaction whose settings end with it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import URL

from text2sql.pipeline.schema import Schema
from text2sql.targets.deadlines import CANCEL_PATIENCE, GRACE, Deadline, current_deadline
from text2sql.targets.pools import pools
from text2sql.targets.postgres.catalog import read_postgres
from text2sql.targets.postgres.failures import connect_failure, statement_failure
from text2sql.targets.postgres.probe import probe_postgres
from text2sql.targets.postgres.values import PostgresType, Reader, load_everything_as_text, postgres_reader
from text2sql.targets.session import Answer, Probe, ResultColumn

CONNECT_SECONDS = 10
LOCK_SECONDS = 5.0

SESSION_SETTINGS = text(
    "SELECT set_config('statement_timeout', :statement, true), set_config('lock_timeout', :lock, true),"
    " set_config('idle_in_transaction_session_timeout', :idle, true), set_config('TimeZone', :zone, true),"
    " set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'iso_8601', true),"
    " set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true),"
    " set_config('standard_conforming_strings', 'on', true)"
)

TYPES_OF_RESULT = text("""
    WITH RECURSIVE needed(oid) AS (
        SELECT DISTINCT unnest(CAST(:oids AS oid[]))
        UNION
        SELECT related.oid
        FROM needed
        JOIN pg_catalog.pg_type t ON t.oid = needed.oid
        LEFT JOIN pg_catalog.pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid)
        CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype), (r.rngsubtype)) AS related(oid)
        WHERE related.oid <> 0
    )
    SELECT t.oid, t.typname, t.typtype, t.typdelim,
           CASE WHEN t.typoutput = CAST('pg_catalog.array_out' AS pg_catalog.regproc) THEN t.typelem ELSE 0 END,
           t.typbasetype, COALESCE(r.rngsubtype, 0)
    FROM needed
    JOIN pg_catalog.pg_type t ON t.oid = needed.oid
    LEFT JOIN pg_catalog.pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid)
""")
NAMES_OF_TYPES = text(
    "SELECT pg_catalog.format_type(oid, modifier)"
    " FROM unnest(CAST(:oids AS oid[]), CAST(:modifiers AS int[])) WITH ORDINALITY AS asked(oid, modifier, place)"
    " ORDER BY place"
)


class PostgresSession:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def run(self, sql: str, *, row_cap: int) -> Iterator[Answer]:
        # A server-side cursor: DECLARE goes over the extended protocol, which takes one statement only, and DECLARE
        # itself takes nothing but a query.
        with _driver(self._connection).cursor(name="answer") as cursor:
            load_everything_as_text(cursor.adapters)
            cursor.execute(sql.encode())
            columns, readers = self._shape(cursor.description or ())
            yield Answer(columns, readers, cursor.fetchmany)

    def plan_cost(self, sql: str) -> float:
        # Binary results force the extended protocol here.
        with _driver(self._connection).cursor(binary=True) as cursor:
            row: Any = cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}".encode()).fetchone()
        return float(row[0][0]["Plan"]["Total Cost"])

    def read_schema(self) -> Schema:
        return read_postgres(self._connection)

    def probe(self) -> Probe:
        return probe_postgres(self._connection)

    def _shape(self, description: Sequence[psycopg.Column]) -> tuple[tuple[ResultColumn, ...], list[Reader]]:
        oids = [column.type_code for column in description]
        types = {
            int(oid): PostgresType(name, kind, delimiter, int(element), int(base), int(subtype))
            for oid, name, kind, delimiter, element, base, subtype in self._connection.execute(
                TYPES_OF_RESULT, {"oids": oids}
            )
        }
        modifiers = [column._fmod for column in description]  # noqa: SLF001 psycopg publishes parts of the modifier only
        names = self._connection.scalars(NAMES_OF_TYPES, {"oids": oids, "modifiers": modifiers})
        columns = tuple(ResultColumn(column.name, name) for column, name in zip(description, names, strict=True))
        return columns, [postgres_reader(oid, types) for oid in oids]


class PostgresServer:
    errors = psycopg.Error

    def configure(self, engine: Engine) -> None:
        event.listen(engine, "do_connect", _open)

    def begin(self, connection: Connection, deadline: Deadline, zone: ZoneInfo) -> None:
        _watch(_driver(connection), deadline)
        connection.execution_options(postgresql_readonly=True).begin()
        connection.execute(SESSION_SETTINGS, {**_limits(deadline.seconds), "zone": zone.key})

    def end(self, connection: Connection) -> None:
        connection.rollback()
        driver = _driver(connection)
        driver.autocommit = True
        driver.execute("DISCARD ALL")
        driver.autocommit = False

    connect_failure = staticmethod(connect_failure)
    statement_failure = staticmethod(statement_failure)


@contextmanager
def open_postgres(url: URL, deadline: Deadline, zone: ZoneInfo) -> Iterator[PostgresSession]:
    with pools.session(url, PostgresServer(), deadline, zone) as connection:
        yield PostgresSession(connection)


def _limits(timeout: float) -> dict[str, str]:
    milliseconds = max(int(timeout * 1000), 1)
    lock = min(milliseconds, int(LOCK_SECONDS * 1000))
    return {"statement": str(milliseconds), "lock": str(lock), "idle": str(milliseconds + 10_000)}


def _open(_dialect: object, _record: object, _arguments: list[Any], parameters: dict[str, Any]) -> Any:
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
    _watch(connection, deadline)
    return connection


def _watch(connection: psycopg.Connection[Any], deadline: Deadline) -> None:
    def cancel() -> None:
        with suppress(psycopg.Error, OSError):
            connection.cancel_safe(timeout=CANCEL_PATIENCE)

    deadline.watch(cancel, descriptor=connection.fileno(), grace=GRACE)


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver: Any = connection.connection.driver_connection
    return driver  # type: ignore[no-any-return]  # the engine is one of psycopg's
