"""Sources of a SELECT, the names they give, and what is remembered about the SELECT while it is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from text2sql.pipeline.check.catalog import Relation
from text2sql.pipeline.check.types import Type


@dataclass
class Output:
    name: str | None
    type: Type
    node: exp.Expr | None = None
    """The expression, where it is one of this query's own list."""


@dataclass
class Outputs:
    items: list[Output]
    is_complete: bool = True
    """Every column is listed, so that they can be counted."""
    is_named: bool = True
    """Every name is known, or cannot be written as a plain word."""


@dataclass
class Source:
    name: str
    """Folded alias; empty without one."""
    columns: Mapping[str, Type]
    is_exact: bool = True
    """It has no other columns."""
    relation: Relation | None = None
    doubles: frozenset[str] = frozenset()
    """Names that two of its columns have."""
    outputs: Outputs | None = None
    """All columns of a derived table in order, those without a name too."""
    place: str | None = None
    """The schema of a table without alias, as written."""


@dataclass
class Scope:
    """One SELECT; `parent` is the query around it, if names of it may be used."""

    parent: "Scope | None"
    ctes: Mapping[str, Outputs]
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, tuple[Type, list[Source]]] = field(default_factory=dict)
    """Columns of USING: written without a table they mean all of these sources."""
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    alias_types: dict[str, Type] = field(default_factory=dict)
    windows: frozenset[str] = frozenset()
    clause: str = "select"
    visible: list[Source] | None = None
    """While a join condition is read: what it may name."""
    aggregate: bool = False
    """Inside the arguments of an aggregate of this SELECT."""
    has_aggregate: bool = False
    is_grouped: bool = False
    """Known once the SELECT list and GROUP BY were read."""

    def levels(self) -> Iterator["Scope"]:
        level: Scope | None = self
        while level is not None:
            yield level
            level = level.parent

    def seen(self) -> list[Source]:
        return self.sources if self.visible is None else self.visible
