"""Runs one read-only statement on a target and returns its rows as JSON, within limits of rows, bytes and time."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, CursorResult, text

from text2sql.targets.engines import authorize_sqlite_reads, open_target
from text2sql.targets.errors import QueryFailed, UrlRejected
from text2sql.targets.urls import target_dialect
from text2sql.targets.values import (
    JsonValue,
    PostgresType,
    Reader,
    load_everything_as_text,
    postgres_reader,
    sqlite_value,
)

RESULT_BYTES = 10 * 1024 * 1024
FETCH_ROWS = 200
FETCH_BYTES = 1024 * 1024
"""One fetch asks for about this much, judged by the rows before it, so that wide rows do not come by the hundred."""

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


@dataclass(frozen=True)
class ResultColumn:
    name: str
    type: str
    """As the database spells it; empty in SQLite, where an expression has no type."""


@dataclass(frozen=True)
class QueryResult:
    columns: tuple[ResultColumn, ...]
    rows: list[list[JsonValue]]
    truncated: bool
    elapsed_ms: int


def run_query(
    url: str, sql: str, *, dialect: str, row_cap: int, timeout: float, byte_cap: int = RESULT_BYTES
) -> QueryResult:
    """Runs `sql` as it stands: no parameters are bound, so `%` and `:name` keep their meaning.

    The result ends after `row_cap` rows or `byte_cap` bytes of JSON, whichever comes first, and is then `truncated`.
    `timeout` is in seconds. Raises `TargetError`s only.
    """
    if target_dialect(url) != dialect:
        raise UrlRejected(f"The URL does not lead to a {dialect} database.")
    if "\0" in sql or not _is_encodable(sql):
        raise QueryFailed("The statement holds characters that no database accepts.")
    with open_target(url, timeout=timeout) as connection:
        authorize_sqlite_reads(connection)
        start = time.monotonic()
        result = _execute(connection, sql)
        with result:
            columns, readers = _shape(connection, result)
            rows, truncated = _collect(_fetch(result, row_cap), readers, row_cap, byte_cap)
        return QueryResult(columns, rows, truncated, elapsed_ms=int((time.monotonic() - start) * 1000))


def _execute(connection: Connection, sql: str) -> CursorResult[Any]:
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection):
        load_everything_as_text(driver.adapters)
    try:
        # On PostgreSQL a server-side cursor: DECLARE goes over the extended protocol, which takes one statement only,
        # and DECLARE itself takes nothing but a query.
        result = connection.execution_options(stream_results=True, no_parameters=True).exec_driver_sql(sql)
    except sqlite3.Warning as error:  # Python 3.11 says so when there are two statements
        raise QueryFailed(f"The database could not run the statement: {error}") from error
    if not result.returns_rows:
        result.close()
        raise QueryFailed("The statement returns no rows. Only queries can be run.")
    return result


def _shape(connection: Connection, result: CursorResult[Any]) -> tuple[tuple[ResultColumn, ...], list[Reader]]:
    description: Sequence[Any] = result.cursor.description or ()
    if connection.dialect.name == "sqlite":
        return tuple(ResultColumn(str(column[0]), "") for column in description), [sqlite_value for _ in description]
    oids = [column.type_code for column in description]
    plain = connection.execution_options(stream_results=False, no_parameters=False)
    types = {
        int(oid): PostgresType(name, kind, delimiter, int(element), int(base), int(subtype))
        for oid, name, kind, delimiter, element, base, subtype in plain.execute(TYPES_OF_RESULT, {"oids": oids})
    }
    modifiers = [column._fmod for column in description]  # noqa: SLF001 psycopg publishes only parts of the modifier
    names = plain.scalars(NAMES_OF_TYPES, {"oids": oids, "modifiers": modifiers})
    columns = tuple(ResultColumn(column.name, name) for column, name in zip(description, names, strict=True))
    return columns, [postgres_reader(oid, types) for oid in oids]


def _fetch(result: CursorResult[Any], row_cap: int) -> Iterator[Sequence[Any]]:
    """At most `row_cap` + 1 rows, in portions whose size follows the width of the rows seen so far."""
    left, portion = row_cap + 1, 1
    while left > 0:
        rows = result.fetchmany(min(portion, left))
        if not rows:
            return
        yield from rows
        left -= len(rows)
        widest = max(sum(len(v) for v in row if isinstance(v, str | bytes)) for row in rows)
        portion = max(1, min(FETCH_ROWS, portion * 8, FETCH_BYTES // max(widest, 1)))


def _collect(
    fetched: Iterator[Sequence[Any]], readers: list[Reader], row_cap: int, byte_cap: int
) -> tuple[list[list[JsonValue]], bool]:
    rows: list[list[JsonValue]] = []
    size = 0
    for row in fetched:
        values = [None if value is None else read(value) for value, read in zip(row, readers, strict=True)]
        size += len(json.dumps(values, ensure_ascii=False).encode())
        if len(rows) == row_cap or size > byte_cap:
            return rows, True
        rows.append(values)
    return rows, False


def _is_encodable(sql: str) -> bool:
    try:
        sql.encode()
    except UnicodeEncodeError:
        return False
    return True
