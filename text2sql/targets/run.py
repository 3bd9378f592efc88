"""Runs one read-only statement on a target and returns its rows as JSON, within limits of rows, bytes and time."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from text2sql.targets.deadlines import current_deadline
from text2sql.targets.engines import open_target
from text2sql.targets.errors import QueryFailed, UrlRejected
from text2sql.targets.session import Answer, Reader, ResultColumn
from text2sql.targets.urls import target_dialect
from text2sql.targets.values import JsonValue

RESULT_BYTES = 10 * 1024 * 1024
CELL_CHARACTERS = 100_000
"""A longer text is cut off, with an ellipsis at its end; the result is then `truncated` too."""
FETCH_ROWS = 200
FETCH_BYTES = 1024 * 1024
"""One fetch asks for about this much, judged by the rows before it, so that wide rows do not come by the hundred."""


@dataclass(frozen=True)
class QueryResult:
    columns: tuple[ResultColumn, ...]
    rows: list[list[JsonValue]]
    truncated: bool
    elapsed_ms: int


def run_query(
    url: str,
    sql: str,
    *,
    dialect: str,
    row_cap: int,
    timeout: float,
    byte_cap: int = RESULT_BYTES,
    time_zone: str = "UTC",
    cancelled: threading.Event | Callable[[], bool] | None = None,
) -> QueryResult:
    """Runs `sql` as it stands: no parameters are bound, so `%` and `:name` keep their meaning.

    The result ends after `row_cap` rows or `byte_cap` bytes of JSON, whichever comes first, and is then `truncated`.
    `timeout` is in seconds. `time_zone` is an IANA name: the day that CURRENT_DATE tells and the zone in which instants
    are shown; SQLite always goes by UTC. Within about a second after `cancelled` is set or turns true the statement is
    stopped and `QueryCancelled` raised. Raises `TargetError`s only, and KeyError for an unknown time zone.
    """
    require_statement(url, sql, dialect)
    is_cancelled = cancelled.is_set if isinstance(cancelled, threading.Event) else cancelled
    with open_target(url, timeout=timeout, time_zone=time_zone, is_cancelled=is_cancelled) as session:
        start = time.monotonic()
        with session.run(sql, row_cap=row_cap) as answer:
            rows, truncated = _collect(_fetch(answer, row_cap), answer.readers, row_cap, byte_cap)
        return QueryResult(answer.columns, rows, truncated, elapsed_ms=int((time.monotonic() - start) * 1000))


def require_statement(url: str, sql: str, dialect: str) -> None:
    """Raises `UrlRejected` where the URL is another dialect's, `QueryFailed` for text that no database accepts."""
    if target_dialect(url) != dialect:
        raise UrlRejected(f"The URL does not lead to a {dialect} database.")
    if "\0" in sql or not _is_encodable(sql):
        raise QueryFailed("The statement holds characters that no database accepts.")


def _fetch(answer: Answer, row_cap: int) -> Iterator[Sequence[Any]]:
    """At most `row_cap` + 1 rows, in portions whose size follows the width of the rows seen so far."""
    left, portion, deadline = row_cap + 1, 1, current_deadline()
    while left > 0:
        deadline.check()
        rows = answer.fetch(min(portion, left))
        if not rows:
            return
        yield from rows
        left -= len(rows)
        widest = max(sum(len(v) for v in row if isinstance(v, str | bytes)) for row in rows)
        portion = max(1, min(FETCH_ROWS, portion * 8, FETCH_BYTES // max(widest, 1)))


def _collect(
    fetched: Iterator[Sequence[Any]], readers: Sequence[Reader], row_cap: int, byte_cap: int
) -> tuple[list[list[JsonValue]], bool]:
    rows: list[list[JsonValue]] = []
    size, is_cut = 0, False
    for row in fetched:
        values = [None if value is None else read(value) for value, read in zip(row, readers, strict=True)]
        for place, value in enumerate(values):
            if isinstance(value, str) and len(value) > CELL_CHARACTERS:
                values[place], is_cut = value[: CELL_CHARACTERS - 1] + "…", True
        size += len(json.dumps(values, ensure_ascii=False).encode())
        if len(rows) == row_cap or size > byte_cap:
            return rows, True
        rows.append(values)
    return rows, is_cut


def _is_encodable(sql: str) -> bool:
    try:
        sql.encode()
    except UnicodeEncodeError:
        return False
    return True
