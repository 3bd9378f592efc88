"""PostgreSQL: the structure that the role may SELECT, in stable order, in a handful of queries."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, text

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table

# Tables of extensions (PostGIS, pg_stat_statements) are theirs, not the team's data. A partitioned table has no
# rows of its own, so its estimate is the sum of its leaves.
RELATIONS = text("""
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
COLUMNS = text("""
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
           col_description(a.attrelid, a.attnum)
    FROM pg_attribute a
    WHERE a.attrelid = ANY (CAST(:oids AS oid[])) AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
    ORDER BY a.attrelid, a.attnum
""")
# PostgreSQL repeats a foreign key for every partition; conparentid = 0 keeps the one that was declared.
KEYS = text("""
    SELECT k.conrelid, k.contype, k.confrelid,
           ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
           ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place)
    FROM pg_constraint k
    WHERE k.conrelid = ANY (CAST(:oids AS oid[])) AND k.contype IN ('p', 'f') AND k.conparentid = 0
    ORDER BY k.conrelid, k.conname
""")

Record = Row[*tuple[Any, ...]]


def read_postgres(connection: Connection) -> Schema:
    default_schema = connection.scalar(text("SELECT CAST(current_schema() AS text)"))
    relations = connection.execute(RELATIONS).all()
    oids = {"oids": [relation[0] for relation in relations]}
    columns = _by_table(connection.execute(COLUMNS, oids))
    keys = _by_table(connection.execute(KEYS, oids))
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
