"""How a generation ends, whoever ends it: its times, its row, its trace."""

from dataclasses import asdict, replace
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from observability.langfuse.client import langfuse_configured
from observability.services.prices import TokenUsage
from observability.services.scores import score_record
from observability.services.traces import ObservationRecord, TraceRecord, trace_record, usage_details
from teams.models import Charge
from text2sql.models import Attempt, Generation
from text2sql.services.attempts import Call
from text2sql.services.rules import rules_link
from text2sql.services.steps import Step, step_bounds, step_milliseconds

_WRITTEN = [
    "status", "sql", "explanation", "tables", "problem", "problem_detail", "finished_at", "latency_ms", "model",
    "steps",
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


def generation_trace(generation: Generation, last: Call | None = None) -> None:
    """Record the trace in the caller's transaction: a root and one generation for each attempt.

    With LANGFUSE_DETAIL `full` the other steps are observations too. Of a database that shares no text only numbers,
    names and ids are told. `last` is the attempt that was just settled, where the caller has it in hand.
    """
    if not langfuse_configured():
        return
    database, attempts = generation.database, _billed(generation, last)
    observations = [
        _root_observation(generation, attempts),
        *(_step_observation(step) for step in generation.steps if settings.LANGFUSE_DETAIL == "full"),
        *(_attempt_observation(generation, attempt) for attempt in attempts),
    ]
    if not database.share_text:
        observations = [_without_text(observation) for observation in observations]
    tags = ["text2sql", generation.team_id, f"db:{database.name}", *(["cached"] if generation.cached else [])]
    trace_record(
        TraceRecord(
            seed=f"generation:{generation.pk}",
            name="text2sql_generation",
            user_id=generation.team_id,
            session_id=generation.session_id,
            tags=tags,
            metadata=_metadata(generation, database.name),
            observations=observations,
        )
    )


def generation_score(generation: Generation, name: str, *, passed: bool, comment: str = "") -> None:
    """Record a yes-or-no score in the caller's transaction; the same name again replaces it."""
    score_record(
        score_id=f"{generation.pk}:{name}",
        trace_id=generation.trace_id,
        name=name,
        value=1 if passed else 0,
        data_type="BOOLEAN",
        comment=comment if generation.database.share_text else "",
        timestamp=generation.created_at,
    )


class _Billed(NamedTuple):
    """An attempt and what was charged for it."""

    attempt: Attempt
    usage: TokenUsage = TokenUsage()
    cost: Decimal = Decimal(0)
    estimated: bool = False


def _billed(generation: Generation, last: Call | None) -> list[_Billed]:
    # Someone waits for the answer: what is known is not read again.
    if generation.cached:
        return []
    if last is not None and last.attempt.number == 1:
        return [_Billed(last.attempt, TokenUsage(**asdict(last.usage)), last.cost, last.estimated)]
    charges = {charge.attempt_id: charge for charge in Charge.objects.filter(generation_id=generation.pk)}
    attempts = generation.attempts.order_by("number")
    return [
        _Billed(attempt, _usage(charge), charge.cost_usd, charge.estimated)
        if (charge := charges.get(attempt.pk))
        else _Billed(attempt)
        for attempt in attempts
    ]


def _metadata(generation: Generation, database: str) -> dict[str, object]:
    return {
        "team": generation.team_id,
        "database": database,
        "cached": generation.cached,
        "status": generation.status,
        "answered_by": generation.answered_by,
        "strategy": generation.strategy,
        "table_count": len(generation.tables),
        "query_length": len(generation.question),
        "sql_length": len(generation.sql),
        "attempts": generation.attempt_count,
        "end_user": generation.end_user,
        "schema_version": generation.schema_version,
        "prompt_version": generation.prompt_version,
        "generation_id": str(generation.pk),
        **{f"{step['name']}_ms": step_milliseconds(step) for step in generation.steps},
    }


def _root_observation(generation: Generation, attempts: list[_Billed]) -> ObservationRecord:
    # An attempt that a later one repaired leaves no mark here.
    failed = generation.status == Generation.Status.FAILED
    answer = generation.sql or generation.explanation
    stack_trace = attempts[-1].attempt.stack_trace if attempts else ""
    return ObservationRecord(
        key="root",
        name="text2sql_generation",
        started_at=generation.created_at,
        ended_at=generation.finished_at or timezone.now(),
        level="ERROR" if failed else "DEFAULT",
        status_message=f"{generation.problem}: {generation.problem_detail}" if failed else "",
        input=generation.question,
        output=_failure(generation.problem_detail, stack_trace) if failed else answer,
    )


def _step_observation(step: Step) -> ObservationRecord:
    started_at, ended_at = step_bounds(step)
    return ObservationRecord(
        key=f"step:{step['name']}", parent="root", name=step["name"], started_at=started_at, ended_at=ended_at
    )


def _attempt_observation(generation: Generation, billed: _Billed) -> ObservationRecord:
    attempt = billed.attempt
    failed = attempt.status == Attempt.Status.FAILED
    asked = {"question": generation.question, "prompt_version": generation.prompt_version}
    prompt_name, prompt_number = rules_link(generation.prompt_version)
    told: dict[str, object] = {"request_id": attempt.request_id, "stop_reason": attempt.stop_reason}
    if billed.estimated:
        told["estimated"] = True
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
        input=attempt.prompt or asked,
        output=_failure(attempt.problem_detail, attempt.stack_trace, attempt.output) if failed else attempt.output,
        model=attempt.model,
        model_parameters={"max_tokens": attempt.max_tokens},
        usage=usage_details(billed.usage),
        cost={"total": billed.cost},
        metadata=told,
        prompt_name=prompt_name,
        prompt_version=prompt_number,
    )


def _usage(charge: Charge) -> TokenUsage:
    return TokenUsage(
        input=charge.input_tokens,
        cache_write_5m=charge.cache_write_5m_tokens,
        cache_write_1h=charge.cache_write_1h_tokens,
        cache_read=charge.cache_read_tokens,
        output=charge.output_tokens,
    )


def _failure(error: str, stack_trace: str, written: str = "") -> dict[str, str]:
    # Langfuse keeps no span events, so this is where a stack trace can be read.
    told = {"error": error, "stack_trace": stack_trace, "written": written}
    return {name: text for name, text in told.items() if text}


def _without_text(observation: ObservationRecord) -> ObservationRecord:
    problem = observation.status_message.partition(":")[0]
    return replace(observation, input=None, output=None, status_message=problem)
