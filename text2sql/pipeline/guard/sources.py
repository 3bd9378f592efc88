"""Reads FROM and the joins of a SELECT into its scope."""

from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.guard.marks import mark_checked
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Outputs, Scope, Source
from text2sql.pipeline.guard.view import function_name

if TYPE_CHECKING:
    from text2sql.pipeline.guard.names import NameResolver

CARTESIAN_TABLES = 4
"""So many tables joined without any condition are a mistake or an attack."""


class SourceReader:
    def __init__(self, names: "NameResolver") -> None:
        self._names = names
        self._view = names.view

    def read_all(self, select: exp.Select, scope: Scope) -> None:
        if (from_ := select.args.get("from_")) is None:
            return
        self._read(from_.this, scope)
        self._join(select.args.get("joins") or [], scope)
        self._refuse_duplicates(scope)
        is_joined = select.args.get("where") or any(
            join.args.get("on") or join.args.get("using") for join in select.args.get("joins") or []
        )
        if not is_joined and sum(source.is_table for source in scope.sources) >= CARTESIAN_TABLES:
            raise GuardRefusal(
                "too_large", "Tables are joined without any condition. Say how their rows belong together."
            )

    def _join(self, joins: list[exp.Join], scope: Scope) -> None:
        for join in joins:
            left = len(scope.sources)
            self._read(join.this, scope)
            if join.args.get("method"):
                self._write_out_natural(join, scope, left)
            if using := join.args.get("using"):
                self._check_using(using, scope, left)
            self._names.clause(join, "on", scope)

    def _read(self, node: exp.Expr, scope: Scope) -> None:
        if isinstance(node, exp.Table | exp.Subquery):
            mark_checked(node)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            if node.args.get("alias") is not None:
                raise GuardRefusal("not_allowed", "Give the tables aliases, not the join in parentheses.")
            self._read(node.this, scope)
        elif isinstance(node, exp.Lateral):
            self._read_lateral(node, scope)
        elif isinstance(node, exp.Unnest):
            self._names.expressions(node, scope)
            self._add_function(node, (), scope, extra=len(node.expressions) - 1)
        elif isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            self._add_table(node, scope)
            self._join(node.args.get("joins") or [], scope)
        elif isinstance(node, exp.Table) and isinstance(node.this, exp.Func):
            self._names.expressions(node.this, scope)
            self._add_function(node, self._view.source_function(node.this), scope)
            self._join(node.args.get("joins") or [], scope)
        elif isinstance(node, exp.Subquery | exp.Values):
            self._add_derived(node, self._names.query(node, scope.parent or Scope(ctes=scope.ctes)), scope)
        else:
            raise GuardRefusal("not_allowed", "Only tables, subqueries and a few functions can stand in FROM.")

    def _read_lateral(self, node: exp.Lateral, scope: Scope) -> None:
        inner = node.this
        if node.args.get("view") or node.args.get("outer"):
            raise GuardRefusal("not_allowed", "LATERAL VIEW is not allowed.")
        if isinstance(inner, exp.Subquery):
            self._add_derived(node, self._names.query(inner, scope), scope)
        elif isinstance(inner, exp.Unnest):
            self._names.expressions(inner, scope)
            self._add_function(node, (), scope, extra=len(inner.expressions) - 1)
        else:
            self._names.expressions(inner, scope)
            self._add_function(node, self._view.source_function(inner), scope)

    def _add_table(self, node: exp.Table, scope: Scope) -> None:
        alias = node.args.get("alias")
        name: exp.Identifier = alias.this if alias is not None and alias.this else node.this
        renamed = alias.args.get("columns") if alias is not None else None
        outputs = scope.ctes.get(self._view.fold(node.this)) if node.args.get("db") is None else None
        if outputs is not None and node.args.get("catalog") is None:
            self._add_named(name, outputs, renamed or [], scope)
            return
        table = self._view.table(node)
        if renamed:
            # The list counts all columns of the table, hidden ones included.
            raise GuardRefusal(
                "not_allowed", "Columns of a table cannot be renamed in FROM. Use AS in the SELECT list."
            )
        self._names.tables.add(table.qualified_name)
        scope.sources.append(
            Source(
                name=self._view.fold(name),
                alias=name,
                names=tuple(self._view.fold_name(column.name) for column in table.columns),
                is_table=True,
                spelled=tuple(self._view.identifier(column.name) for column in table.columns),
                real_name=None if alias is not None else (table.schema, self._view.fold_name(table.name)),
            )
        )

    def _add_derived(self, node: exp.Expr, outputs: Outputs, scope: Scope) -> None:
        alias = node.args.get("alias")
        if alias is None or alias.this is None:
            scope.sources.append(Source("", None, tuple(filter(None, outputs.names)), exact=outputs.exact))
        else:
            self._add_named(alias.this, outputs, alias.args.get("columns") or [], scope)

    def _add_named(self, name: exp.Identifier, outputs: Outputs, renamed: list[exp.Expr], scope: Scope) -> None:
        outputs = self._view.rename(outputs, renamed)
        names = tuple(filter(None, outputs.names))
        scope.sources.append(Source(self._view.fold(name), name, names, exact=outputs.exact))

    def _add_function(self, node: exp.Expr, columns: tuple[str, ...], scope: Scope, extra: int = 0) -> None:
        alias = node.args.get("alias")
        default = "unnest" if isinstance(node, exp.Unnest) else function_name(node.this)
        name = alias.this if alias is not None and alias.this else exp.to_identifier(default)
        folded = self._view.fold(name)
        columns_given = alias.args.get("columns") or [] if alias is not None else []
        defined = [self._view.fold_column(column) for column in columns_given]
        ordinality = node.args.get("offset") if isinstance(node, exp.Unnest) else node.args.get("ordinality")
        if isinstance(ordinality, exp.Identifier):
            defined.append(self._view.fold(ordinality))
        elif ordinality and not defined:
            columns = (*(columns or (folded,)), "ordinality")
        names = tuple(defined) or columns or (folded,)
        scope.sources.append(Source(folded, name, names, exact=extra == 0, is_function=True))

    def _write_out_natural(self, join: exp.Join, scope: Scope, left: int) -> None:
        """NATURAL would also compare hidden columns; USING over the visible ones cannot."""
        sides = scope.sources[:left], scope.sources[left:]
        if join.args["method"].upper() != "NATURAL" or any(s.is_unchecked or not s.exact for s in scope.sources):
            raise GuardRefusal("natural_join", "Say which columns to join on: write USING or ON instead of NATURAL.")
        ours = [name for source in sides[0] for name in source.names]
        theirs = {name for source in sides[1] for name in source.names}
        common = [name for name in dict.fromkeys(ours) if name in theirs]
        if not common:
            raise GuardRefusal("natural_join", "The tables share no visible column. Write the condition with ON.")
        join.set("method", None)
        join.set("using", [self._view.identifier(name) for name in common])

    def _check_using(self, using: list[exp.Expr], scope: Scope, left: int) -> None:
        for column in using:
            mark_checked(column)
            identifier = column.this if isinstance(column, exp.Column) else column
            name = self._view.fold_column(identifier)
            for side in (scope.sources[:left], scope.sources[left:]):
                if not any(name in s.names or s.is_unchecked or (not s.exact and not s.is_table) for s in side):
                    raise GuardRefusal(
                        "column_not_visible", f'The column "{identifier.name}" of USING is not in both tables.'
                    )
            scope.merged[name] = exp.to_identifier(identifier.name, quoted=identifier.args.get("quoted"))

    @staticmethod
    def _refuse_duplicates(scope: Scope) -> None:
        seen: set[str] = set()
        for source in scope.sources:
            if source.name and source.name in seen:
                raise GuardRefusal(
                    "alias_ambiguous", f'"{source.name}" stands twice in FROM. Give each an alias of its own.'
                )
            seen.add(source.name)
