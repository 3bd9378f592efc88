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
from text2sql.pipeline.guard.scope import Outputs, Scope
from text2sql.pipeline.guard.sources import SourceReader
from text2sql.pipeline.guard.stars import expand_stars
from text2sql.pipeline.guard.view import View

QUERIES = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
NO_ALIASES: Aliases = {}


class NameResolver:
    """Rewrites the tree in place; `tables` collects the qualified names of the tables it reads."""

    def __init__(self, view: View, sql: str) -> None:
        self.view = view
        self.columns = ColumnResolver(view, sql)
        self.tables: set[str] = set()
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
            return Outputs(tuple(f"column{number}" for number in range(1, count + 1)))
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
            if not isinstance(node.parent, exp.Count):
                raise GuardRefusal("whole_row", '"*" can stand only in the SELECT list and in count(*).')
        elif not isinstance(node, exp.DataType):
            self.expressions(node, scope, aliases)

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
        expand_stars(self.view, self.columns, node, scope)
        for item in list(node.expressions):
            is_star = isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))
            if not is_star:
                self.expression(item, scope)
        projection = Projection(self.view, node, scope)
        aliases = projection.meanings if self.view.dialect == "sqlite" else NO_ALIASES
        self.clause(node, "where", scope, aliases)
        resolve_grouping(self, node, projection, scope, aliases)
        self.clause(node, "having", scope, aliases)
        self.clause(node, "windows", scope)
        resolve_terms(self, node, projection, scope, aliases)
        self.limits(node, Scope(scope.parent, scope.ctes))
        return projection.outputs

    def _with(self, node: exp.Expr, parent: Scope) -> Scope:
        with_ = node.args.get("with_")
        if with_ is None:
            return parent
        scope = parent.inner()
        # In SQLite the word RECURSIVE changes nothing.
        is_recursive = bool(with_.args.get("recursive")) or self.view.dialect == "sqlite"
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
