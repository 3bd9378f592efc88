"""Walks a statement scope by scope: tables must be in the view, columns must be visible, stars are written out."""

from collections.abc import Mapping

from sqlglot import exp

from text2sql.pipeline.guard.clauses import (
    Projection,
    resolve_grouping,
    resolve_outer_order,
    resolve_terms,
)
from text2sql.pipeline.guard.columns import Aliases, ColumnResolver
from text2sql.pipeline.guard.marks import mark_checked
from text2sql.pipeline.guard.recursion import check_recursion, mentions
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Outputs, Scope, Source
from text2sql.pipeline.guard.sources import SourceReader
from text2sql.pipeline.guard.stars import expand_stars, refuse_known
from text2sql.pipeline.guard.view import View
from text2sql.pipeline.schema import Table

QUERIES = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values, exp.Pivot)
NO_ALIASES: Aliases = {}


class NameResolver:
    """Rewrites the tree in place; `tables` collects what it reads, by qualified name."""

    def __init__(self, view: View, sql: str) -> None:
        self.view = view
        self.columns = ColumnResolver(view, sql)
        self.tables: dict[str, Table] = {}
        self._sources = SourceReader(self)

    def query(self, node: exp.Expr, parent: Scope) -> Outputs:
        mark_checked(node)
        scope = self._with(node, parent)
        if isinstance(node, exp.Select):
            return self._select(node, scope.inner())
        if isinstance(node, exp.SetOperation):
            outputs = self.query(node.left, scope)
            self.query(node.right, scope)
            resolve_outer_order(self, node, outputs, scope)
            return outputs
        if isinstance(node, exp.Values):
            self.expressions(node, scope)
            row = node.expressions[0] if node.expressions else exp.Tuple()
            count = len(row.expressions) if isinstance(row, exp.Tuple) else 1
            prefix, first = self.view.policy.values_columns
            columns = (self.view.fold_name(f"{prefix}{number}") for number in range(first, first + count))
            return Outputs(tuple(columns))
        if isinstance(node, exp.Pivot):
            self._sources.read_pivot(node, scope)
            return Outputs((), exact=False)
        if isinstance(node, exp.Subquery | exp.Paren):
            outputs = self.query(node.this, scope)
            resolve_outer_order(self, node, outputs, scope)
            return outputs
        raise GuardRefusal("not_allowed", f"{type(node).__name__} is not allowed as a query.")

    def expression(self, node: exp.Expr, scope: Scope, aliases: Aliases = NO_ALIASES) -> None:
        """Resolves all columns under `node`, which may be replaced."""
        if isinstance(node, QUERIES):
            self.query(node, scope)
        elif isinstance(node, exp.Column):
            self.columns.resolve(node, scope, aliases)
        elif isinstance(node, exp.Table):
            raise GuardRefusal("not_allowed", "A table can stand only in FROM.")
        elif isinstance(node, exp.Star):
            self._check_star(node, scope)
        elif isinstance(node, exp.Columns):
            refuse_known(scope)
            self.expressions(node, scope, aliases)
        elif isinstance(node, exp.Comprehension):
            self._comprehension(node, scope, aliases)
        elif not isinstance(node, exp.DataType):
            self.expressions(node, scope, aliases)

    def _check_star(self, node: exp.Star, scope: Scope) -> None:
        if isinstance(node.parent, exp.Count):
            return
        if any(source.is_table and not source.is_unchecked for source in scope.sources) or not scope.sources:
            raise GuardRefusal("whole_row", '"*" can stand only in the SELECT list and in count(*).')
        self.expressions(node, scope)

    def _comprehension(self, node: exp.Comprehension, scope: Scope, aliases: Aliases) -> None:
        """`[x + 1 FOR x IN list IF x > 0]`: x is a name of its own inside."""
        self.expression(node.args["iterator"], scope, aliases)
        name = self.view.fold_column(node.expression)
        inner = scope.inner()
        inner.sources.append(Source(name, None, (name,), exact=False))
        for part in (node.this, node.args.get("condition")):
            if isinstance(part, exp.Expr):
                self.expression(part, inner)

    def expressions(self, node: exp.Expr, scope: Scope, aliases: Aliases = NO_ALIASES) -> None:
        for child in list(node.iter_expressions()):
            self.expression(child, scope, aliases)

    def clause(self, node: exp.Expr, name: str, scope: Scope, aliases: Aliases = NO_ALIASES) -> None:
        part = node.args.get(name)
        for item in part if isinstance(part, list) else [part]:
            if isinstance(item, exp.Expr):
                self.expression(item, scope, aliases)

    def limits(self, node: exp.Expr, scope: Scope) -> None:
        """LIMIT and OFFSET see no column of their own query, only subqueries of their own."""
        for name in ("limit", "offset"):
            self.clause(node, name, scope)

    def _select(self, node: exp.Select, scope: Scope) -> Outputs:
        self._sources.read_all(node, scope)
        expand_stars(self, node, scope)
        self._outputs(node, scope)
        projection = Projection(self.view, node, scope)
        usable = self.view.policy.alias_clauses

        def aliases(clause: str) -> Aliases:
            return projection.meanings if clause in usable else NO_ALIASES

        self.clause(node, "connect", scope)
        self.clause(node, "where", scope, aliases("where"))
        resolve_grouping(self, node, projection, scope, aliases("group"))
        self.clause(node, "having", scope, aliases("having"))
        self.clause(node, "windows", scope)
        self.clause(node, "qualify", scope, aliases("qualify"))
        resolve_terms(self, node, projection, scope, aliases("order"))
        self.limits(node, Scope(scope.parent, scope.ctes))
        if node.args.get("kind"):
            return Outputs((), exact=False)
        return projection.outputs

    def _outputs(self, node: exp.Select, scope: Scope) -> None:
        """The SELECT list; in some dialects an output may be named by the ones behind it."""
        meanings: dict[str, exp.Expr] = {}
        is_chained = "select" in self.view.policy.alias_clauses
        for item in list(node.expressions):
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                continue
            self.expression(item, scope, meanings)
            if is_chained and isinstance(item, exp.Alias) and isinstance(item.args.get("alias"), exp.Identifier):
                meanings.setdefault(self.view.fold(item.args["alias"]), item.this)

    def _with(self, node: exp.Expr, parent: Scope) -> Scope:
        with_ = node.args.get("with_")
        if with_ is None:
            return parent
        scope = parent.inner()
        is_recursive = bool(with_.args.get("recursive")) or self.view.policy.has_implicit_recursion
        for cte in with_.expressions:
            name = self.view.fold(cte.args["alias"].this)
            outputs = self._cte(cte, name, scope, is_recursive=is_recursive)
            scope = scope.inner({**scope.ctes, name: outputs})
        return scope

    def _cte(self, cte: exp.CTE, name: str, scope: Scope, *, is_recursive: bool) -> Outputs:
        body: exp.Expr = cte.this
        renamed = cte.args["alias"].args.get("columns") or []
        if is_recursive and mentions(self.view, body, name):
            check_recursion(self.view, body, name)
            first = body
            while isinstance(first, exp.SetOperation | exp.Subquery):
                first = first.this
            start = self.query(first.copy(), self._with_of(body, scope))
            ctes: Mapping[str, Outputs] = {**scope.ctes, name: self.view.rename(start, renamed)}
            scope = scope.inner(ctes)
        return self.view.rename(self.query(body, scope), renamed)

    def _with_of(self, body: exp.Expr, scope: Scope) -> Scope:
        """The scope for a look ahead at the first branch, with the CTEs that the body itself brings."""
        if body.args.get("with_") is None:
            return scope
        return self._with(exp.Select(with_=body.args["with_"].copy()), scope)
