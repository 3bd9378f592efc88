"""The structure of a database as plain values: what introspection reads, the prompt shows and the guard allows."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    """As the database spells it, for example `numeric(10,2)`."""
    nullable: bool = True
    comment: str = ""
    samples: tuple[str, ...] = ()
    """Values that occur in it, where somebody opted in; never read for a column that is hidden from the team."""


@dataclass(frozen=True)
class Note:
    """What people say of a table or column, and values of the column that may be shown."""

    text: str = ""
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[str, ...]
    referred_table: str
    """Qualified as `Table.qualified_name`."""
    referred_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    schema: str | None = None
    """None where the table lies in the connection's default schema."""
    comment: str = ""
    is_view: bool = False
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    row_estimate: int | None = None

    @property
    def qualified_name(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class Schema:
    """All tables of a database, or those that one team may see."""

    dialect: str
    tables: tuple[Table, ...]
    default_schema: str | None = None

    @property
    def version(self) -> str:
        """16 hex digits over everything that was read; row estimates change daily and are left out, samples too."""
        stable = asdict(replace(self, tables=tuple(replace(table, row_estimate=None) for table in self.tables)))
        for table in stable["tables"]:
            for column in table["columns"]:
                del column["samples"]
        canonical = json.dumps(stable, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def table(self, qualified_name: str) -> Table | None:
        return next((table for table in self.tables if table.qualified_name == qualified_name), None)

    def restricted(self, *, tables: frozenset[str] | None, hidden_columns: frozenset[str]) -> Self:
        """The part of the schema that a team may see.

        `tables` holds qualified names (None allows all); `hidden_columns` holds `table.column` with the qualified
        table name. Keys that touch something hidden are dropped with it.
        """
        kept = {
            table.qualified_name: {
                c.name for c in table.columns if f"{table.qualified_name}.{c.name}" not in hidden_columns
            }
            for table in self.tables
            if tables is None or table.qualified_name in tables
        }
        return replace(self, tables=tuple(_restrict(t, kept) for t in self.tables if kept.get(t.qualified_name)))

    def described(self, notes: Mapping[str, Note]) -> Self:
        """The schema with people's words in place of the database's comments, and with the samples they opted in to.

        `notes` are found by the qualified name of a table, or `table.column`.
        """
        return replace(self, tables=tuple(_describe(table, notes) for table in self.tables))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(
            dialect=data["dialect"],
            default_schema=data["default_schema"],
            tables=tuple(map(_table, data["tables"])),
        )


def _describe(table: Table, notes: Mapping[str, Note]) -> Table:
    columns = tuple(_describe_column(c, notes.get(f"{table.qualified_name}.{c.name}")) for c in table.columns)
    note = notes.get(table.qualified_name)
    return replace(table, columns=columns, comment=note.text if note and note.text else table.comment)


def _describe_column(column: Column, note: Note | None) -> Column:
    if note is None:
        return column
    return replace(column, comment=note.text or column.comment, samples=note.samples)


def _restrict(table: Table, kept: dict[str, set[str]]) -> Table:
    visible = kept[table.qualified_name]
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name in visible),
        primary_key=table.primary_key if visible.issuperset(table.primary_key) else (),
        foreign_keys=tuple(
            key
            for key in table.foreign_keys
            if visible.issuperset(key.columns)
            # Known and visible: SQLite allows keys to tables that do not exist, without columns even.
            and len(key.columns) == len(key.referred_columns)
            and kept.get(key.referred_table, set()).issuperset(key.referred_columns)
        ),
    )


def _table(data: dict[str, Any]) -> Table:
    keys = tuple(
        ForeignKey(tuple(k["columns"]), k["referred_table"], tuple(k["referred_columns"])) for k in data["foreign_keys"]
    )
    columns = tuple(Column(**{**column, "samples": tuple(column.get("samples", ()))}) for column in data["columns"])
    return Table(**{**data, "columns": columns, "primary_key": tuple(data["primary_key"]), "foreign_keys": keys})
