"""May this SQL run, and would it? Guard, static check, and the target's own planner."""

import logging
from dataclasses import dataclass

from sqlglot import exp

from observability.encryption import UnreadableSecret
from text2sql.pipeline.check import statement_findings
from text2sql.pipeline.fence import sql_unwrap
from text2sql.pipeline.finding import Finding
from text2sql.pipeline.guard import GuardedStatement, GuardRefusal
from text2sql.services.connections import connection_release
from text2sql.services.databases import url_check
from text2sql.services.targets import Target
from text2sql.targets.errors import QueryFailed, TargetError
from text2sql.targets.explain import plan_cost

logger = logging.getLogger(__name__)

EXPLAIN_SECONDS = 5.0
SQL_LENGTH = 20_000
"""Characters of a statement that a person may write at most; what Claude may write is shorter."""
MOST_ERRORS = 5
"""Errors that are told at once."""


@dataclass(frozen=True)
class Checked:
    """SQL that was looked at: what would run, or what is wrong with it."""

    statement: GuardedStatement | None = None
    finding: Finding | None = None
    """The first thing that keeps it from running."""
    is_refused: bool = False
    """The guard refused it: it may not run, whether or not it would."""


def statement_guard(target: Target, sql: str) -> Checked:
    """May it run at all?"""
    try:
        return Checked(target.guard(sql_unwrap(sql)))
    except GuardRefusal as refusal:
        # What else is wrong goes along: a repair that mends one name at a time would cost a call for each.
        more = _errors(target, refusal.tree)
        told = " ".join([refusal.message, *(str(error) for error in more if error.message != refusal.message)])
        closest = tuple(dict.fromkeys(name for error in more for name in error.closest))
        return Checked(finding=Finding(refusal.code, told, closest), is_refused=True)


def statement_check(target: Target, statement: GuardedStatement) -> Checked:
    """Would it run? First by the catalog, which costs nothing, then by the target's planner."""
    if finding := _catalog_finding(target, statement) or _plan(target, statement):
        return Checked(finding=finding)
    return Checked(statement)


def sql_check(target: Target, sql: str) -> Checked:
    """May it run, and does all that it names exist? By guard and catalog alone: the target is not asked."""
    guarded = statement_guard(target, sql)
    if guarded.statement is not None and (finding := _catalog_finding(target, guarded.statement)):
        return Checked(finding=finding)
    return guarded


def _catalog_finding(target: Target, statement: GuardedStatement) -> Finding | None:
    if not (errors := _errors(target, statement.tree)):
        return None
    told = " ".join([errors[0].message, *(str(error) for error in errors[1:])])
    return Finding(errors[0].code, told, errors[0].closest)


def _errors(target: Target, tree: exp.Expr | None) -> list[Finding]:
    if tree is None:
        return []
    # Of the tree alone: what runs is printed from it, so that another database's word for a function does no harm.
    found = statement_findings(tree, target.view(), functions=target.allowed_functions)
    return [finding for finding in found if finding.severity == "error"][:MOST_ERRORS]


def _plan(target: Target, statement: GuardedStatement) -> Finding | None:
    """What the target's planner says. A target that cannot be asked says nothing: the answer is SQL, not rows."""
    connection_release()
    try:
        url_check(target.url)
        runs = target.guard(statement.sql, filtered=True) if target.row_filters else statement
        cost = plan_cost(target.url, runs.sql, dialect=target.dialect, timeout=EXPLAIN_SECONDS, time_zone=target.clock)
    except QueryFailed as error:
        return Finding("not_plannable", str(error))
    except (TargetError, UnreadableSecret) as error:
        logger.warning("%s could not plan a query: %s", target.name, error)
        return None
    if cost is not None and target.cost_ceiling is not None and cost > target.cost_ceiling:
        return Finding("too_costly", f"The planner puts this query at {cost:.0f}, above {target.cost_ceiling} allowed.")
    return None
