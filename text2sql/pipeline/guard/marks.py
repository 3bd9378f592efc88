"""Proof that the walk over a statement leaves nothing out: what names something is marked until it was checked."""

from sqlglot import exp

from text2sql.pipeline.guard.refusal import GuardRefusal

NAMING = (exp.Column, exp.Table, exp.Query, exp.Values)
MARK = "unchecked"


def mark_names(tree: exp.Expr) -> None:
    for node in tree.find_all(*NAMING):
        node.meta[MARK] = True


def mark_checked(node: exp.Expr) -> None:
    node.meta.pop(MARK, None)


def require_checked(tree: exp.Expr) -> None:
    """Raises GuardRefusal if a table, column or query stands where the walk does not look."""
    for node in tree.find_all(*NAMING):
        if MARK in node.meta:
            raise GuardRefusal("not_allowed", "A name or a query stands where none is allowed.")
