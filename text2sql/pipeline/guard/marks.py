"""Marks on nodes, which copies keep: what names something until it was checked, and which table a node reads."""

from sqlglot import exp

NAMING = (exp.Column, exp.Table, exp.Query, exp.Values, exp.Pivot)
MARK = "unchecked"
TABLE = "table"


def mark_name(node: exp.Expr) -> None:
    node.meta[MARK] = True


def mark_checked(node: exp.Expr) -> None:
    node.meta.pop(MARK, None)


def is_unchecked(node: exp.Expr) -> bool:
    """Proof that the walk over a statement left nothing out: nothing may be unchecked behind it."""
    return MARK in node.meta


def mark_table(node: exp.Table, qualified_name: str) -> None:
    """No copy of the node escapes a row filter."""
    node.meta[TABLE] = qualified_name


def marked_table(node: exp.Expr) -> str | None:
    name = node.meta.get(TABLE)
    return name if isinstance(name, str) else None
