"""Queries: SELECT clause by clause, set operations, WITH, VALUES; and the columns that they give."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.check.clauses import Clauses
from text2sql.pipeline.check.grouping import check_grouping
from text2sql.pipeline.check.output_names import output_name
from text2sql.pipeline.check.scope import Output, Outputs, Scope, Source
from text2sql.pipeline.check.types import UNKNOWN
from text2sql.pipeline.check.wording import misplaced_clause

if TYPE_CHECKING:
    from text2sql.pipeline.check.statement import Statement

Ctes = Mapping[str, Outputs]
OPEN = Outputs([], is_complete=False, is_named=False)


class Queries:
    def __init__(self, statement: "Statement") -> None:
        self.statement = statement
        self.rules = statement.rules
        self.fold = statement.catalog.fold
        self.clauses = Clauses(statement)

    def read(self, node: exp.Expr, parent: Scope | None, ctes: Ctes) -> Outputs:
        """`parent` is the scope whose columns the query may use besides its own."""
        ctes = self._with(node, parent, ctes)
        if isinstance(node, exp.Select):
            return self._select(node, Scope(parent, ctes))
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, parent, ctes)
        if isinstance(node, exp.Values):
            return self._values(node, Scope(parent, ctes))
        if isinstance(node, exp.Subquery | exp.Paren):
            outputs = self.read(node.this, parent, ctes)
            self.clauses.order_outputs(node, [outputs], Scope(parent, ctes))
            return outputs
        if isinstance(node, exp.Table):
            return OPEN
        self.statement.expressions.value(node, Scope(parent, ctes))
        return OPEN

    def _select(self, node: exp.Select, scope: Scope) -> Outputs:
        self._check_clauses(node)
        scope.windows = frozenset(
            self.fold(window.this)
            for window in node.args.get("windows") or ()
            if isinstance(window.this, exp.Identifier)
        )
        for item in node.expressions:
            if isinstance(item, exp.Alias) and isinstance(item.args["alias"], exp.Identifier):
                scope.aliases.setdefault(self.fold(item.args["alias"]), item.this)
        self.statement.sources.read(node, scope)
        outputs = self._outputs(node, scope)
        scope.is_grouped = scope.has_aggregate or node.args.get("group") is not None
        self._condition(node, "where", scope)
        with self._terms(scope):
            grouped = self.clauses.group(node, outputs, scope)
        having = node.args.get("having")
        if having is not None and not scope.is_grouped and self.rules.needs_grouping:
            self.statement.report("aggregate_misplaced", "HAVING needs GROUP BY, or an aggregate in the SELECT list.")
        self._condition(node, "having", scope)
        self._condition(node, "qualify", scope)
        self._windows(node, scope)
        with self._terms(scope):
            self.clauses.order(node, outputs, scope)
        self.clauses.limit(node, scope)
        if self.rules.grouping != "any" and (grouped or scope.has_aggregate or having is not None):
            check_grouping(self.statement, node, scope, grouped)
        return outputs

    def _check_clauses(self, node: exp.Select) -> None:
        statement, dialect = self.statement, self.rules.dialect
        clause = misplaced_clause(node)
        if clause is not None:
            statement.report("syntax", f"{clause.upper()} stands behind a clause that must follow it.")
        if not node.expressions and dialect != "postgres":
            statement.report("syntax", "SELECT names nothing to select.")
        if node.args.get("qualify") is not None and exp.Qualify in self.rules.missing:
            statement.report("syntax", f"{dialect} has no QUALIFY: filter in a query around this one.")

    def _condition(self, node: exp.Select, name: str, scope: Scope) -> None:
        clause = node.args.get(name)
        if clause is not None:
            scope.clause = name
            self.statement.expressions.truth(clause.this, scope, name.upper())

    def _windows(self, node: exp.Select, scope: Scope) -> None:
        scope.clause = "windows"
        for window in node.args.get("windows") or ():
            for child in window.iter_expressions():
                if not isinstance(child, exp.Identifier):
                    self.statement.expressions.value(child, scope)

    @contextmanager
    def _terms(self, scope: Scope) -> Iterator[None]:
        """While GROUP BY and ORDER BY are read, which may see less than the rest."""
        parent = scope.parent
        if not self.rules.terms_see_outside:
            scope.parent = None
        yield
        scope.parent = parent

    def _outputs(self, node: exp.Select, scope: Scope) -> Outputs:
        statement, outputs = self.statement, Outputs([])
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on") is not None:
            if not self.rules.has_distinct_on:
                statement.report("syntax", f"{self.rules.dialect} has no DISTINCT ON.")
            self.clauses.distinct_on(distinct.args["on"], scope)
        for item in node.expressions:
            if self._is_star(item):
                self._star(item, scope, outputs)
                continue
            value = item.this if isinstance(item, exp.Alias) else item
            kind = statement.expressions.value(value, scope)
            name, is_sure = output_name(item, self.rules.dialect, self.fold, statement.text)
            if isinstance(item, exp.Alias) and name is not None:
                scope.alias_types[name] = "text" if kind == UNKNOWN else kind
            outputs.items.append(Output(name, kind, value))
            outputs.is_named = outputs.is_named and is_sure
        return outputs

    @staticmethod
    def _is_star(item: exp.Expr) -> bool:
        return isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))

    def _star(self, item: exp.Expr, scope: Scope, outputs: Outputs) -> None:
        if isinstance(item, exp.Column) and item.args.get("table") is not None:
            found = self.statement.columns.find_source(item, scope)
            if found is None:
                if not self.rules.has_fields:
                    self.statement.report(
                        "alias_unknown", f'There is no table or alias "{item.args["table"].name}" here.'
                    )
                outputs.is_complete = outputs.is_named = False
                return
            sources = [found[1]]
            merged: frozenset[str] = frozenset()
        else:
            sources, merged = scope.sources, frozenset(scope.merged)
            if not sources and item.parent is not None and item.parent.args.get("from_") is None:
                self.statement.report("syntax", '"*" needs a FROM.')
        star = item.this if isinstance(item, exp.Column) else item
        if any(star.args.get(key) for key in ("except_", "except", "replace", "rename", "ilike")):
            outputs.is_complete = outputs.is_named = False
        shown: set[str] = set()
        for source in sources:
            self._spread(source, merged, shown, outputs)

    @staticmethod
    def _spread(source: Source, merged: frozenset[str], shown: set[str], outputs: Outputs) -> None:
        listed = source.outputs
        if listed is None:
            is_known = source.is_exact and (source.relation is None or source.relation.is_known)
            listed = Outputs(
                [Output(*each) for each in source.columns.items()], is_complete=is_known, is_named=is_known
            )
        outputs.is_complete = outputs.is_complete and listed.is_complete
        outputs.is_named = outputs.is_named and listed.is_named
        for item in listed.items:
            if item.name is None or item.name not in merged or item.name not in shown:
                outputs.items.append(Output(item.name, item.type))
                shown.add(item.name or "")

    def _set_operation(
        self, node: exp.SetOperation, parent: Scope | None, ctes: Ctes, bind: Callable[[Outputs], Ctes] | None = None
    ) -> Outputs:
        arms: list[Outputs] = []
        kinds: list[str] = []
        for operand, kind in self._operands(node):
            self._check_operand(operand)
            arms.append(self.read(operand, parent, ctes))
            kinds.append(kind)
            if bind is not None and len(arms) == 1:
                ctes = bind(arms[0])
        outputs = arms[0]
        for arm, kind in zip(arms[1:], kinds[1:], strict=True):
            outputs = self._combine(outputs, arm, kind)
        scope = Scope(parent, ctes)
        self.clauses.order_outputs(node, arms, scope)
        self.clauses.limit(node, scope)
        return outputs

    def _operands(self, node: exp.SetOperation) -> list[tuple[exp.Expr, str]]:
        """From left to right, with the operator before each; a long chain is no deep recursion."""
        operands: list[tuple[exp.Expr, str]] = []
        left: exp.Expr = node
        while isinstance(left, exp.SetOperation) and (left is node or left.args.get("with_") is None):
            if left is not node and (left.args.get("order") or left.args.get("limit")):
                self._report_order()
            operands.append((left.expression, left.key.upper()))
            left = left.this
        operands.append((left, ""))
        return operands[::-1]

    def _check_operand(self, operand: exp.Expr) -> None:
        if isinstance(operand, exp.Select | exp.SetOperation):
            if operand.args.get("order") or operand.args.get("limit"):
                self._report_order()
        elif isinstance(operand, exp.Subquery) and not self.rules.wraps_operands:
            self.statement.report(
                "syntax", "Operands of a set operation cannot stand in parentheses here: use a subquery in FROM."
            )

    def _report_order(self) -> None:
        self.statement.report(
            "order_misplaced",
            "ORDER BY and LIMIT stand behind the last part of a set operation, or inside parentheses.",
        )

    def _combine(self, left: Outputs, right: Outputs, kind: str) -> Outputs:
        if left.is_complete and right.is_complete and len(left.items) != len(right.items):
            counts = f"{len(left.items)} and {len(right.items)}"
            self.statement.report("column_count", f"The parts of {kind} must have equally many columns, not {counts}.")
            return left
        types = self.statement.types
        if types is None or not (left.is_complete and right.is_complete):
            return left
        items = []
        for one, other in zip(left.items, right.items, strict=True):
            common, stranger = types.common((one.type, other.type))
            if stranger is not None:
                pair = f"{types.spell(one.type)} and {types.spell(other.type)}"
                self.statement.report("type_mismatch", f"{kind} types {pair} cannot be matched.")
            for each in (one, other):
                self.statement.expressions.check_literal(each.node, each.type, common)
            items.append(Output(one.name, common))
        return Outputs(items, is_named=left.is_named)

    def _values(self, node: exp.Values, scope: Scope) -> Outputs:
        rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in node.expressions]
        if len({len(row) for row in rows}) > 1:
            self.statement.report("values_lengths", "The rows of VALUES must have equally many columns.")
        read = self.statement.expressions
        cells = [[(cell, read.value(cell, scope)) for cell in row] for row in rows]
        columns = [read.common("VALUES", list(column)) for column in zip(*cells, strict=False)]
        start = 0 if self.rules.dialect in {"mysql", "duckdb"} else 1
        prefix = {"mysql": "column_", "duckdb": "col"}.get(self.rules.dialect, "column")
        is_sure = self.rules.is_strict
        return Outputs(
            [Output(f"{prefix}{place + start}", kind) for place, kind in enumerate(columns)],
            is_named=is_sure,
        )

    def _with(self, node: exp.Expr, parent: Scope | None, ctes: Ctes) -> Ctes:
        with_ = node.args.get("with_")
        if with_ is None:
            return ctes
        is_recursive = bool(with_.args.get("recursive")) or not self.rules.recursive_word
        for cte in with_.expressions:
            alias = cte.args["alias"]
            ctes = {**ctes, self.fold(alias.this): self._cte(cte, parent, ctes, is_recursive=is_recursive)}
        return ctes

    def _cte(self, cte: exp.CTE, parent: Scope | None, ctes: Ctes, *, is_recursive: bool) -> Outputs:
        body, alias = cte.this, cte.args["alias"]
        name = self.fold(alias.this)
        if is_recursive and isinstance(body, exp.SetOperation):
            inner = self._with(body, parent, ctes)

            def bind(first: Outputs) -> Ctes:
                return {**inner, name: self._named(first, alias)}

            return self._named(self._set_operation(body, parent, inner, bind), alias)
        if body is None or not isinstance(body, exp.Query):
            return OPEN
        return self._named(self.read(body, parent, ctes), alias)

    def _named(self, outputs: Outputs, alias: exp.TableAlias) -> Outputs:
        given = [self.fold(c) for c in alias.args.get("columns") or () if isinstance(c, exp.Identifier)]
        if not given:
            return outputs
        if outputs.is_complete and len(given) > len(outputs.items):
            self.statement.report(
                "column_count", f'"{alias.name}" has {len(outputs.items)} columns, but {len(given)} names.'
            )
        items = [
            Output(given[place] if place < len(given) else item.name, item.type, item.node)
            for place, item in enumerate(outputs.items)
        ]
        return Outputs(items, is_complete=outputs.is_complete, is_named=outputs.is_named or len(given) >= len(items))
