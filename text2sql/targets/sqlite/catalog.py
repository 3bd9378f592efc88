"""SQLite: the structure of a file, in stable order."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Row, column, func, literal, quoted_name, select, table, text
from sqlalchemy.exc import DBAPIError

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table

TABLES = text("SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' ORDER BY name")
COLUMNS = text("""
    SELECT t.name, c.name, c.type, c."notnull", c.pk FROM pragma_table_list t, pragma_table_xinfo(t.name) c
    WHERE t.schema = 'main' AND t.name = :table AND c.hidden <> 1 ORDER BY c.cid
""")
KEYS = text('SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(:table) ORDER BY id DESC, seq')
COUNTED_ROWS = 100_000

Record = Row[*tuple[Any, ...]]


def read_sqlite(connection: Connection) -> Schema:
    tables = connection.execute(TABLES).all()
    kept = [(name, kind == "view") for name, kind in tables if not name.startswith("sqlite_")]
    return Schema("sqlite", tuple(_sqlite_table(connection, name, is_view) for name, is_view in kept), None)


def _sqlite_table(connection: Connection, name: str, is_view: bool) -> Table:
    try:
        columns = connection.execute(COLUMNS, {"table": name}).all()
    except DBAPIError:
        # A view over a table that is gone cannot be described, and cannot be queried either.
        columns = []
    primary = sorted((place, column) for _, column, _, _, place in columns if place)
    return Table(
        name=name,
        columns=tuple(Column(column, kind, not required and not place) for _, column, kind, required, place in columns),
        is_view=is_view,
        primary_key=tuple(column for _, column in primary),
        foreign_keys=_sqlite_foreign_keys(connection, name),
        row_estimate=None if is_view else _sqlite_row_count(connection, name),
    )


def _sqlite_foreign_keys(connection: Connection, table: str) -> tuple[ForeignKey, ...]:
    grouped: defaultdict[int, list[Record]] = defaultdict(list)
    for row in connection.execute(KEYS, {"table": table}):
        grouped[row[0]].append(row)
    return tuple(
        ForeignKey(tuple(row[2] for row in rows), rows[0][1], _sqlite_referred(connection, rows))
        for rows in grouped.values()
    )


def _sqlite_referred(connection: Connection, rows: list[Record]) -> tuple[str, ...]:
    """A key may leave out the columns it refers to and then means the primary key."""
    if all(row[3] is not None for row in rows):
        return tuple(row[3] for row in rows)
    columns = connection.execute(COLUMNS, {"table": rows[0][1]}).all()
    return tuple(column for place, column in sorted((row[4], row[1]) for row in columns if row[4]))


def _sqlite_row_count(connection: Connection, name: str) -> int | None:
    """Exact up to 100,000 rows; above it the highest rowid, which is right unless rows were deleted."""
    rows = table(quoted_name(name, quote=True), column("rowid"))
    first_rows = select(literal(1)).select_from(rows).limit(COUNTED_ROWS).subquery()
    counted = connection.scalar(select(func.count()).select_from(first_rows))
    if counted is None or counted < COUNTED_ROWS:
        return counted
    try:
        highest: int | None = connection.scalar(select(func.max(rows.c.rowid)).select_from(rows))
    except DBAPIError:  # a table WITHOUT ROWID
        return counted
    return highest
