"""GROUP BY, ORDER BY, DISTINCT ON, LIMIT: clauses that may name an output, or give its place."""

from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.check.same import is_same
from text2sql.pipeline.check.scope import Output, Outputs, Scope
from text2sql.pipeline.check.types import UNKNOWN

if TYPE_CHECKING:
    from text2sql.pipeline.check.statement import Statement

GROUP_PARTS = (exp.GroupingSets, exp.Rollup, exp.Cube, exp.Paren, exp.Tuple)
WHOLE = ("int2", "int4", "int8", "float4", "float8", "numeric", UNKNOWN, None)


class Clauses:
    def __init__(self, statement: "Statement") -> None:
        self.statement = statement
        self.rules = statement.rules
        self.fold = statement.catalog.fold

    def group(self, select: exp.Select, outputs: Outputs, scope: Scope) -> list[exp.Expr] | None:
        """The expressions that are grouped by, outputs in place of their names and numbers; None without GROUP BY."""
        group = select.args.get("group")
        if group is None:
            return None
        scope.clause = "group"
        if not any(group.args.values()):
            self.statement.report("syntax", "GROUP BY names nothing.")
        grouped: list[exp.Expr] = []
        for item in group.iter_expressions():
            self._group_item(item, outputs, scope, grouped)
        return grouped

    def _group_item(self, item: exp.Expr, outputs: Outputs, scope: Scope, grouped: list[exp.Expr]) -> None:
        if isinstance(item, GROUP_PARTS):
            if isinstance(item, self.rules.missing) or (isinstance(item, exp.Tuple) and not self.rules.has_group_rows):
                self.statement.report("syntax", f"{self.rules.dialect} cannot group by {item.key.upper()}.")
            for part in item.iter_expressions():
                self._group_item(part, outputs, scope, grouped)
            return
        place = _place(item)
        target = self._at(place, outputs, "GROUP BY") if place is not None else None
        name = self._bare(item)
        if place is None and self.rules.groups_by_alias and name is not None and not self._is_input(name, scope):
            named = [each.node for each in outputs.items if each.name == name and each.node is not None]
            is_alias = self.rules.dialect != "sqlite" or name in scope.aliases
            target = named[0] if named and is_alias else None
        if target is not None:
            grouped.append(target)
            if self.statement.expressions.has_aggregate(target):
                self.statement.report(
                    "aggregate_misplaced", "GROUP BY cannot stand for an aggregate of the SELECT list."
                )
        elif place is None:
            self.statement.expressions.value(item, scope)
            grouped.append(item)

    def distinct_on(self, on: exp.Expr, scope: Scope) -> None:
        for term in on.expressions if isinstance(on, exp.Tuple) else [on]:
            name = self._bare(term)
            if _place(term) is None and (name is None or name not in scope.aliases):
                self.statement.expressions.value(term, scope)

    def order(self, select: exp.Select, outputs: Outputs, scope: Scope) -> None:
        order = select.args.get("order")
        if order is None:
            return
        scope.clause = "order"
        distinct = select.args.get("distinct")
        is_distinct = distinct is not None and distinct.args.get("on") is None and self.rules.has_ordered_distinct
        terms = [each.this if isinstance(each, exp.Ordered) else each for each in order.expressions]
        for term in terms:
            if (place := _place(term)) is not None:
                self._at(place, outputs, "ORDER BY")
                continue
            name = self._bare(term)
            named = [each for each in outputs.items if name is not None and each.name == name]
            if named:
                self._check_named(named, name or "")
                self._touch(term, named[0].node, scope)
                continue
            self.statement.expressions.value(term, scope)
            if is_distinct and outputs.is_complete and not self._is_selected(term, outputs):
                self.statement.report(
                    "order_not_selected", "With SELECT DISTINCT, ORDER BY can name only what is selected."
                )

        if distinct is not None and distinct.args.get("on") is not None:
            self._check_distinct_on(distinct.args["on"], terms)

    def _check_distinct_on(self, on: exp.Expr, terms: list[exp.Expr]) -> None:
        wanted = list(on.expressions) if isinstance(on, exp.Tuple) else [on]
        meanings = self.statement.meanings
        if any(not isinstance(each, exp.Column) or id(each) not in meanings for each in (*wanted, *terms)):
            return
        for term in terms[: len(wanted)]:
            if not any(is_same(term, each, meanings) for each in wanted):
                self.statement.report("order_not_selected", "DISTINCT ON must name what ORDER BY begins with.")
                return

    def order_outputs(self, node: exp.Expr, arms: list[Outputs], scope: Scope) -> None:
        """ORDER BY behind a set operation: only names and places of outputs."""
        order = node.args.get("order")
        if order is None:
            return
        is_open = not all(arm.is_complete and arm.is_named for arm in arms)
        for ordered in order.expressions:
            term = ordered.this if isinstance(ordered, exp.Ordered) else ordered
            if (place := _place(term)) is not None:
                self._at(place, arms[0], "ORDER BY")
            elif not is_open and not self._is_output(term, arms) and isinstance(node, exp.SetOperation):
                names = tuple(each.name for each in arms[0].items if each.name)
                self.statement.report(
                    "order_misplaced", "ORDER BY behind a set operation can name only columns of the result.", names[:5]
                )

    def _is_output(self, term: exp.Expr, arms: list[Outputs]) -> bool:
        name = self._bare(term)
        looked = arms if self.rules.dialect == "sqlite" else arms[:1]
        if name is not None:
            return any(each.name == name for arm in looked for each in arm.items)
        if self.rules.is_strict and self.rules.dialect == "postgres":
            return False
        if isinstance(term, exp.Column):
            return any(each.name == self.fold(term.this) for arm in looked for each in arm.items)
        return not self.rules.is_strict or any(
            each.node is not None and is_same(term, each.node, self.statement.meanings)
            for arm in arms
            for each in arm.items
        )

    def limit(self, node: exp.Expr, scope: Scope) -> None:
        for name in ("limit", "offset"):
            part = node.args.get(name)
            count = part.args.get("expression") or part.args.get("count") if isinstance(part, exp.Expr) else None
            if isinstance(count, exp.Literal):
                if self.statement.types is None:
                    continue
                self.statement.expressions.check_literal(count, UNKNOWN if count.is_string else None, "int8")
            elif isinstance(count, exp.Expr):
                kind = self.statement.expressions.value(count, Scope(scope.parent, scope.ctes))
                if kind not in WHOLE and self.statement.types is not None:
                    self.statement.report("type_mismatch", f"The argument of {name.upper()} must be a number.")

    def _at(self, place: int, outputs: Outputs, clause: str) -> exp.Expr | None:
        if not outputs.is_complete:
            return None
        if not 1 <= place <= len(outputs.items):
            self.statement.report(
                "position_out_of_range", f"{clause} {place}: the SELECT list has {len(outputs.items)} columns."
            )
            return None
        return outputs.items[place - 1].node

    def _check_named(self, named: list[Output], name: str) -> None:
        """PostgreSQL does not choose between two different outputs of one name."""
        nodes = [each.node for each in named if each.node is not None]
        if len(nodes) < len(named) or self.rules.dialect != "postgres":
            return
        if any(not is_same(nodes[0], each, self.statement.meanings) for each in nodes[1:]):
            self.statement.report("column_ambiguous", f'ORDER BY "{name}" is ambiguous: two outputs have this name.')

    def _touch(self, term: exp.Expr, target: exp.Expr | None, scope: Scope) -> None:
        if target is not None and id(target) in self.statement.meanings:
            self.statement.meanings[id(term)] = self.statement.meanings[id(target)]

    def _is_selected(self, term: exp.Expr, outputs: Outputs) -> bool:
        meaning = self.statement.meanings.get(id(term))
        for each in outputs.items:
            if each.node is None and meaning is not None and each.name == meaning[2]:
                return True
            if each.node is not None and is_same(term, each.node, self.statement.meanings):
                return True
        return False

    def _is_input(self, name: str, scope: Scope) -> bool:
        sources = scope.seen()
        return any(
            name in source.columns or not source.is_exact or (source.relation and not source.relation.is_known)
            for source in sources
        )

    def _bare(self, item: exp.Expr) -> str | None:
        if isinstance(item, exp.Column) and item.args.get("table") is None and isinstance(item.this, exp.Identifier):
            return self.fold(item.this)
        return None


def _place(item: exp.Expr) -> int | None:
    is_place = isinstance(item, exp.Literal) and not item.is_string and item.this.isdigit()
    return int(item.this) if is_place else None
