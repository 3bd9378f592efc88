"""Writes stars out, so that a table shows its visible columns and no others."""

from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.guard.marks import mark_checked
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Scope, Source
from text2sql.pipeline.guard.view import View

if TYPE_CHECKING:
    from text2sql.pipeline.guard.names import NameResolver

UNKNOWN = "Name the columns instead of * here."


def expand_stars(names: "NameResolver", select: exp.Select, scope: Scope) -> None:
    """Replaces `*` and `table.*` of tables; stars of derived tables stay, everything in those was checked."""
    expanded: list[exp.Expr] = []
    for item in select.expressions:
        if isinstance(item, exp.Star):
            expanded += _Options(names, item, scope).apply(_all_columns(names, scope, item))
        elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            expanded += _Options(names, item.this, scope).apply(_columns_of(names, item, scope))
        else:
            expanded.append(item)
    select.set("expressions", expanded)


def refuse_known(scope: Scope) -> None:
    """For what reaches columns by a pattern: that may find hidden ones."""
    if any(source.is_table and not source.is_unchecked for source in scope.sources):
        raise GuardRefusal("name_the_columns", UNKNOWN)


class _Options:
    """EXCEPT, REPLACE and RENAME behind a star."""

    def __init__(self, names: "NameResolver", star: exp.Star, scope: Scope) -> None:
        self._view = names.view
        self._star = star
        self._except = {self._view.fold_column(column) for column in star.args.get("except_") or []}
        for column in [part for key in ("except_", "rename") for part in star.args.get(key) or []]:
            for named in column.find_all(exp.Column):
                mark_checked(named)
        self._replace: dict[str, exp.Expr] = {}
        for item in list(star.args.get("replace") or []):
            names.expression(item, scope)
            self._replace[self._view.fold(item.args["alias"])] = item
        self._rename = {self._view.fold_column(item.this): item.args["alias"] for item in star.args.get("rename") or []}

    def apply(self, items: list[exp.Expr]) -> list[exp.Expr]:
        if not any(self._star.args.values()):
            return items
        if len(items) == 1 and (items[0] is self._star or items[0].this is self._star):
            return items
        if self._star.args.get("ilike") or any(isinstance(item.this, exp.Star) for item in items):
            raise GuardRefusal("name_the_columns", UNKNOWN)
        return [self._changed(item) for item in items if self._view.fold_column(item) not in self._except]

    def _changed(self, item: exp.Expr) -> exp.Expr:
        name = self._view.fold_column(item)
        if name in self._replace:
            return self._replace[name].copy()
        return exp.alias_(item, self._rename[name].copy()) if name in self._rename else item


def _columns_of(names: "NameResolver", item: exp.Column, scope: Scope) -> list[exp.Expr]:
    view = names.view
    if item.args.get("db") is not None and not view.policy.has_fields:
        raise GuardRefusal("column_not_visible", "Write table.* with the table's name or alias alone.")
    head = item.parts[0]
    source = scope.source(view.fold(head)) if isinstance(head, exp.Identifier) else None
    if source is None and view.policy.has_fields and isinstance(head, exp.Identifier):
        # The fields of a column: it is resolved as a column is.
        column = exp.Column(this=head.copy())
        exp.Paren(this=column)
        names.columns.resolve(column, scope, {})
        mark_checked(item)
        return [item]
    if source is None:
        raise GuardRefusal("column_not_visible", f'There is no table or alias "{item.args["table"].name}" here.')
    if not source.is_table or source.is_unchecked or item.args.get("db") is not None:
        if item.args.get("db") is not None and source.names and view.fold_column(item.parts[1]) not in source.names:
            raise GuardRefusal("column_not_visible", f'The column "{item.parts[1].name}" is not in this team\'s view.')
        mark_checked(item)
        return [item]
    return [_column(names, source, identifier, scope) for identifier in source.spelled]


def _all_columns(names: "NameResolver", scope: Scope, star: exp.Star) -> list[exp.Expr]:
    if not scope.sources:
        raise GuardRefusal("column_not_visible", "* needs a table.")
    if all(not source.is_table or source.is_unchecked for source in scope.sources):
        return [star]
    if scope.merged:
        return _merged_columns(names, scope)
    result: list[exp.Expr] = []
    for source in scope.sources:
        if source.is_table and not source.is_unchecked:
            result += [_column(names, source, identifier, scope) for identifier in source.spelled]
        else:
            result.append(exp.Column(this=exp.Star(), table=names.columns.qualifier(source)))
    return result


def _merged_columns(names: "NameResolver", scope: Scope) -> list[exp.Expr]:
    """With USING the shared columns appear once: first, or in the left table's place."""
    if len(scope.sources) > 2 or any(source.is_unchecked or not source.exact for source in scope.sources):
        raise GuardRefusal("name_the_columns", "Name the columns instead of * when joining with USING.")
    shared: list[exp.Expr] = [exp.Column(this=identifier.copy()) for identifier in scope.merged.values()]
    is_first = names.view.policy.shares_first
    rest: list[exp.Expr] = []
    for place, source in enumerate(scope.sources):
        for name, identifier in zip(source.names, _spelled(names.view, source), strict=True):
            if name not in scope.merged:
                rest.append(_column(names, source, identifier, scope))
            elif not is_first and place == 0:
                rest.append(exp.Column(this=identifier.copy()))
    return shared + rest if is_first else rest


def _spelled(view: View, source: Source) -> tuple[exp.Identifier, ...]:
    return source.spelled or tuple(exp.to_identifier(name, quoted=True) for name in source.names)


def _column(names: "NameResolver", source: Source, identifier: exp.Identifier, scope: Scope) -> exp.Expr:
    if len(scope.sources) == 1:
        return exp.Column(this=identifier.copy())
    return exp.Column(this=identifier.copy(), table=names.columns.qualifier(source))
