"""MySQL and MariaDB: the structure that the role may SELECT, in stable order, in four queries."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, text

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table

# The server itself lists only what the role holds some right to; the columns tell whether that is SELECT.
RELATIONS = text("""
    SELECT table_schema, table_name, table_type IN ('VIEW', 'SYSTEM VIEW'), table_comment, table_rows
    FROM information_schema.tables
    WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
      AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
    ORDER BY table_schema <> :database, table_schema, table_name
""")
COLUMNS = text("""
    SELECT table_schema, table_name, column_name, column_type, is_nullable, column_comment
    FROM information_schema.columns
    WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
      AND FIND_IN_SET('select', privileges) > 0
    ORDER BY table_schema, table_name, ordinal_position
""")
KEYS = text("""
    SELECT table_schema, table_name, constraint_name, column_name,
           referenced_table_schema, referenced_table_name, referenced_column_name
    FROM information_schema.key_column_usage
    WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
      AND (constraint_name = 'PRIMARY' OR referenced_table_name IS NOT NULL)
    ORDER BY table_schema, table_name, constraint_name, ordinal_position
""")
VIEW_COMMENT = "VIEW"
"""What the server puts into the comment of every view."""

Record = Row[*tuple[Any, ...]]
Place = tuple[str, str]


def read_mysql(connection: Connection, database: str) -> Schema:
    columns = _by_table(connection.execute(COLUMNS))
    keys = _by_table(connection.execute(KEYS))
    relations = connection.execute(RELATIONS, {"database": database}).all()
    readable = {(row[0], row[1]) for row in relations if columns[row[0], row[1]]}
    tables = (
        _table(relation, columns[relation[0], relation[1]], keys[relation[0], relation[1]], database, readable)
        for relation in relations
        if (relation[0], relation[1]) in readable
    )
    return Schema("mysql", tuple(tables), database)


def _table(relation: Record, columns: list[Record], keys: list[Record], database: str, readable: set[Place]) -> Table:
    schema, name, is_view, comment, estimate = relation
    visible = {column[2] for column in columns}
    constraints: defaultdict[str, list[Record]] = defaultdict(list)
    for key in keys:
        constraints[key[2]].append(key)
    primary = tuple(key[3] for key in constraints.pop("PRIMARY", []))
    return Table(
        name=name,
        schema=None if schema == database else schema,
        columns=tuple(Column(c, kind, nullable == "YES", remark or "") for _, _, c, kind, nullable, remark in columns),
        comment="" if is_view and comment == VIEW_COMMENT else comment or "",
        is_view=bool(is_view),
        primary_key=primary if visible.issuperset(primary) else (),
        # A key to a table that the role cannot read would only name what it must not know.
        foreign_keys=tuple(
            ForeignKey(
                tuple(key[3] for key in rows),
                _qualified(rows[0][4], rows[0][5], database),
                tuple(key[6] for key in rows),
            )
            for rows in constraints.values()
            if (rows[0][4], rows[0][5]) in readable and visible.issuperset(key[3] for key in rows)
        ),
        row_estimate=None if is_view or estimate is None else int(estimate),
    )


def _qualified(schema: str, name: str, database: str) -> str:
    return name if schema == database else f"{schema}.{name}"


def _by_table(rows: Iterable[Record]) -> defaultdict[Place, list[Record]]:
    grouped: defaultdict[Place, list[Record]] = defaultdict(list)
    for row in rows:
        grouped[row[0], row[1]].append(row)
    return grouped
