"""The guard: is this one read-only statement inside the team's view? What runs is printed from the checked tree."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from text2sql.pipeline.guard.dialects import POLICIES
from text2sql.pipeline.guard.filters import apply_filters, read_filters
from text2sql.pipeline.guard.limits import limit_rows
from text2sql.pipeline.guard.policy import Policy
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.syntax import forget_positions, not_parseable, parse_statement, too_complex
from text2sql.pipeline.guard.tree import check_tree, print_tree
from text2sql.pipeline.guard.view import View
from text2sql.pipeline.schema import Schema, Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuardedStatement:
    sql: str
    """Printed from the checked tree, without comments."""
    tables: tuple[str, ...]
    """Qualified names of the tables it reads, sorted."""
    tree: exp.Expr = field(compare=False)
    """The statement as it was parsed, before anything was resolved or rewritten."""
    resolved: tuple[Table, ...] = field(compare=False, default=())
    """The tables it reads, as the view has them, in the order of `tables`."""


def guard_statement(
    sql: str,
    *,
    schema: Schema | None = None,
    dialect: str | None = None,
    allowed_functions: frozenset[str] = frozenset(),
    row_filters: Mapping[str, str] | None = None,
    whole_schema: Schema | None = None,
    row_limit: int | None = None,
) -> GuardedStatement:
    """Lets one query over `schema` through, which holds what the team may see (`Schema.restricted`).

    A table without columns in `schema` is one whose columns are not checked. Without a schema, `dialect` is needed:
    then every table passes that is no catalog table and no path, and columns are not looked up.
    `allowed_functions` are lower-case names allowed besides the harmless ones, with their schema if they are called
    with it. `row_filters` maps qualified names of tables to SQL conditions, which may use columns that only
    `whole_schema` has. `row_limit` bounds the rows of the result. Raises GuardRefusal.
    """
    policy = find_policy(schema.dialect if schema is not None else dialect or "")
    parsed = None
    try:
        tree = parse_statement(sql, policy)
        if policy.dialect != "sqlite":  # where quotes may mean a string or a name, the position tells which
            forget_positions(tree)
        parsed = tree.copy()
        view = View(policy, schema)
        names = check_tree(sql, tree, view, allowed_functions)
        predicates = {name: row_filters[name] for name in names.tables if name in row_filters} if row_filters else {}
        if predicates:
            apply_filters(tree, read_filters(predicates, view, whole_schema, allowed_functions), view)
        if row_limit is not None:
            limit_rows(tree, row_limit, policy.dialect)
        tables = tuple(sorted(names.tables))
        resolved = tuple(names.tables[name] for name in tables)
        return GuardedStatement(print_tree(tree, view, allowed_functions), tables, parsed, resolved)
    except GuardRefusal as refusal:
        refusal.tree = parsed
        raise
    except RecursionError:
        raise too_complex() from None
    except Exception as error:  # noqa: BLE001  # whatever the parser makes of nonsense, the answer is no
        logger.warning("guard stumbled over a statement: %s", type(error).__name__)
        raise not_parseable(policy.dialect) from None


def supported_dialects() -> tuple[str, ...]:
    return tuple(sorted(POLICIES))


def find_policy(dialect: str) -> Policy:
    """Raises GuardRefusal for a dialect that the guard does not know."""
    if dialect not in POLICIES:
        supported = ", ".join(supported_dialects())
        raise GuardRefusal("dialect_unsupported", f"The guard knows only these databases: {supported}.")
    return POLICIES[dialect]
