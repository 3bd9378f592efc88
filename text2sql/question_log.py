"""A generation as a line of the log."""

from observability.logging import question_log
from text2sql.models import Generation


def generation_log(generation: Generation, *, database: str) -> None:
    """Tell a finished question, once, after its transaction was committed. `database` is the target's name."""
    question_log(
        team=generation.team_id,
        database=database,
        generation_id=generation.pk,
        trace_id=generation.trace_id,
        status=generation.status,
        cached=generation.cached,
        cost_usd=generation.cost_usd,
        latency_ms=generation.latency_ms,
        model=generation.model,
        attempts=generation.attempt_count,
        error_type=generation.problem,
        question=generation.question,
        sql=generation.sql,
    )
