"""The guard: is this one read-only statement inside the team's view? What runs is printed from the checked tree."""

from dataclasses import dataclass

from sqlglot import exp

from text2sql.pipeline.guard import policy
from text2sql.pipeline.guard.marks import mark_names, require_checked
from text2sql.pipeline.guard.names import NameResolver
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Scope
from text2sql.pipeline.guard.syntax import check_nodes, check_text, normalize_strings, parse_statement, too_complex
from text2sql.pipeline.guard.view import View
from text2sql.pipeline.schema import Schema


@dataclass(frozen=True)
class GuardedStatement:
    sql: str
    """Printed from the checked tree, without comments."""
    tables: tuple[str, ...]
    """Qualified names of the tables it reads, sorted."""


def guard_statement(sql: str, *, schema: Schema) -> GuardedStatement:
    """Lets one query over `schema` through, which holds what the team may see (`Schema.restricted`).

    A table without columns in `schema` is one whose columns are not checked. Raises GuardRefusal.
    """
    if schema.dialect not in policy.DIALECTS:
        supported = ", ".join(sorted(policy.DIALECTS))
        raise GuardRefusal("dialect_unsupported", f"The guard knows only these databases: {supported}.")
    view = View(schema)
    check_text(sql, schema.dialect)
    try:
        tree, tables = _check(sql, view)
        printed = tree.sql(dialect=schema.dialect, comments=False)
        # What is printed must be read back as something that passes too: no printer's slip gets to the database.
        _check(printed, view)
    except RecursionError:
        raise too_complex() from None
    return GuardedStatement(printed, tables)


def _check(sql: str, view: View) -> tuple[exp.Expr, tuple[str, ...]]:
    tree = parse_statement(sql, view.dialect)
    normalize_strings(tree)
    check_nodes(tree, view.dialect, view.column_types)
    names = NameResolver(view, sql)
    mark_names(tree)
    names.query(tree, Scope())
    require_checked(tree)
    return tree, tuple(sorted(names.tables))
