"""Running a generation's SQL on its database, read-only, as the team sees it now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from observability.encryption import UnreadableSecret
from teams.access import Principal
from text2sql.models import Execution, Generation
from text2sql.pipeline.guard import GuardRefusal
from text2sql.problems import Problem
from text2sql.services.connections import connection_release
from text2sql.services.databases import url_check
from text2sql.services.outcomes import execution_trace, generation_score
from text2sql.services.targets import Target, target_find
from text2sql.targets.errors import QueryCancelled, QueryFailed, TargetError, TargetTimeout
from text2sql.targets.run import QueryResult, run_query


@dataclass(frozen=True)
class ExecutionOutcome:
    execution: Execution
    result: QueryResult | None
    problem: Problem | None


def execution_run(
    *, principal: Principal, generation: Generation, sql: str = "", cancelled: Callable[[], bool] | None = None
) -> ExecutionOutcome:
    """Run the SQL once and record that it was run; the rows go to the caller and are kept nowhere.

    `sql` is what a person made of the answer's SQL, if they changed it; the guard judges it like any other.

    `cancelled` is asked now and then while the statement runs; once it says so, the statement is stopped.

    Raises:
        Problem: There is no SQL, or the team may not use the database (any more).
    """
    if generation.status != Generation.Status.SUCCEEDED:
        raise Problem("conflict", "This generation has no SQL to run.")
    target = target_find(principal=principal, team_id=generation.team_id, name=generation.database.name)
    target.view()  # read now: the connection is given back before the statement runs
    connection_release()
    started_at = timezone.now()
    edited = "" if sql.strip() == generation.sql.strip() else sql.strip()
    result, problem = statement_run(target, edited or generation.sql, cancelled)
    executed_at = timezone.now()
    with transaction.atomic(durable=True):
        execution = _record(principal, generation, edited, result, problem, executed_at)
        execution_trace(execution, started_at=started_at)
    return ExecutionOutcome(execution, result, problem)


def _record(
    principal: Principal,
    generation: Generation,
    edited: str,
    result: QueryResult | None,
    problem: Problem | None,
    executed_at: datetime,
) -> Execution:
    detail = problem.detail if problem else ""
    if not edited:  # of what a person wrote, Claude is not the author
        generation_score(generation, "sql_execution_success", passed=problem is None, comment=detail)
    return Execution.objects.create(
        generation=generation,
        actor=principal.actor,
        sql=edited,
        status=Execution.Status.FAILED if problem else Execution.Status.SUCCEEDED,
        row_count=len(result.rows) if result else None,
        truncated=bool(result and result.truncated),
        elapsed_ms=result.elapsed_ms if result else None,
        problem=problem.kind if problem else "",
        problem_detail=problem.detail if problem else "",
        executed_at=executed_at,
    )


def statement_run(
    target: Target, sql: str, cancelled: Callable[[], bool] | None = None
) -> tuple[QueryResult | None, Problem | None]:
    """The rows of one statement that the guard lets through, or why there are none. Nothing of it is recorded."""
    try:
        # Checked again: what the team may see can have shrunk since the SQL was written.
        guarded = target.guard(sql, filtered=True)
        connection_release()
        url_check(target.url)  # likewise, what this installation opens
        result = run_query(
            target.url, guarded.sql, dialect=target.dialect, row_cap=target.row_cap, timeout=target.timeout_seconds,
            time_zone=target.clock, cancelled=cancelled,
        )  # fmt: skip
    except GuardRefusal as refusal:
        return None, Problem("sql-refused", refusal.message, {"code": refusal.code})
    except QueryCancelled as error:
        return None, Problem("execution-cancelled", str(error))
    except TargetTimeout as error:
        return None, Problem("execution-timeout", str(error))
    except QueryFailed as error:
        return None, Problem("execution-failed", str(error))
    except (TargetError, UnreadableSecret) as error:
        return None, Problem("target-unreachable", str(error))
    return result, None
