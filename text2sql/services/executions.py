"""Running a generation's SQL on its database, read-only, as the team sees it now."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from teams.access import Principal
from text2sql.encryption import UnreadableSecret
from text2sql.models import Execution, Generation
from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Schema
from text2sql.problems import Problem
from text2sql.services.connections import connection_release
from text2sql.services.databases import url_check
from text2sql.services.outcomes import generation_score
from text2sql.services.targets import Target, target_find
from text2sql.targets.errors import QueryFailed, TargetError, TargetTimeout
from text2sql.targets.run import QueryResult, run_query


@dataclass(frozen=True)
class ExecutionOutcome:
    execution: Execution
    result: QueryResult | None
    problem: Problem | None


def execution_run(*, principal: Principal, generation: Generation) -> ExecutionOutcome:
    """Run the SQL once and record that it was run; the rows go to the caller and are kept nowhere.

    Raises:
        Problem: There is no SQL, or the team may not use the database (any more).
    """
    if generation.status != Generation.Status.SUCCEEDED:
        raise Problem("conflict", "This generation has no SQL to run.")
    target = target_find(principal=principal, team_id=generation.team_id, name=generation.database.name)
    view = target.view()
    connection_release()
    result, problem = _run(target, view, generation.sql)
    with transaction.atomic(durable=True):
        execution = _record(principal, generation, result, problem)
    return ExecutionOutcome(execution, result, problem)


def _record(
    principal: Principal, generation: Generation, result: QueryResult | None, problem: Problem | None
) -> Execution:
    detail = problem.detail if problem else ""
    generation_score(generation, "sql_execution_success", passed=problem is None, comment=detail)
    return Execution.objects.create(
        generation=generation,
        actor=principal.actor,
        status=Execution.Status.FAILED if problem else Execution.Status.SUCCEEDED,
        row_count=len(result.rows) if result else None,
        truncated=bool(result and result.truncated),
        elapsed_ms=result.elapsed_ms if result else None,
        problem=problem.kind if problem else "",
        problem_detail=problem.detail if problem else "",
        executed_at=timezone.now(),
    )


def _run(target: Target, view: Schema, sql: str) -> tuple[QueryResult | None, Problem | None]:
    try:
        # Checked again: what the team may see can have shrunk since the SQL was written.
        guarded = guard_statement(sql, schema=view)
        url_check(target.url)  # likewise, what this installation opens
        result = run_query(
            target.url, guarded.sql, dialect=target.dialect, row_cap=target.row_cap, timeout=target.timeout_seconds
        )
    except GuardRefusal as refusal:
        return None, Problem("sql-refused", refusal.message, {"code": refusal.code})
    except TargetTimeout as error:
        return None, Problem("execution-timeout", str(error))
    except QueryFailed as error:
        return None, Problem("execution-failed", str(error))
    except (TargetError, UnreadableSecret) as error:
        return None, Problem("target-unreachable", str(error))
    return result, None
