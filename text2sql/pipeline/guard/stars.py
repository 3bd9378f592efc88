"""Writes stars out, so that a table shows its visible columns and no others."""

from sqlglot import exp

from text2sql.pipeline.guard.columns import ColumnResolver
from text2sql.pipeline.guard.marks import mark_checked
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Scope, Source
from text2sql.pipeline.guard.view import View


def expand_stars(view: View, columns: ColumnResolver, select: exp.Select, scope: Scope) -> None:
    """Replaces `*` and `table.*` of tables; stars of derived tables stay, everything in those was checked."""
    expanded: list[exp.Expr] = []
    for item in select.expressions:
        if isinstance(item, exp.Star):
            _refuse_options(item)
            expanded += _all_columns(view, columns, scope, item)
        elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            _refuse_options(item.this)
            expanded += _columns_of(view, columns, item, scope)
        else:
            expanded.append(item)
    select.set("expressions", expanded)


def _refuse_options(star: exp.Star) -> None:
    if any(star.args.values()):
        raise GuardRefusal("not_allowed", "* cannot take EXCEPT, REPLACE or RENAME.")


def _columns_of(view: View, columns: ColumnResolver, item: exp.Column, scope: Scope) -> list[exp.Expr]:
    source = scope.source(view.fold(item.args["table"]))
    if source is None or item.args.get("db") is not None:
        raise GuardRefusal("column_not_visible", f'There is no table or alias "{item.args["table"].name}" here.')
    if not source.is_table or source.is_unchecked:
        mark_checked(item)
        return [item]
    return [_column(columns, source, identifier, scope) for identifier in source.spelled]


def _all_columns(view: View, columns: ColumnResolver, scope: Scope, star: exp.Star) -> list[exp.Expr]:
    if not scope.sources:
        raise GuardRefusal("column_not_visible", "* needs a table.")
    if all(not source.is_table or source.is_unchecked for source in scope.sources):
        return [star]
    if scope.merged:
        return _merged_columns(view, columns, scope)
    result: list[exp.Expr] = []
    for source in scope.sources:
        if source.is_table and not source.is_unchecked:
            result += [_column(columns, source, identifier, scope) for identifier in source.spelled]
        else:
            result.append(exp.Column(this=exp.Star(), table=columns.qualifier(source)))
    return result


def _merged_columns(view: View, columns: ColumnResolver, scope: Scope) -> list[exp.Expr]:
    """With USING the shared columns appear once: first in PostgreSQL, in the left table's place in SQLite."""
    if len(scope.sources) > 2 or any(source.is_unchecked or not source.exact for source in scope.sources):
        raise GuardRefusal("name_the_columns", "Name the columns instead of * when joining with USING.")
    shared: list[exp.Expr] = [exp.Column(this=identifier.copy()) for identifier in scope.merged.values()]
    rest: list[exp.Expr] = []
    result = shared if view.dialect == "postgres" else []
    for place, source in enumerate(scope.sources):
        spelled = source.spelled or tuple(exp.to_identifier(name, quoted=True) for name in source.names)
        for name, identifier in zip(source.names, spelled, strict=True):
            if name not in scope.merged:
                rest.append(_column(columns, source, identifier, scope))
            elif view.dialect == "sqlite" and place == 0:
                rest.append(exp.Column(this=identifier.copy()))
    return result + rest


def _column(columns: ColumnResolver, source: Source, identifier: exp.Identifier, scope: Scope) -> exp.Expr:
    if len(scope.sources) == 1:
        return exp.Column(this=identifier.copy())
    return exp.Column(this=identifier.copy(), table=columns.qualifier(source))
