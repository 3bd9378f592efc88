"""GROUP BY, ORDER BY and DISTINCT ON: the clauses that may name an output of the SELECT list."""

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.guard.columns import Aliases
from text2sql.pipeline.guard.marks import mark_checked
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Outputs, Scope, Source
from text2sql.pipeline.guard.view import View

if TYPE_CHECKING:
    from text2sql.pipeline.guard.names import NameResolver

GROUP_PARTS = (exp.GroupingSets, exp.Rollup, exp.Cube, exp.Paren, exp.Tuple)


class Projection:
    """The outputs of a SELECT list: names that stand there, and names that the database makes up for functions."""

    def __init__(self, view: View, select: exp.Select, scope: Scope) -> None:
        self.given: dict[str, int] = {}
        self.made_up: dict[str, int] = {}
        self.meanings: dict[str, exp.Expr] = {}
        names: list[str | None] = []
        exact = True
        self.has_star = False
        for place, item in enumerate(select.expressions, start=1):
            if (starred := _starred_sources(view, item, scope)) is not None:
                self.has_star = True
                exact = exact and all(source.exact and not source.is_unchecked for source in starred)
                names += dict.fromkeys(name for source in starred for name in source.names)
                continue
            identifier = _given_name(item)
            name = view.fold(identifier) if identifier is not None else name_output(view, item)
            names.append(name)
            if identifier is not None and name is not None:
                self.given.setdefault(name, place)
                if isinstance(item, exp.Alias):
                    self.meanings.setdefault(name, item.this)
            else:
                exact = False
                if name is not None:
                    self.made_up.setdefault(name, place)
        self.outputs = Outputs(tuple(names), exact=exact)

    def ordinal(self, name: str) -> exp.Expr | None:
        place = self.given.get(name) or self.made_up.get(name)
        return None if place is None or self.has_star else exp.Literal.number(place)


def _starred_sources(view: View, item: exp.Expr, scope: Scope) -> list[Source] | None:
    """The sources behind a star that stayed, which are derived tables; None for every other output."""
    if isinstance(item, exp.Star):
        return scope.sources
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
        source = scope.source(view.fold(item.args["table"]))
        return [source] if source is not None else []
    return None


def name_output(view: View, item: exp.Expr) -> str | None:
    """The name that PostgreSQL gives an expression: that of its outermost function. Others show the text instead."""
    if not view.policy.names_by_function:
        return None
    if isinstance(item, exp.Window | exp.Filter | exp.WithinGroup | exp.Cast | exp.Paren):
        return name_output(view, item.this) if not isinstance(item.this, exp.Column) else item.this.name.lower()
    if isinstance(item, exp.Func):
        match = re.match(r"[a-z_][a-z0-9_]*", item.sql(view.dialect).lower())
        return match[0] if match else None
    return None


def resolve_grouping(
    names: "NameResolver", select: exp.Select, projection: Projection, scope: Scope, aliases: Aliases
) -> None:
    """GROUP BY looks at the sources first. A name that only an output has becomes that output's number: behind the
    view there may be a column of the same name, and the database would prefer it."""
    group = select.args.get("group")
    if group is None:
        return
    for item in list(group.iter_expressions()):
        _resolve_group_item(names, item, projection, scope, aliases)


def _resolve_group_item(
    names: "NameResolver", item: exp.Expr, projection: Projection, scope: Scope, aliases: Aliases
) -> None:
    if isinstance(item, GROUP_PARTS):
        for part in list(item.iter_expressions()):
            _resolve_group_item(names, part, projection, scope, aliases)
        return
    name = _bare_name(names.view, item)
    if name is not None and not _is_input(scope, name) and names.view.policy.groups_by_alias:
        ordinal = projection.ordinal(name)
        if ordinal is not None:
            item.replace(ordinal)
            return
    names.expression(item, scope, aliases)


def resolve_terms(
    names: "NameResolver", select: exp.Select, projection: Projection, scope: Scope, aliases: Aliases
) -> None:
    """ORDER BY and DISTINCT ON look at the outputs first, as the database does."""
    order, distinct = select.args.get("order"), select.args.get("distinct")
    terms = [ordered.this for ordered in order.expressions] if order is not None else []
    if distinct is not None and distinct.args.get("on") is not None:
        on = distinct.args["on"]
        terms += on.expressions if isinstance(on, exp.Tuple) else [on]
    for term in terms:
        name = _bare_name(names.view, term)
        if name is not None and name in projection.given:
            mark_checked(term)
            continue
        if name is not None and not _is_input(scope, name) and (ordinal := projection.ordinal(name)) is not None:
            term.replace(ordinal)
            continue
        names.expression(term, scope, aliases)


def resolve_outer_order(names: "NameResolver", node: exp.Expr, outputs: Outputs, scope: Scope) -> None:
    """ORDER BY behind a set operation or parentheses may name outputs only.

    PostgreSQL lets `(SELECT a FROM t) ORDER BY b` reach every column of t.
    """
    names.limits(node, Scope(scope, scope.ctes))
    order = node.args.get("order")
    for ordered in order.expressions if order is not None else []:
        for column in list(ordered.find_all(exp.Column, exp.Query)):
            name = _bare_name(names.view, column)
            is_open = isinstance(node, exp.SetOperation) or names.view.is_open
            is_output = name in outputs.names or (is_open and not outputs.exact)
            if name is None or not is_output:
                raise GuardRefusal("column_not_visible", "ORDER BY here can name only columns of the result.")
            mark_checked(column)


def _given_name(item: exp.Expr) -> exp.Identifier | None:
    named = (
        item.args.get("alias") if isinstance(item, exp.Alias) else item.this if isinstance(item, exp.Column) else None
    )
    return named if isinstance(named, exp.Identifier) else None


def _bare_name(view: View, item: exp.Expr) -> str | None:
    is_bare = isinstance(item, exp.Column) and item.args.get("table") is None and isinstance(item.this, exp.Identifier)
    return view.fold(item.this) if is_bare else None


def _is_input(scope: Scope, name: str) -> bool:
    return bool(name in scope.merged or scope.holders(name) or any(source.is_unchecked for source in scope.sources))
