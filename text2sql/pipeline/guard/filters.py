"""Row filters: a team sees only the rows of a table for which a predicate holds.

A predicate is an administrator's text. It is parsed and checked like a statement and can hold nothing but a condition
over the columns of its table, and queries over tables that the team may see. What such a query reads is not filtered
again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from text2sql.pipeline.guard.marks import marked_table
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.sources import derive
from text2sql.pipeline.guard.syntax import parse_statement
from text2sql.pipeline.guard.tree import check_tree
from text2sql.pipeline.guard.view import View
from text2sql.pipeline.schema import Schema, Table

ONLY = frozenset({"expressions", "from_", "where"})


@dataclass(frozen=True)
class RowFilter:
    condition: exp.Expr
    columns: tuple[exp.Identifier, ...]
    """The visible columns of the table."""
    name: str
    """Folded: what the table is called inside of the condition."""
    taken: frozenset[str] | None
    """Names of the sources inside of its queries; None where it must stay beside its own table."""


def read_filters(
    row_filters: Mapping[str, str], view: View, whole: Schema | None, allowed_functions: frozenset[str]
) -> dict[str, RowFilter]:
    """The filters of tables in the view, by qualified name. Raises GuardRefusal with the code `row_filter`.

    `whole` is the schema with the columns that filters may use and the team may not see.
    """
    filters = {}
    for qualified_name, predicate in row_filters.items():
        visible = view.schema.table(qualified_name) if view.schema else None
        if visible is None:
            continue
        try:
            filters[qualified_name] = _read(visible, predicate, view, whole or view.schema, allowed_functions)
        except GuardRefusal as refusal:
            message = f'The row filter of "{qualified_name}" cannot be used: {refusal.message}'
            raise GuardRefusal("row_filter", message) from None
    return filters


def _read(
    visible: Table, predicate: str, view: View, whole: Schema | None, allowed_functions: frozenset[str]
) -> RowFilter:
    wide = View(view.policy, whole)
    place = [*(visible.schema or "").split("."), visible.name]
    table = ".".join(exp.to_identifier(part, quoted=True).sql(view.dialect) for part in place if part)
    statement = f"SELECT 1 AS one FROM {table} WHERE (\n{predicate}\n)"  # noqa: S608  # it is parsed, never run
    tree = parse_statement(statement, view.policy)
    where = tree.args.get("where")
    is_condition = isinstance(tree, exp.Select) and {key for key, value in tree.args.items() if value} <= ONLY
    if not is_condition or where is None or not isinstance(where.this, exp.Paren):
        raise GuardRefusal("row_filter", "It must be one condition.")
    names = check_tree(predicate, tree, wide, allowed_functions)
    others = set(names.tables) - {visible.qualified_name}
    if any(view.schema is None or view.schema.table(name) is None for name in others):
        raise GuardRefusal("row_filter", "It reads a table outside of the view.")
    condition = where.this
    columns = tuple(view.identifier(column.name) for column in visible.columns)
    return RowFilter(condition, columns, wide.fold_name(visible.name), _taken(condition, wide, names.tables))


def _taken(condition: exp.Expr, view: View, tables: Mapping[str, Table]) -> frozenset[str] | None:
    if view.policy.has_fields or any(not table.columns for table in tables.values()):
        return None
    aliases = [alias.this for alias in condition.find_all(exp.TableAlias)]
    named = [*aliases, *(table.this for table in condition.find_all(exp.Table))]
    if any(not isinstance(name, exp.Identifier) for name in named):
        return None
    return frozenset(view.fold(name) for name in named)


def apply_filters(tree: exp.Expr, filters: Mapping[str, RowFilter], view: View) -> exp.Expr:
    """Filters every place where a table is read. Whatever a statement does with it, it gets the allowed rows only.

    Where a condition beside the table does the same, it is used, for a query in its place would hide the primary key
    from GROUP BY; else the table becomes a query.
    """
    for table in list(tree.find_all(exp.Table)):
        row_filter = filters.get(marked_table(table) or "")
        if row_filter is not None and not _add_condition(table, row_filter, view):
            derive(table, list(row_filter.columns), row_filter.condition.copy())
    return tree


def _add_condition(table: exp.Table, row_filter: RowFilter, view: View) -> bool:
    place = table.parent
    select = place.parent if isinstance(place, exp.From | exp.Join) else None
    if not isinstance(select, exp.Select) or table.args.get("joins") or select.args.get("connect"):
        return False
    joins: list[exp.Join] = select.args.get("joins") or []
    if any(join.method and join.method.upper() != "NATURAL" for join in joins):
        return False
    condition = _qualified(table, row_filter, view)
    if condition is None:
        return False
    if isinstance(place, exp.Join) and place.args.get("on") is not None:
        if place.side.upper() in {"RIGHT", "FULL"}:
            return False
        place.set("on", exp.And(this=exp.paren(place.args["on"], copy=False), expression=condition))
        return True
    is_certain = not isinstance(place, exp.Join) or (not place.side and place.kind.upper() in {"", "INNER", "CROSS"})
    if not is_certain or any(join.side.upper() in {"RIGHT", "FULL"} for join in joins):
        return False
    where = select.args.get("where")
    if where is None:
        select.set("where", exp.Where(this=condition))
    else:
        where.set("this", exp.And(this=exp.paren(where.this, copy=False), expression=condition))
    return True


def _qualified(table: exp.Table, row_filter: RowFilter, view: View) -> exp.Expr | None:
    """The condition with its columns named by the table's alias; None where a query inside would catch the name."""
    alias = table.args.get("alias")
    name = alias.this if alias is not None and alias.this is not None else table.this
    taken = row_filter.taken
    if taken is None or row_filter.name in taken or view.fold(name) in taken:
        return None
    condition = row_filter.condition.copy()
    for column in condition.find_all(exp.Column):
        qualifier = column.args.get("table")
        if qualifier is None and column.find_ancestor(exp.Query) is not None:
            continue
        if qualifier is None or view.fold(qualifier) == row_filter.name:
            column.set("table", name.copy())
    return condition
