"""The tables at the page's side, found by a word."""

from collections.abc import Sequence
from dataclasses import dataclass

from text2sql.pipeline.schema import Schema, Table

TABLES_SHOWN = 100


@dataclass(frozen=True)
class TablesFound:
    tables: tuple[Table, ...]
    """The first ones, by name."""
    found: int
    total: int


def tables_find(view: Schema, words: str = "") -> TablesFound:
    """Tables in whose names, comments and columns each of the words occurs."""
    wanted = words.casefold().split()
    found = [table for table in view.tables if _has(table, wanted)]
    found.sort(key=lambda table: table.qualified_name)
    return TablesFound(tuple(found[:TABLES_SHOWN]), len(found), len(view.tables))


def _has(table: Table, words: Sequence[str]) -> bool:
    told = [table.qualified_name, table.comment]
    told += [text for column in table.columns for text in (column.name, column.comment)]
    text = "\n".join(told).casefold()
    return all(word in text for word in words)
