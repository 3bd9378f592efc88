"""Mistakes in a query, as models make them: one change in its syntax tree each."""

from collections.abc import Callable, Iterator

from sqlglot import exp

from tests.quality.rewrites import Verified

AGGREGATES: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.Sum: exp.Avg,
    exp.Avg: exp.Sum,
    exp.Min: exp.Max,
    exp.Max: exp.Min,
    exp.Count: exp.Sum,
}
OPERATORS: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GT: exp.GTE,
    exp.GTE: exp.GT,
    exp.LT: exp.LTE,
    exp.LTE: exp.LT,
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.Add: exp.Sub,
    exp.Sub: exp.Add,
    exp.Div: exp.Mul,
    exp.Mul: exp.Div,
    exp.And: exp.Or,
    exp.Or: exp.And,
}
Mistake = Callable[[exp.Query, bool], Iterator[exp.Query]]


def faults(gold: Verified) -> Iterator[tuple[str, str]]:
    """The kind of each fault, and its SQL."""
    for name, make in FAULTS.items():
        written = dict.fromkeys(tree.sql("postgres") for tree in make(gold.tree(), gold.is_ordered))
        yield from ((name, sql) for sql in written)


def changed(tree: exp.Query, kind: type[exp.Expr], change: Callable[[exp.Expr], bool]) -> Iterator[exp.Query]:
    """A copy for each node of the kind, in which `change` has changed it; False: it has left it alone."""
    for number in range(len(list(tree.find_all(kind)))):
        copied = tree.copy()
        if change(list(copied.find_all(kind))[number]):
            yield copied


def dropped_condition(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    def drop_all(where: exp.Expr) -> bool:
        where.pop()
        return True

    def drop_one(both: exp.Expr) -> bool:
        if both.find_ancestor(exp.Where, exp.Join, exp.Having) is None:
            return False
        both.replace(both.this.copy())
        return True

    yield from changed(tree, exp.Where, drop_all)
    yield from changed(tree, exp.Having, drop_all)
    yield from changed(tree, exp.And, drop_one)


def changed_literal(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    def change(literal: exp.Expr) -> bool:
        # How far a value is rounded, beyond two decimals, is left open on purpose.
        if isinstance(literal.parent, exp.Limit | exp.Ordered | exp.Group | exp.Interval | exp.Cast | exp.Round):
            return False
        if literal.is_string:
            text = literal.name
            literal.replace(exp.Literal.string(text.replace(text.strip("%")[:3], "Qq", 1) if text else "Qq"))
        else:
            literal.replace(exp.Literal.number(float(literal.name) * 2 + 1 if "." in literal.name
                                               else int(literal.name) + 1))  # fmt: skip
        return True

    yield from changed(tree, exp.Literal, change)


def wrong_aggregate(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    for kind, other in AGGREGATES.items():

        def change(call: exp.Expr, other: type[exp.Expr] = other) -> bool:
            if isinstance(call.this, exp.Star):
                return False
            call.replace(other(this=call.this.copy()))
            return True

        yield from changed(tree, kind, change)


def removed_distinct(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    def change(distinct: exp.Expr) -> bool:
        if isinstance(distinct.parent, exp.Count):
            distinct.replace(distinct.expressions[0].copy())
        elif isinstance(distinct.parent, exp.Select):
            distinct.pop()
        else:
            return False
        return True

    yield from changed(tree, exp.Distinct, change)


def changed_limit(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    def less(limit: exp.Expr) -> bool:
        limit.set("expression", exp.Literal.number(int(limit.expression.name) - 1))
        return True

    def more(limit: exp.Expr) -> bool:
        limit.set("expression", exp.Literal.number(int(limit.expression.name) + 1))
        return True

    def drop(limit: exp.Expr) -> bool:
        limit.pop()
        return True

    for change in (less, more, drop):
        yield from changed(tree, exp.Limit, change)


def changed_join(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    def turn(join: exp.Expr) -> bool:
        if not join.args.get("on") and not join.args.get("using"):
            return False
        join.set("side", None if join.args.get("side") else "LEFT")
        join.set("kind", None)
        return True

    def cross(join: exp.Expr) -> bool:
        if not join.args.get("on"):
            return False
        join.replace(exp.Join(this=join.this.copy(), kind="CROSS"))
        return True

    yield from changed(tree, exp.Join, turn)
    yield from changed(tree, exp.Join, cross)


def wrong_operator(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    for kind, other in OPERATORS.items():

        def change(node: exp.Expr, other: type[exp.Expr] = other) -> bool:
            node.replace(other(this=node.this.copy(), expression=node.expression.copy()))
            return True

        yield from changed(tree, kind, change)


def wrong_null_test(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    def change(test: exp.Expr) -> bool:
        if isinstance(test.parent, exp.Not):
            test.parent.replace(test.copy())
        else:
            test.replace(exp.not_(test.copy()))
        return True

    yield from changed(tree, exp.Is, change)


def turned_order(tree: exp.Query, is_ordered: bool) -> Iterator[exp.Query]:
    """Where it matters: the order was asked for, or decides what a LIMIT, a window or DISTINCT ON keeps."""

    def change(key: exp.Expr) -> bool:
        if key.find_ancestor(exp.Query) is key.root() and not (is_ordered or tree.args.get("limit")):
            return False
        key.set("desc", not key.args.get("desc"))
        key.set("nulls_first", bool(key.args.get("desc")))
        return True

    yield from changed(tree, exp.Ordered, change)


def dropped_order(tree: exp.Query, is_ordered: bool) -> Iterator[exp.Query]:
    if tree.args.get("order") and (is_ordered or tree.args.get("limit")):
        copied = tree.copy()
        copied.set("order", None)
        yield copied


def missing_column(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    for place in range(len(tree.selects)):
        if isinstance(tree, exp.Select) and len(tree.selects) > 1:
            copied = tree.copy()
            copied.set("expressions", [each for at, each in enumerate(copied.selects) if at != place])
            yield copied


def missing_group(tree: exp.Query, _: bool) -> Iterator[exp.Query]:
    def change(group: exp.Expr) -> bool:
        if len(group.expressions) < 2:
            return False
        group.set("expressions", group.expressions[:-1])
        return True

    yield from changed(tree, exp.Group, change)


FAULTS: dict[str, Mistake] = {
    function.__name__.replace("_", " "): function
    for function in (
        dropped_condition, changed_literal, wrong_aggregate, removed_distinct, changed_limit, changed_join,
        wrong_operator, wrong_null_test, turned_order, dropped_order, missing_column, missing_group,
    )
}  # fmt: skip
