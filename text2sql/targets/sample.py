"""The values of columns that have few of them."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnClause, Dialect, column, quoted_name, select, table
from sqlalchemy.dialects import mysql, postgresql, sqlite

from text2sql.targets.errors import QueryFailed, TargetDenied, TargetTimeout
from text2sql.targets.run import run_query
from text2sql.targets.urls import target_dialect

MOST_VALUES = 20
LONGEST_VALUE = 100
LOOKED_AT = 10_000
"""Rows that are looked at: a column with few values shows them soon."""

# DuckDB writes names and limits as PostgreSQL does. Named parameters leave percent signs alone.
PRINTERS: dict[str, Callable[..., Dialect]] = {
    "postgres": postgresql.dialect,
    "sqlite": sqlite.dialect,
    "mysql": mysql.dialect,
    "duckdb": postgresql.dialect,
}


def sample_values(url: str, columns: Sequence[tuple[str, str]], *, timeout: float) -> dict[tuple[str, str], list[str]]:
    """For each (table, column), qualified as in the catalog, its values as text, sorted; empty where there are many.

    `timeout` in seconds for all together. Raises TargetError.
    """
    dialect, ends = target_dialect(url), time.monotonic() + timeout
    found = {}
    for table_name, column_name in columns:
        left = ends - time.monotonic()
        if left <= 0:
            raise TargetTimeout(f"The database did not show its values within {timeout:g} seconds.")
        sql = _query(dialect, table_name, column_name)
        try:
            result = run_query(url, sql, dialect=dialect, row_cap=MOST_VALUES, timeout=left)
        except (QueryFailed, TargetDenied):  # a column that is gone, or of a type without equality
            continue
        texts = sorted(_text(value)[:LONGEST_VALUE] for (value,) in result.rows if value is not None)
        found[table_name, column_name] = [] if result.truncated else texts
    return found


def _query(dialect: str, table_name: str, column_name: str) -> str:
    schema, _, name = table_name.rpartition(".")
    field: ColumnClause[Any] = column(quoted_name(column_name, quote=True))
    place = quoted_name(schema, quote=True) if schema else None
    source = table(quoted_name(name, quote=True), field, schema=place)
    looked_at = select(field).select_from(source).limit(LOOKED_AT).subquery()
    values = select(looked_at.c[column_name]).distinct().limit(MOST_VALUES + 1)
    printer = PRINTERS[dialect](paramstyle="named")
    return str(values.compile(dialect=printer, compile_kwargs={"literal_binds": True}))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
