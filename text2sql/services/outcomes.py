"""How a generation ends, whoever ends it: its times, its row, its trace."""

from decimal import Decimal

from django.utils import timezone

from observability.services.prices import TokenUsage
from observability.services.traces import ObservationRecord, TraceRecord, trace_record, usage_details
from teams.models import Charge
from text2sql.models import Attempt, Database, Generation

_WRITTEN = [
    "status", "sql", "explanation", "tables", "problem", "problem_detail", "finished_at", "latency_ms", "model",
]  # fmt: skip
_SUMS = [
    "attempt_count", "cost_usd", "input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "cache_read_tokens", "output_tokens",
]  # fmt: skip


def generation_stamp(generation: Generation) -> None:
    generation.finished_at = timezone.now()
    generation.latency_ms = round((generation.finished_at - generation.created_at).total_seconds() * 1000)


def generation_write(generation: Generation) -> bool:
    """Write the outcome of a running generation, in the caller's transaction; False where it has ended already."""
    outcome = {name: getattr(generation, name) for name in _WRITTEN}
    running = Generation.objects.filter(pk=generation.pk, status=Generation.Status.RUNNING)
    if not running.update(**outcome):
        return False
    generation.refresh_from_db(fields=_SUMS)
    return True


def generation_trace(generation: Generation) -> None:
    """Record the trace in the caller's transaction: a root and one generation for each attempt."""
    database = Database.objects.values_list("name", flat=True).get(pk=generation.database_id)
    attempts = list(generation.attempts.order_by("number"))
    charges = {charge.attempt_id: charge for charge in Charge.objects.filter(generation_id=generation.pk)}
    steps = [_attempt_observation(generation, attempt, charges.get(attempt.pk)) for attempt in attempts]
    tags = ["text2sql", generation.team_id, f"db:{database}", *(["cached"] if generation.cached else [])]
    trace_record(
        TraceRecord(
            seed=f"generation:{generation.pk}",
            name="text2sql_generation",
            user_id=generation.team_id,
            session_id=generation.session_id,
            tags=tags,
            metadata=_metadata(generation, database),
            observations=[_root_observation(generation), *steps],
        )
    )


def _metadata(generation: Generation, database: str) -> dict[str, object]:
    return {
        "team": generation.team_id,
        "database": database,
        "cached": generation.cached,
        "status": generation.status,
        "answered_by": generation.answered_by,
        "table_count": len(generation.tables),
        "query_length": len(generation.question),
        "sql_length": len(generation.sql),
        "attempts": generation.attempt_count,
        "end_user": generation.end_user,
        "schema_version": generation.schema_version,
        "prompt_version": generation.prompt_version,
        "generation_id": str(generation.pk),
    }


def _root_observation(generation: Generation) -> ObservationRecord:
    failed = generation.status == Generation.Status.FAILED
    return ObservationRecord(
        key="root",
        name="text2sql_generation",
        started_at=generation.created_at,
        ended_at=generation.finished_at or timezone.now(),
        level="ERROR" if failed else "DEFAULT",
        status_message=f"{generation.problem}: {generation.problem_detail}" if failed else "",
        input=generation.question,
        output=generation.sql or generation.explanation or generation.problem_detail,
    )


def _attempt_observation(generation: Generation, attempt: Attempt, charge: Charge | None) -> ObservationRecord:
    usage = TokenUsage()
    if charge is not None:
        usage = TokenUsage(
            input=charge.input_tokens,
            cache_write_5m=charge.cache_write_5m_tokens,
            cache_write_1h=charge.cache_write_1h_tokens,
            cache_read=charge.cache_read_tokens,
            output=charge.output_tokens,
        )
    failed = attempt.status == Attempt.Status.FAILED
    return ObservationRecord(
        key=f"attempt:{attempt.number}",
        parent="root",
        type="generation",
        name="generate_sql",
        started_at=attempt.started_at,
        ended_at=attempt.finished_at or timezone.now(),
        completion_started_at=attempt.first_token_at,
        level="ERROR" if failed else "DEFAULT",
        status_message=f"{attempt.problem}: {attempt.problem_detail}" if failed else "",
        input={"question": generation.question, "prompt_version": generation.prompt_version},
        output=attempt.output,
        model=attempt.model,
        model_parameters={"max_tokens": attempt.max_tokens},
        usage=usage_details(usage),
        cost={"total": charge.cost_usd if charge else Decimal(0)},
        metadata={"request_id": attempt.request_id, "stop_reason": attempt.stop_reason}
        | ({"estimated": True} if charge and charge.estimated else {}),
    )
