"""Other ways to write a query that answer the same question, made on its syntax tree: all must be judged the same."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from text2sql.pipeline.comparison import ResultSet

NUMBERS = ("integer", "bigint", "smallint", "numeric", "double precision")
OTHER_TYPES = {
    "integer": "numeric",
    "bigint": "double precision",
    "smallint": "bigint",
    "double precision": "numeric",
    "boolean": "integer",
    "date": "timestamp",
}


@dataclass(frozen=True)
class Verified:
    """A verified query, its result, and whether its question asks for an order."""

    sql: str
    result: ResultSet
    is_ordered: bool

    def tree(self) -> exp.Query:
        tree = sqlglot.parse_one(self.sql, read="postgres")
        assert isinstance(tree, exp.Query)
        return tree

    @property
    def names(self) -> list[str]:
        return [f"c{number}" for number in range(len(self.result.types))]

    def wrapped(self, columns: Sequence[str], tail: str = "") -> str:
        inner = self.sql.rstrip("; \n")
        return f"SELECT {', '.join(columns)} FROM ({inner}) AS q({', '.join(self.names)}) {tail}".strip()  # noqa: S608

    @property
    def has_limit(self) -> bool:
        return self.tree().args.get("limit") is not None


def rewrites(gold: Verified) -> Iterator[tuple[str, str]]:
    """The kind of each rewrite, and its SQL."""
    for name, make in REWRITES.items():
        for sql in make(gold):
            if sql != gold.sql:
                yield name, sql


def reordered_columns(gold: Verified) -> Iterator[str]:
    yield gold.wrapped(gold.names[::-1])


def reordered_select_list(gold: Verified) -> Iterator[str]:
    tree = gold.tree()
    if isinstance(tree, exp.Select) and not _counts_places(tree) and not any(each.is_star for each in tree.selects):
        tree.set("expressions", tree.selects[::-1])
        yield tree.sql("postgres")


def added_columns(gold: Verified) -> Iterator[str]:
    yield gold.wrapped(["row_number() OVER ()", *gold.names, "'more' AS note", gold.names[0]])


def wrapped_in_cte(gold: Verified) -> Iterator[str]:
    inner = gold.sql.rstrip("; \n")
    yield f"WITH answer AS ({inner}) SELECT * FROM answer"  # noqa: S608


def other_aliases(gold: Verified) -> Iterator[str]:
    yield gold.wrapped([f"{name} AS other_{name}" for name in gold.names])
    tree = gold.tree()
    named = {table.alias: f"t_{table.alias}" for table in tree.find_all(exp.Table) if table.alias}
    for node in list(tree.find_all(exp.TableAlias, exp.Column)):
        part = node.args.get("this" if isinstance(node, exp.TableAlias) else "table")
        if isinstance(part, exp.Identifier) and part.name in named:
            part.set("this", named[part.name])
    if named and not list(tree.find_all(exp.Subquery, exp.CTE)):
        yield tree.sql("postgres")


def reversed_joins(gold: Verified) -> Iterator[str]:
    """`a JOIN b ON x JOIN c ON y` as `c, b, a WHERE x AND y`, for inner joins with ON in the outermost query."""
    tree = gold.tree()
    joins = tree.args.get("joins") or []
    source = tree.args.get("from_")
    if not isinstance(tree, exp.Select) or not joins or source is None:
        return
    if any(join.side or join.kind not in ("", "INNER") or not join.args.get("on") for join in joins):
        return
    relations = [source.this, *(join.this for join in joins)]
    conditions = [join.args["on"] for join in joins]
    tree.set("from_", exp.From(this=relations[-1].copy()))
    tree.set("joins", [exp.Join(this=relation.copy(), kind="CROSS") for relation in relations[-2::-1]])
    for condition in conditions:
        tree.where(condition.copy(), copy=False)
    yield tree.sql("postgres")


def without_order(gold: Verified) -> Iterator[str]:
    tree = gold.tree()
    if tree.args.get("order") and not gold.is_ordered and not gold.has_limit:
        tree.set("order", None)
        yield tree.sql("postgres")


def other_order(gold: Verified) -> Iterator[str]:
    if not gold.is_ordered:
        yield gold.wrapped(gold.names, "ORDER BY " + ", ".join(f"{name}::text DESC" for name in gold.names))
        yield gold.wrapped(gold.names, f"ORDER BY md5({gold.names[0]}::text)")


def other_order_of_ties(gold: Verified) -> Iterator[str]:
    """Among equal sort keys the rows come otherwise, and with a LIMIT other ones of them."""
    tree = gold.tree()
    order = tree.args.get("order")
    if order is None or any(each.is_star for each in tree.selects):
        return
    for descending in (True, False):
        again = tree.copy()
        ties = [
            exp.Ordered(this=exp.Literal.number(place + 1), desc=descending, nulls_first=descending)
            for place in range(len(tree.selects))
        ]
        again.set("order", exp.Order(expressions=[*(each.copy() for each in order.expressions), *ties]))
        yield again.sql("postgres")


def other_types(gold: Verified) -> Iterator[str]:
    casts = {name: OTHER_TYPES[kind] for name, kind in zip(gold.names, gold.result.types, strict=True)
             if kind in OTHER_TYPES}  # fmt: skip
    if casts:
        yield gold.wrapped([f"{name}::{casts[name]}" if name in casts else name for name in gold.names])
    numeric = [name for name, kind in zip(gold.names, gold.result.types, strict=True) if kind.startswith("numeric")]
    if numeric:
        yield gold.wrapped([f"{name}::double precision" if name in numeric else name for name in gold.names])
        yield gold.wrapped([f"round({name}, 8)" if name in numeric else name for name in gold.names])


def as_text(gold: Verified) -> Iterator[str]:
    readable = [
        name
        for name, kind in zip(gold.names, gold.result.types, strict=True)
        if kind.startswith((*NUMBERS, "date", "timestamp"))
    ]
    if readable:
        yield gold.wrapped([f"{name}::text" if name in readable else name for name in gold.names])


def grouped_instead_of_distinct(gold: Verified) -> Iterator[str]:
    tree = gold.tree()
    if isinstance(tree, exp.Select) and tree.args.get("distinct") and not _is_aggregated(tree):
        if tree.args["distinct"].args.get("on") or any(each.is_star for each in tree.selects):
            return
        tree.set("distinct", None)
        tree.group_by(*(exp.Literal.number(place + 1) for place in range(len(tree.selects))), copy=False)
        yield tree.sql("postgres")


def negated_twice(gold: Verified) -> Iterator[str]:
    tree = gold.tree()
    where = tree.args.get("where")
    if where is not None:
        where.set("this", exp.not_(exp.not_(exp.paren(where.this.copy()))))
        yield tree.sql("postgres")


def united_with_nothing(gold: Verified) -> Iterator[str]:
    if not gold.is_ordered:
        yield f"{gold.wrapped(gold.names)} UNION ALL {gold.wrapped(gold.names, 'WHERE false')}"


REWRITES: dict[str, Callable[[Verified], Iterator[str]]] = {
    function.__name__.replace("_", " "): function
    for function in (
        reordered_columns, reordered_select_list, added_columns, wrapped_in_cte, other_aliases, reversed_joins,
        without_order, other_order, other_order_of_ties, other_types, as_text, grouped_instead_of_distinct,
        negated_twice, united_with_nothing,
    )
}  # fmt: skip


def _counts_places(tree: exp.Select) -> bool:
    lists = [tree.args.get("group"), tree.args.get("order"), tree.args.get("distinct")]
    return any(list(each.find_all(exp.Literal)) for each in lists if each is not None)


def _is_aggregated(tree: exp.Select) -> bool:
    return bool(tree.args.get("group")) or any(each.find(exp.AggFunc) for each in tree.selects)
