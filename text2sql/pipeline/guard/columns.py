"""Decides what every column name means, from the view alone, and writes it so that the database must agree.

A name that could mean something else once hidden columns are counted is written with its source in front.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from sqlglot import exp

from text2sql.pipeline.guard.functions import HARMLESS
from text2sql.pipeline.guard.marks import mark_checked
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Scope, Source
from text2sql.pipeline.guard.view import View

COPIED_NODES = 5_000

Aliases = Mapping[str, exp.Expr]
"""Output names of a SELECT and what they stand for, where the dialect lets clauses use them."""


class ColumnResolver:
    def __init__(self, view: View, sql: str) -> None:
        self.view = view
        self._sql = sql
        self._copied = 0

    def resolve(self, column: exp.Column, scope: Scope, aliases: Aliases) -> None:
        mark_checked(column)
        if isinstance(column.this, exp.Star):
            self._resolve_whole_row(column, scope)
        elif column.args.get("table") is None:
            self._resolve_bare(column, scope, aliases)
        elif self.view.policy.has_fields:
            self._resolve_path(column, scope, aliases)
        else:
            self._resolve_qualified(column, scope)

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
        self._check_member(column, column.this, source)
        if source.alias is not None and source.alias.this != table.this:
            # Where case matters to the database, it might find another source under this spelling.
            column.set("table", source.alias.copy())

    def _check_member(self, column: exp.Column, member: exp.Expr, source: Source) -> None:
        if not isinstance(member, exp.Identifier):
            raise GuardRefusal("parameter", "Columns have names, not numbers.")
        name = self.view.fold(member)
        if source.is_unchecked:
            self._refuse_system_column(name)
        elif name not in source.names and (source.is_table or source.exact):
            raise self._stranger(column, source.names)

    def _resolve_path(self, column: exp.Column, scope: Scope, aliases: Aliases) -> None:
        """`a.b.c`: a source and its column, a table's whole name and its column, or a column and its fields."""
        parts = [part for part in column.parts if isinstance(part, exp.Identifier)]
        source = scope.source(self.view.fold(parts[0]))
        if source is not None:
            self._check_member(column, parts[1], source)
            if source.alias is not None and source.alias.this != parts[0].this:
                column.replace(dotted([source.alias, *parts[1:]]))
            return
        for count in range(2, len(parts)):
            path = self.view.path_of(parts[:count])
            named = scope.source(path[-1])
            if named is not None and named.path == path:
                self._check_member(column, parts[count], named)
                column.replace(dotted(parts[count - 1 :]))
                return
        head = exp.Column(this=parts[0].copy())
        parent = exp.Paren(this=head)  # gives the head a place in which it can be replaced
        self._resolve_bare(head, scope, aliases)
        meaning = parent.this
        if isinstance(meaning, exp.Column):
            column.replace(dotted([*meaning.parts, *parts[1:]]))
        else:
            column.replace(exp.Dot.build([meaning, *(part.copy() for part in parts[1:])]))

    def _qualified_source(self, column: exp.Column, scope: Scope) -> Source | None:
        places = [column.args[key] for key in ("catalog", "db") if column.args.get(key) is not None]
        found = scope.source(self.view.fold(column.args["table"]))
        if not places:
            return found
        path = self.view.path_of([*places, column.args["table"]])
        # schema.table.column is written table.column, so that it can only mean the source that was checked.
        column.set("db", None)
        column.set("catalog", None)
        return found if found is not None and found.path == path else None

    def _resolve_bare(self, column: exp.Column, scope: Scope, aliases: Aliases) -> None:
        if not isinstance(column.this, exp.Identifier):
            raise GuardRefusal("parameter", "Columns have names, not numbers.")
        name = self.view.fold(column.this)
        policy = self.view.policy
        if not column.this.args.get("quoted") and name.lower() in policy.bare_functions and not scope.knows(name):
            raise GuardRefusal("function_not_allowed", f'The function "{name.lower()}" is not among the allowed ones.')
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
            if name.lower() in policy.pseudo_columns and any(source.is_table for source in level.sources):
                return
            if level is scope and name in aliases:
                column.replace(exp.paren(self._copy(aliases[name]), copy=False))
                return
        self._resolve_unknown(column, name, scope)

    def _resolve_unknown(self, column: exp.Column, name: str, scope: Scope) -> None:
        for level in scope.levels():
            named = next((source for source in level.sources if source.name == name), None)
            if named is not None:
                self._replace_row(column, named, scope)
                return
            inexact = [source for source in level.sources if not source.exact and not source.is_table]
            if len(inexact) == 1:
                self._qualify_guess(column, inexact[0], scope)
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

    def _qualify_guess(self, column: exp.Column, source: Source, scope: Scope) -> None:
        """The source may lack the column: unqualified, it could then mean a hidden one of another table."""
        if scope.has_known_tables():
            column.set("table", self.qualifier(source))
            if scope.source(source.name) is not source:
                raise GuardRefusal("alias_ambiguous", f'The alias "{source.name}" is used twice. Rename one of them.')

    def _replace_row(self, column: exp.Column, source: Source, scope: Scope) -> None:
        """`alias` alone means the whole row: harmless of a derived table, more than the view of a real one."""
        if source.is_table or (self.view.policy.has_fields and scope.has_known_tables()):
            raise self._whole_row(source.name)  # where rows are values, a hidden column of that name would win
        if source.is_function and len(source.names) == 1 and not self.view.policy.has_fields:
            only = exp.to_identifier(source.names[0], quoted=True)
            column.replace(exp.Column(this=only, table=self.qualifier(source)))
        elif self.view.policy.has_fields:
            return
        elif isinstance(column.parent, exp.Anonymous) or type(column.parent) in HARMLESS:
            column.replace(exp.Column(this=exp.Star(), table=self.qualifier(source)))
        else:
            raise self._whole_row(source.name)

    def _resolve_whole_row(self, column: exp.Column, scope: Scope) -> None:
        source = scope.source(self.view.fold(column.args["table"]))
        is_real = source is None or (source.is_table and not source.is_unchecked)
        if is_real or column.args.get("db") is not None:
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

    def _refuse_system_column(self, name: str) -> None:
        if name.lower() in self.view.policy.system_columns:
            raise GuardRefusal("column_not_visible", f'The system column "{name}" is not allowed.')


def dotted(parts: Sequence[exp.Expr]) -> exp.Expr:
    """`a.b.c` as one column, and what is too long for that as fields behind it."""
    head = [part.copy() for part in parts[:4]]
    keys = ("this", "table", "db", "catalog")
    column: exp.Expr = exp.Column(**dict(zip(keys, reversed(head), strict=False)))
    for part in parts[4:]:
        column = exp.Dot(this=column, expression=part.copy())
    return column
