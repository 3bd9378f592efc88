"""Reads the structure of a target database: what the role may SELECT, in stable order, in a handful of queries."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, column, func, literal, quoted_name, select, table, text
from sqlalchemy.exc import DBAPIError

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table
from text2sql.targets.engines import open_target
from text2sql.targets.urls import target_dialect

# Tables of extensions (PostGIS, pg_stat_statements) are theirs, not the team's data. A partitioned table has no
# rows of its own, so its estimate is the sum of its leaves.
POSTGRES_RELATIONS = text("""
    SELECT c.oid, n.nspname, c.relname, c.relkind IN ('v', 'm') AS is_view, obj_description(c.oid, 'pg_class'),
           CASE c.relkind
               WHEN 'v' THEN NULL
               WHEN 'p' THEN (SELECT sum(greatest(leaf.reltuples, 0)) FROM pg_partition_tree(c.oid) p
                              JOIN pg_class leaf ON leaf.oid = p.relid WHERE p.isleaf)
               ELSE nullif(c.reltuples, -1)
           END
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = CAST('pg_class' AS regclass) AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY n.nspname, c.relname
""")
POSTGRES_COLUMNS = text("""
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
           col_description(a.attrelid, a.attnum)
    FROM pg_attribute a
    WHERE a.attrelid = ANY (CAST(:oids AS oid[])) AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
    ORDER BY a.attrelid, a.attnum
""")
# PostgreSQL repeats a foreign key for every partition; conparentid = 0 keeps the one that was declared.
POSTGRES_KEYS = text("""
    SELECT k.conrelid, k.contype, k.confrelid,
           ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
           ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place)
    FROM pg_constraint k
    WHERE k.conrelid = ANY (CAST(:oids AS oid[])) AND k.contype IN ('p', 'f') AND k.conparentid = 0
    ORDER BY k.conrelid, k.conname
""")

SQLITE_TABLES = text(
    "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' ORDER BY name"
)
SQLITE_COLUMNS = text("""
    SELECT t.name, c.name, c.type, c."notnull", c.pk FROM pragma_table_list t, pragma_table_xinfo(t.name) c
    WHERE t.schema = 'main' AND t.name = :table AND c.hidden <> 1 ORDER BY c.cid
""")
SQLITE_KEYS = text('SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(:table) ORDER BY id DESC, seq')
SQLITE_COUNTED_ROWS = 100_000

Record = Row[*tuple[Any, ...]]


def read_schema(url: str, *, timeout: float) -> Schema:
    """All tables and views that the role may read, sorted by schema and name; `timeout` in seconds.

    Raises `TargetError`s only.
    """
    dialect = target_dialect(url)
    with open_target(url, timeout=timeout) as connection:
        return _read_postgres(connection) if dialect == "postgres" else _read_sqlite(connection)


def _read_postgres(connection: Connection) -> Schema:
    default_schema = connection.scalar(text("SELECT CAST(current_schema() AS text)"))
    relations = connection.execute(POSTGRES_RELATIONS).all()
    oids = {"oids": [relation[0] for relation in relations]}
    columns = _by_table(connection.execute(POSTGRES_COLUMNS, oids))
    keys = _by_table(connection.execute(POSTGRES_KEYS, oids))
    places = {oid: (None if schema == default_schema else schema, name) for oid, schema, name, *_ in relations}
    names = {oid: f"{schema}.{name}" if schema else name for oid, (schema, name) in places.items()}
    tables = [
        _postgres_table(relation, places[relation[0]], columns[relation[0]], keys[relation[0]], names)
        for relation in relations
    ]
    return Schema("postgres", tuple(tables), default_schema)


def _postgres_table(
    relation: Record,
    place: tuple[str | None, str],
    columns: list[Record],
    keys: list[Record],
    names: dict[int, str],
) -> Table:
    schema, name = place
    _, _, _, is_view, comment, estimate = relation
    visible = {column[1] for column in columns}
    return Table(
        name=name,
        schema=schema,
        columns=tuple(Column(c, kind, nullable, remark or "") for _, c, kind, nullable, remark in columns),
        comment=comment or "",
        is_view=is_view,
        primary_key=next((tuple(key[3]) for key in keys if key[1] == "p" and visible.issuperset(key[3])), ()),
        # A key to a table that the role cannot read would only name what it must not know.
        foreign_keys=tuple(
            ForeignKey(tuple(own), names[referred], tuple(theirs))
            for _, kind, referred, own, theirs in keys
            if kind == "f" and referred in names and visible.issuperset(own)
        ),
        row_estimate=None if estimate is None else int(estimate),
    )


def _by_table(rows: Iterable[Record]) -> defaultdict[int, list[Record]]:
    grouped: defaultdict[int, list[Record]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(row)
    return grouped


def _read_sqlite(connection: Connection) -> Schema:
    tables = connection.execute(SQLITE_TABLES).all()
    kept = [(name, kind == "view") for name, kind in tables if not name.startswith("sqlite_")]
    return Schema("sqlite", tuple(_sqlite_table(connection, name, is_view) for name, is_view in kept), None)


def _sqlite_table(connection: Connection, name: str, is_view: bool) -> Table:
    try:
        columns = connection.execute(SQLITE_COLUMNS, {"table": name}).all()
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
    for row in connection.execute(SQLITE_KEYS, {"table": table}):
        grouped[row[0]].append(row)
    return tuple(
        ForeignKey(tuple(row[2] for row in rows), rows[0][1], _sqlite_referred(connection, rows))
        for rows in grouped.values()
    )


def _sqlite_referred(connection: Connection, rows: list[Record]) -> tuple[str, ...]:
    """A key may leave out the columns it refers to and then means the primary key."""
    if all(row[3] is not None for row in rows):
        return tuple(row[3] for row in rows)
    columns = connection.execute(SQLITE_COLUMNS, {"table": rows[0][1]}).all()
    return tuple(column for place, column in sorted((row[4], row[1]) for row in columns if row[4]))


def _sqlite_row_count(connection: Connection, name: str) -> int | None:
    """Exact up to 100,000 rows; above it the highest rowid, which is right unless rows were deleted."""
    rows = table(quoted_name(name, quote=True), column("rowid"))
    first_rows = select(literal(1)).select_from(rows).limit(SQLITE_COUNTED_ROWS).subquery()
    counted = connection.scalar(select(func.count()).select_from(first_rows))
    if counted is None or counted < SQLITE_COUNTED_ROWS:
        return counted
    try:
        highest: int | None = connection.scalar(select(func.max(rows.c.rowid)).select_from(rows))
    except DBAPIError:  # a table WITHOUT ROWID
        return counted
    return highest
