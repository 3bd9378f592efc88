"""What a demo database is made of: tables with comments and keys, and their rows."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Dialect = Literal["postgres", "sqlite"]
Row = tuple[Any, ...]
Record = dict[str, Any]


@dataclass(frozen=True)
class DemoColumn:
    """One column; `type` and `constraint` are written in the words of the database's dialect."""

    name: str
    type: str
    comment: str
    constraint: str = ""


@dataclass(frozen=True)
class DemoTable:
    """One table; a row has one value per column, in the order of `columns`."""

    name: str
    comment: str
    columns: tuple[DemoColumn, ...]
    rows: list[Row] = field(repr=False)
    constraints: tuple[str, ...] = ()

    @cached_property
    def records(self) -> list[Record]:
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class DemoDatabase:
    """A whole database; a table stands after every table that it refers to."""

    name: str
    description: str
    dialect: Dialect
    tables: tuple[DemoTable, ...]

    def table(self, name: str) -> DemoTable:
        """The table of that name; KeyError when there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def records(self, name: str) -> list[Record]:
        """The rows of one table as dicts keyed by column name."""
        return self.table(name).records
