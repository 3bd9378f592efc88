"""Beaver's real data warehouses as one catalog, with the questions of all of them, read from outside the project.

The table keys that Beaver derived from its gold queries are left alone: a catalog has none of them.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from text2sql.pipeline.retrieval import Example
from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "beaver"
MISSING = "Beaver is not on this machine (../shared/data/beaver)"


@dataclass(frozen=True)
class Question:
    text: str
    sql: str
    tables: tuple[str, ...]
    """In small letters: the queries write them otherwise than the catalog."""

    @property
    def example(self) -> Example:
        return Example(self.text, self.tables)


@cache
def beaver_schema() -> Schema:
    return Schema("mysql", tuple(_table(row) for row in json.loads((FOLDER / "dev_tables.json").read_text()).values()))


@cache
def beaver_questions() -> tuple[Question, ...]:
    rows = [row for name in ("dev_dw", "dev_nw") for row in json.loads((FOLDER / f"{name}.json").read_text())]
    return tuple(Question(r["question"], r["sql"], tuple(_name(key).lower() for key in r["gold_tables"])) for r in rows)


def halves(
    questions: Sequence[Question], *, splits: int, approved: int
) -> Iterator[tuple[list[Question], list[Question]]]:
    """Random splits: so many approved questions of one half, and the other half without those of the same SQL."""
    for seed in range(splits):
        shuffled = random.Random(seed).sample(questions, len(questions))  # a split, not a secret
        remembered, rest = shuffled[: len(questions) // 2][:approved], shuffled[len(questions) // 2 :]
        known = {question.sql for question in remembered}
        yield remembered, [question for question in rest if question.sql not in known]


def _table(row: dict[str, Any]) -> Table:
    return Table(
        row["table_name_original"],
        tuple(map(Column, row["column_names_original"], row["column_types"])),
        schema=row["db_id"],
        primary_key=tuple(row.get("primary_key", ())),
        foreign_keys=tuple(
            ForeignKey((key["column_name"],), _name(key["referenced_table_name"]), (key["referenced_column_name"],))
            for key in row.get("foreign_key", ())
        ),
    )


def _name(key: str) -> str:
    return key.replace("#sep#", ".")
