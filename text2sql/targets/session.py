"""What every kind of target offers, whichever driver stands behind it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from text2sql.pipeline.schema import Schema
from text2sql.targets.values import JsonValue

Reader = Callable[[Any], JsonValue]


@dataclass(frozen=True)
class ResultColumn:
    name: str
    type: str
    """As the database spells it; empty in SQLite, where an expression has no type."""


@dataclass(frozen=True)
class Answer:
    """The open result of a statement: rows are read from the server as they are fetched."""

    columns: tuple[ResultColumn, ...]
    readers: Sequence[Reader]
    """One per column; never called for null."""
    fetch: Callable[[int], Sequence[Sequence[Any]]]
    """At most that many further rows; none at the end."""


@dataclass(frozen=True)
class Probe:
    dialect: str
    server_version: str
    database: str
    user: str
    """Empty where the database is a file."""
    read_only: bool
    """The role itself may not write. Statements run in a read-only transaction either way."""
    warnings: tuple[str, ...]


class Session(Protocol):
    """A connection that can only read, for as long as its `open_target` block lasts.

    Statements are given as the guard printed them. Every method raises `TargetError`s only.
    """

    def run(self, sql: str, *, row_cap: int) -> AbstractContextManager[Answer]:
        """Runs one query as it stands; more than `row_cap` + 1 rows will not be fetched."""

    def plan_cost(self, sql: str) -> float | None:
        """What the planner puts the query at, without running it; None where it tells no cost."""

    def read_schema(self) -> Schema: ...

    def probe(self) -> Probe: ...


EMPTINESS = "The role can read no table. Grant it SELECT on the tables of the team."
