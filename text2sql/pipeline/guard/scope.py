"""Sources of a SELECT and the names they give."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp


@dataclass(frozen=True)
class Outputs:
    """The column names of a query, folded.

    `exact` is false where the database makes up names that are not modelled here. A name of a derived table can then
    not be refuted, and need not be: everything inside the derived table was checked.
    """

    names: tuple[str | None, ...]
    exact: bool = True


@dataclass
class Source:
    name: str
    """Folded alias; empty for a subquery without one."""
    alias: exp.Identifier | None
    names: tuple[str, ...]
    is_table: bool = False
    """A table of the database: it may have columns that the view hides."""
    exact: bool = True
    spelled: tuple[exp.Identifier, ...] = ()
    """The columns of a table as they are printed, in order."""
    path: tuple[str, ...] | None = None
    """The whole folded name of a table without an alias."""
    is_function: bool = False

    @property
    def is_unchecked(self) -> bool:
        """A table whose columns nobody listed: any column of it passes."""
        return self.is_table and not self.names


@dataclass
class Scope:
    """One SELECT's sources, and through `parent` those of the queries around it."""

    parent: "Scope | None" = None
    ctes: Mapping[str, Outputs] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    merged: dict[str, exp.Identifier] = field(default_factory=dict)
    """Columns of USING: written without a table they mean both sides."""

    def inner(self, ctes: Mapping[str, Outputs] | None = None) -> "Scope":
        return Scope(parent=self, ctes=self.ctes if ctes is None else ctes)

    def levels(self) -> Iterator["Scope"]:
        level: Scope | None = self
        while level is not None:
            yield level
            level = level.parent

    def source(self, name: str) -> Source | None:
        return next((source for level in self.levels() for source in level.sources if source.name == name), None)

    def knows(self, name: str) -> bool:
        return any(name in source.names for level in self.levels() for source in level.sources)

    def has_known_tables(self) -> bool:
        """Is there, here or around, a table whose columns are listed, and which may have others that are hidden?"""
        return any(source.is_table and not source.is_unchecked for level in self.levels() for source in level.sources)

    def holders(self, name: str) -> list[Source]:
        return [source for source in self.sources if name in source.names]
