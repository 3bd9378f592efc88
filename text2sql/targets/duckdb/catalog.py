"""DuckDB: the structure of a file, in stable order, in four queries."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import duckdb

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table

DEFAULT_SCHEMA = "main"

RELATIONS = """
    SELECT schema_name, table_name, false, comment, estimated_size FROM duckdb_tables()
    WHERE database_name = current_database() AND NOT internal
    UNION ALL
    SELECT schema_name, view_name, true, comment, NULL FROM duckdb_views()
    WHERE database_name = current_database() AND NOT internal
    ORDER BY ALL
"""
COLUMNS = """
    SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns()
    WHERE database_name = current_database() AND NOT internal
    ORDER BY schema_name, table_name, column_index
"""
KEYS = """
    SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table, referenced_column_names
    FROM duckdb_constraints()
    WHERE database_name = current_database() AND constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY')
    ORDER BY schema_name, table_name, constraint_index
"""


def read_duckdb(connection: duckdb.DuckDBPyConnection) -> Schema:
    columns = _by_table(connection.execute(COLUMNS).fetchall())
    keys = _by_table(connection.execute(KEYS).fetchall())
    relations = connection.execute(RELATIONS).fetchall()
    tables = tuple(_table(relation, columns[relation[:2]], keys[relation[:2]]) for relation in relations)
    return Schema("duckdb", tables, DEFAULT_SCHEMA)


def _table(relation: tuple[Any, ...], columns: list[tuple[Any, ...]], keys: list[tuple[Any, ...]]) -> Table:
    schema, name, is_view, comment, estimate = relation
    return Table(
        name=name,
        schema=None if schema == DEFAULT_SCHEMA else schema,
        columns=tuple(Column(c, kind, nullable, remark or "") for _, _, c, kind, nullable, remark in columns),
        comment=comment or "",
        is_view=is_view,
        primary_key=next((tuple(key[3]) for key in keys if key[2] == "PRIMARY KEY"), ()),
        # A foreign key never leaves its schema.
        foreign_keys=tuple(
            ForeignKey(tuple(own), referred if schema == DEFAULT_SCHEMA else f"{schema}.{referred}", tuple(theirs))
            for _, _, kind, own, referred, theirs in keys
            if kind == "FOREIGN KEY"
        ),
        row_estimate=estimate,
    )


def _by_table(rows: Iterable[tuple[Any, ...]]) -> defaultdict[tuple[Any, ...], list[tuple[Any, ...]]]:
    grouped: defaultdict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[row[:2]].append(row)
    return grouped
