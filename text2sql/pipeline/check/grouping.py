"""Which columns may stand beside aggregates."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.check.same import is_same
from text2sql.pipeline.check.scope import Scope, Source

if TYPE_CHECKING:
    from text2sql.pipeline.check.statement import Statement

SETS = (exp.Rollup, exp.Cube, exp.GroupingSets)


def check_grouping(statement: "Statement", select: exp.Select, scope: Scope, grouped: list[exp.Expr] | None) -> None:
    """Reports columns of `scope` that are neither grouped by nor inside an aggregate."""
    by = grouped or []
    if any(statement.meanings.get(id(each), (None, 0))[1] is None for each in by if isinstance(each, exp.Column)):
        return  # a column of a source whose columns are not known
    checked = Grouping(statement, scope, by)
    order, having, qualify = select.args.get("order"), select.args.get("having"), select.args.get("qualify")
    parts = [*select.expressions, having, qualify, *(order.expressions if order is not None else [])]
    names: set[str] = set()
    for item in select.expressions:
        if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
            name = checked.starred(item)
            if name is not None:
                _report(statement, name)
    for part in parts:
        for column in checked.strangers(part) if isinstance(part, exp.Expr) else ():
            name = column.sql()
            if name not in names:
                names.add(name)
                _report(statement, column.name)


def _report(statement: "Statement", name: str) -> None:
    message = f'"{name}" must be in GROUP BY or inside an aggregate function.'
    statement.report("column_not_grouped", message, is_sure=statement.rules.grouping != "doubt")


class Grouping:
    def __init__(self, statement: "Statement", scope: Scope, grouped: list[exp.Expr]) -> None:
        self.statement = statement
        self.scope = scope
        self.has_sets = any(
            each.find_ancestor(exp.Rollup, exp.Cube, exp.GroupingSets, exp.Select, exp.Group).__class__ in SETS
            for each in grouped
        )
        self.columns: set[tuple[int, str]] = set()
        self.expressions: list[exp.Expr] = []
        for each in grouped:
            meaning = statement.meanings.get(id(each))
            if meaning is not None:
                self.columns.add((id(meaning[1]), meaning[2]))
            else:
                self.expressions.append(each)
        self.kinds = {type(_bare(each)) for each in self.expressions}
        for name, (_, joined) in scope.merged.items():
            if any((id(source), name) in self.columns for source in joined):
                self.columns |= {(id(source), name) for source in joined}

    def strangers(self, node: exp.Expr) -> Iterator[exp.Column]:
        if isinstance(node, exp.Alias):
            node = node.this
        if type(node) in self.kinds and any(is_same(node, each, self.statement.meanings) for each in self.expressions):
            return
        if isinstance(node, exp.Column):
            meaning = self.statement.meanings.get(id(node))
            if meaning is not None and meaning[0] is self.scope and not self._is_grouped(meaning[1], meaning[2]):
                yield node
            return
        for child in self._below(node):
            yield from self.strangers(child)

    def _below(self, node: exp.Expr) -> Iterable[exp.Expr]:
        """The parts whose columns count; inside an aggregate none does, but the arguments of one with OVER do."""
        if isinstance(node, exp.Window):
            called = node.this
            while isinstance(called, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
                called = called.this
            order = node.args.get("order")
            return [*called.iter_expressions(), *(node.args.get("partition_by") or ()), *([order] if order else [])]
        inner = node.this if isinstance(node, exp.Filter | exp.WithinGroup) else node
        return () if self.statement.expressions.is_aggregate(inner) else node.iter_expressions()

    def starred(self, item: exp.Expr) -> str | None:
        """The first column behind a star that is not grouped by."""
        sources = self.scope.sources
        if isinstance(item, exp.Column):
            found = self.statement.columns.find_source(item, self.scope)
            sources = [found[1]] if found is not None else []
        elif not isinstance(item, exp.Star):
            return None
        names = (name for source in sources for name in source.columns if not self._is_grouped(source, name))
        return next(names, None)

    def _is_grouped(self, source: Source | None, name: str) -> bool:
        if source is None or (id(source), name) in self.columns:
            return True
        relation = source.relation
        if self.statement.rules.grouping != "keys" or relation is None or not relation.key or self.has_sets:
            return False
        return all((id(source), key) in self.columns for key in relation.key)


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node
