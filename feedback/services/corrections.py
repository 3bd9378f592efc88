"""SQL that somebody says is right, looked at as an answer's would be: guard, static check, planner."""

from teams.access import Principal
from text2sql.models import Generation
from text2sql.pipeline.finding import Finding
from text2sql.problems import Problem
from text2sql.services.checking import Checked, statement_check, statement_guard
from text2sql.services.targets import target_find


def correction_check(*, principal: Principal, generation: Generation, sql: str) -> Checked:
    """What would run for the generation's team now, or what keeps it from running. Never inside a transaction."""
    try:
        target = target_find(principal=principal, team_id=generation.team_id, name=generation.database.name)
    except Problem as problem:
        return Checked(finding=Finding(problem.kind.replace("-", "_"), problem.detail), is_refused=True)
    checked = statement_guard(target, sql)
    return checked if checked.statement is None else statement_check(target, checked.statement)


def finding_text(finding: Finding) -> str:
    """For people; the names that may have been meant, unless the message tells them already."""
    return finding.message if all(name in finding.message for name in finding.closest) else str(finding)
