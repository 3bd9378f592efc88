"""Decides what every column name means, from the view alone, and writes it so that the database must agree.

A name that could mean something else once hidden columns are counted is written with its source in front.
"""

from collections.abc import Mapping
from difflib import get_close_matches

from sqlglot import exp

from text2sql.pipeline.guard import policy
from text2sql.pipeline.guard.marks import mark_checked
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Scope, Source
from text2sql.pipeline.guard.view import View

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "rowid", "oid", "_rowid_"})
COPIED_NODES = 5_000

Aliases = Mapping[str, exp.Expr]
"""Output names of a SELECT and what they stand for, where the dialect lets clauses use them."""


class ColumnResolver:
    def __init__(self, view: View, sql: str) -> None:
        self.view = view
        self._sql = sql
        self._copied = 0
        self._generated = 0

    def resolve(self, column: exp.Column, scope: Scope, aliases: Aliases) -> None:
        mark_checked(column)
        if isinstance(column.this, exp.Star):
            self._resolve_whole_row(column, scope)
        elif column.args.get("table") is not None:
            self._resolve_qualified(column, scope)
        else:
            self._resolve_bare(column, scope, aliases)

    def qualifier(self, source: Source) -> exp.Identifier:
        """The name to put in front of a column of `source`; a subquery without an alias is given one."""
        if source.alias is None:
            raise GuardRefusal("alias_missing", "Give every subquery in FROM an alias.")
        return source.alias.copy()

    def _resolve_qualified(self, column: exp.Column, scope: Scope) -> None:
        table = column.args["table"]
        source = self._qualified_source(column, scope)
        if source is None:
            raise GuardRefusal(
                "column_not_visible", f'There is no table or alias "{table.name}" here to take a column from.'
            )
        name = self.view.fold(column.this)
        if source.is_unchecked:
            self._refuse_system_column(name)
        elif name not in source.names and (source.is_table or source.exact):
            raise self._stranger(column, source.names)

    def _qualified_source(self, column: exp.Column, scope: Scope) -> Source | None:
        schema = column.args.get("db")
        if column.args.get("catalog") is not None:
            raise GuardRefusal("column_not_visible", "Name columns as table.column.")
        table = self.view.fold(column.args["table"])
        if schema is None:
            return scope.source(table)
        place = self.view.fold(schema)
        real = (None if place == self.view.default_schema else place, table)
        # schema.table.column is written table.column, so that it can only mean the source that was checked.
        column.set("db", None)
        found = scope.source(table)
        return found if found is not None and found.real_name == real else None

    def _resolve_bare(self, column: exp.Column, scope: Scope, aliases: Aliases) -> None:
        name = self.view.fold(column.this)
        for level in scope.levels():
            if level is scope and name in level.merged:
                return
            holders = level.holders(name)
            if len(holders) > 1 and name not in level.merged:
                choices = " or ".join(f"{source.name}.{name}" for source in holders)
                raise GuardRefusal("column_ambiguous", f'The column "{name}" is ambiguous: write {choices}.')
            if holders:
                self._qualify(column, holders[0], scope, level)
                return
            if any(source.is_unchecked for source in level.sources):
                self._refuse_system_column(name)
                return
            if level is scope and name in aliases:
                column.replace(exp.paren(self._copy(aliases[name]), copy=False))
                return
        self._resolve_unknown(column, name, scope)

    def _resolve_unknown(self, column: exp.Column, name: str, scope: Scope) -> None:
        for level in scope.levels():
            named = next((source for source in level.sources if source.name == name), None)
            if named is not None:
                self._replace_row(column, named)
                return
            inexact = [source for source in level.sources if not source.exact and not source.is_table]
            if len(inexact) == 1:
                self._qualify(column, inexact[0], scope, level)
                return
        if self._is_sqlite_string(column):
            # SQLite reads "…" as a string where no column has that name. Written as a string it can name nothing.
            column.replace(exp.Literal.string(column.name))
            return
        raise self._stranger(column, tuple(n for level in scope.levels() for s in level.sources for n in s.names))

    def _qualify(self, column: exp.Column, source: Source, scope: Scope, level: Scope) -> None:
        if level is scope and len(scope.sources) == 1:
            return
        if source.alias is None and level is scope:
            return  # a hidden column of the same name beside it makes the database refuse, not leak
        column.set("table", self.qualifier(source))
        if scope.source(source.name) is not source:
            raise GuardRefusal("alias_ambiguous", f'The alias "{source.name}" is used twice. Rename one of them.')

    def _replace_row(self, column: exp.Column, source: Source) -> None:
        """`alias` alone means the whole row: harmless of a derived table, more than the view of a real one."""
        if source.is_table:
            raise self._whole_row(source.name)
        if source.is_function and len(source.names) == 1:
            only = exp.to_identifier(source.names[0], quoted=True)
            column.replace(exp.Column(this=only, table=self.qualifier(source)))
        elif isinstance(column.parent, exp.Anonymous) or type(column.parent) in policy.FUNCTIONS:
            column.replace(exp.Column(this=exp.Star(), table=self.qualifier(source)))
        else:
            raise self._whole_row(source.name)

    def _resolve_whole_row(self, column: exp.Column, scope: Scope) -> None:
        source = scope.source(self.view.fold(column.args["table"]))
        if source is None or source.is_table or column.args.get("db") is not None:
            raise self._whole_row(column.args["table"].name)

    def _copy(self, expression: exp.Expr) -> exp.Expr:
        self._copied += sum(1 for _ in expression.walk())
        if self._copied > COPIED_NODES:
            raise GuardRefusal("too_complex", "The statement repeats its aliases too often. Use a subquery.")
        return expression.copy()

    def _is_sqlite_string(self, column: exp.Column) -> bool:
        identifier = column.this
        start = identifier.meta.get("start")
        is_quoted = self.view.dialect == "sqlite" and bool(identifier.args.get("quoted"))
        # As an output or a sort key it would be a constant, which nobody means: rather a column that is not there.
        is_operand = not isinstance(column.parent, exp.Select | exp.Alias | exp.Group | exp.Ordered)
        return is_quoted and is_operand and start is not None and self._sql[start : start + 1] == '"'

    def _stranger(self, column: exp.Column, names: tuple[str, ...]) -> GuardRefusal:
        close = get_close_matches(self.view.fold(column.this), names, n=1)
        hint = f" Did you mean {self.view.spell(close[0])}?" if close else ""
        return GuardRefusal("column_not_visible", f'The column "{column.name}" is not in this team\'s view.{hint}')

    @staticmethod
    def _whole_row(name: str) -> GuardRefusal:
        return GuardRefusal("whole_row", f'"{name}" stands for a whole row. Name the columns instead.')

    @staticmethod
    def _refuse_system_column(name: str) -> None:
        if name in SYSTEM_COLUMNS:
            raise GuardRefusal("column_not_visible", f'The system column "{name}" is not allowed.')
