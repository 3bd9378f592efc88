"""Approved questions as retrieval learns from them, and their files."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from text2sql.pipeline.schema import Schema

DIALECTS = ("", "mysql", "postgres", "tsql", "bigquery", "snowflake", "oracle")
"""Tried in turn on SQL of which nobody said what it is; the first is sqlglot's own, the broadest."""


@dataclass(frozen=True)
class Example:
    question: str
    tables: tuple[str, ...]
    """As `Table.qualified_name`."""


def examples_read(text: str, schema: Schema) -> list[Example]:
    """The examples in a file: a JSON list, or a JSON object a line, each `{"question", "tables" and/or "sql"}`.

    Tables are looked for in the schema without regard to case; an example of none of its tables is left out. Raises
    ValueError, with the number of the entry, where one is not of this form.
    """
    catalog = _Catalog(schema)
    examples = []
    for number, row in enumerate(_rows(text), start=1):
        if not isinstance(row, dict) or not isinstance(row.get("question"), str):
            raise ValueError(f'Example {number} has no "question".')  # noqa: TRY004  # what a file says, not a caller
        named, sql = row.get("tables"), row.get("sql")
        if isinstance(named, list) and all(isinstance(name, str) for name in named):
            tables = catalog.tables_named(named)
        elif isinstance(sql, str):
            tables = sql_tables(sql, schema, catalog=catalog)
        else:
            raise ValueError(f'Example {number} has neither "tables", a list of names, nor "sql".')
        if tables:
            examples.append(Example(row["question"], tables))
    return examples


def sql_tables(
    sql: str, schema: Schema, *, dialect: str | None = None, catalog: "_Catalog | None" = None
) -> tuple[str, ...]:
    """The tables of the schema that a query reads; none where it cannot be read. The dialect None: whichever parses."""
    catalog = catalog or _Catalog(schema)
    for attempt in DIALECTS if dialect is None else (dialect,):
        try:
            tree = sqlglot.parse_one(sql, dialect=attempt)
        except (SqlglotError, RecursionError):
            continue
        defined = {each.alias.lower() for each in tree.find_all(exp.CTE)}
        read = [table for table in tree.find_all(exp.Table) if table.db or table.name.lower() not in defined]
        names = [f"{table.db}.{table.name}" if table.db else table.name for table in read]
        return catalog.tables_named(names, columns={column.name.lower() for column in tree.find_all(exp.Column)})
    return ()


class _Catalog:
    """Finds tables by names that may lack their schema: in the one with the most of a query's tables and columns."""

    def __init__(self, schema: Schema) -> None:
        self._default = schema.default_schema or ""
        self._qualified = {table.qualified_name.lower(): table for table in schema.tables}
        self._named: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for table in schema.tables:
            self._named[table.name.lower()][(table.schema or self._default).lower()] = table.qualified_name.lower()

    def tables_named(self, names: Sequence[str], *, columns: Iterable[str] = ()) -> tuple[str, ...]:
        found: dict[str, None] = {}
        bare: dict[str, None] = {}
        for name in (name.lower() for name in names):
            schema, _, last = name.rpartition(".")
            if name in self._qualified:
                found[name] = None
            elif schema and (there := self._named.get(last, {}).get(schema)):
                found[there] = None
            elif not schema:
                bare[name] = None
        for name in bare:
            if there := self._likeliest(name, [*found, *bare], frozenset(columns)):
                found[there] = None
        return tuple(self._qualified[name].qualified_name for name in found)

    def _likeliest(self, name: str, others: Sequence[str], columns: frozenset[str]) -> str | None:
        candidates = self._named.get(name, {})
        if len(candidates) < 2:
            return next(iter(candidates.values()), None)

        def fit(schema: str) -> tuple[int, int, bool]:
            tables = [there for other in others if (there := self._named.get(other, {}).get(schema))]
            held = {column.name.lower() for there in tables for column in self._qualified[there].columns}
            return len(tables), len(held & columns), schema == self._default

        return candidates[max(sorted(candidates), key=fit)]


def _rows(text: str) -> Iterator[Any]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = None
    if isinstance(whole, list):
        yield from whole
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"Line {number} is not JSON: {error}.") from None
