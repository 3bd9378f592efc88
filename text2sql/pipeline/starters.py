"""First questions for a database that nobody has asked yet, read off its structure."""

import re
from collections.abc import Iterator
from itertools import islice

from text2sql.pipeline.schema import Column, Schema, Table

_DATE = re.compile(r"date|timestamp", re.IGNORECASE)
_NUMBER = re.compile(r"numeric|decimal|real|double|float|money", re.IGNORECASE)
_AMOUNT_NAME = re.compile(r"amount|total|price|cost|revenue|value|spend|quantity", re.IGNORECASE)


def starter_questions(schema: Schema, *, count: int = 5) -> tuple[str, ...]:
    """Up to `count` questions, about the largest tables first."""
    tables = sorted(schema.tables, key=lambda table: (-(table.row_estimate or 0), table.qualified_name))
    return tuple(islice(_questions(schema, tables), count))


def _questions(schema: Schema, tables: list[Table]) -> Iterator[str]:
    dated = [table for table in tables if _first(table, _DATE)]
    for table in dated[:2]:
        yield f"How many {_words(table.name)} were there in each month of the last year?"
    for table in tables:
        amount = next((c for c in table.columns if _NUMBER.search(c.type) and _AMOUNT_NAME.search(c.name)), None)
        parent = next((schema.table(key.referred_table) for key in table.foreign_keys), None)
        if amount and parent:
            what = f"{_words(amount.name)} of {_words(table.name)}"
            yield f"Which ten {_words(parent.name)} have the highest total {what}?"
    for table in tables:
        yield f"How many {_words(table.name)} are there?"


def _first(table: Table, kind: re.Pattern[str]) -> Column | None:
    return next((column for column in table.columns if kind.search(column.type)), None)


def _words(name: str) -> str:
    return name.replace("_", " ").lower()
