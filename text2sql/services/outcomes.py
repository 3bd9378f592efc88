"""How a generation ends, whoever ends it: its times, its row, its trace."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from observability.langfuse.client import langfuse_configured
from observability.services.prices import TokenUsage
from observability.services.scores import score_record
from observability.services.traces import ObservationRecord, TraceRecord, trace_record, usage_details
from teams.models import Charge
from text2sql.models import Attempt, Execution, Generation
from text2sql.services.attempts import Call
from text2sql.services.rules import rules_link
from text2sql.services.steps import Step, step_bounds, step_milliseconds
from text2sql.services.usage import money_text

_WRITTEN = [
    "status", "sql", "explanation", "tables", "problem", "problem_detail", "finished_at", "latency_ms", "model",
    "rung", "cache_key", "choices", "strategy", "strategy_reason", "steps",
    "cached", "origin_id", "saved_usd",
]  # fmt: skip
_SUMS = [
    "attempt_count", "cost_usd", "input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "cache_read_tokens", "output_tokens",
]  # fmt: skip


def generation_stamp(generation: Generation) -> None:
    generation.finished_at = timezone.now()
    generation.latency_ms = round((generation.finished_at - generation.created_at).total_seconds() * 1000)


def generation_write(generation: Generation) -> bool:
    """Write the outcome of a running generation, in the caller's transaction.

    False where it has ended already, or where another worker has taken it up since (then it may run longer).
    """
    outcome = {name: getattr(generation, name) for name in _WRITTEN}
    running = Generation.objects.filter(pk=generation.pk, status=Generation.Status.RUNNING, lost_at=generation.lost_at)
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
    attempts = _billed(generation, last)
    observations = [
        _root_observation(generation, attempts),
        *(_step_observations(generation.steps) if settings.LANGFUSE_DETAIL == "full" else ()),
        *(_attempt_observation(generation, attempt) for attempt in attempts),
    ]
    _record(generation, observations)


def execution_trace(execution: Execution, *, started_at: datetime) -> None:
    """Record a run of a generation's SQL in the caller's transaction: a span of the generation's trace.

    Only with LANGFUSE_DETAIL `full`. The trace was written down before, and may have been sent, so this is a part.
    """
    if langfuse_configured() and settings.LANGFUSE_DETAIL == "full":
        key = f"execution:{execution.pk}"
        _record(execution.generation, [_execution_observation(execution, key, started_at)], part=key)


def generation_trace_add(generation: Generation, observation: ObservationRecord) -> None:
    """Record what came later, in the caller's transaction: a span of the generation's trace, below its root."""
    if langfuse_configured():
        _record(generation, [observation], part=observation.key)


def _record(generation: Generation, observations: list[ObservationRecord], *, part: str = "") -> None:
    database = generation.database
    if not database.share_text:
        observations = [_without_text(observation) for observation in observations]
    tags = ["text2sql", generation.team_id, f"db:{database.name}", *(["cached"] if generation.cached else [])]
    trace_record(
        TraceRecord(
            seed=f"generation:{generation.pk}",
            part=part,
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
    if generation.cached and generation.run_count < 2:
        return []
    if last is not None and last.attempt.number == 1:
        return [_Billed(last.attempt, TokenUsage(**asdict(last.bill.usage)), last.bill.cost, last.bill.estimated)]
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
        "rung": generation.rung,
        "strategy": generation.strategy,
        "strategy_reason": generation.strategy_reason,
        "table_count": len(generation.tables),
        "query_length": len(generation.question),
        "sql_length": len(generation.sql),
        "attempts": generation.attempt_count,
        "end_user": generation.end_user,
        "schema_version": generation.schema_version,
        "prompt_version": generation.prompt_version,
        "generation_id": str(generation.pk),
        **({"parent": str(generation.parent_id)} if generation.parent_id else {}),
        # Only told: the costs in Langfuse are compared with what Claude cost.
        **({"store_cost_usd": money_text(generation.cost_usd)} if generation.cached else {}),
        **_step_durations(generation.steps),
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


def _step_observations(steps: Sequence[Step]) -> Iterator[ObservationRecord]:
    """A step that was taken again, after a repair, is an observation of its own."""
    taken = Counter[str]()
    for step in steps:
        started_at, ended_at = step_bounds(step)
        taken[step["name"]] += 1
        key = f"step:{step['name']}" if taken[step["name"]] == 1 else f"step:{step['name']}:{taken[step['name']]}"
        yield ObservationRecord(key=key, parent="root", name=step["name"], started_at=started_at, ended_at=ended_at)


def _step_durations(steps: Sequence[Step]) -> dict[str, int]:
    """Milliseconds of each step, all its times together."""
    durations = Counter[str]()
    for step in steps:
        durations[f"{step['name']}_ms"] += step_milliseconds(step)
    return dict(durations)


def _execution_observation(execution: Execution, key: str, started_at: datetime) -> ObservationRecord:
    failed = execution.status == Execution.Status.FAILED
    counted = {"row_count": execution.row_count, "elapsed_ms": execution.elapsed_ms, "truncated": execution.truncated}
    return ObservationRecord(
        key=key,
        parent="root",
        name="execute_sql",
        started_at=started_at,
        ended_at=execution.executed_at,
        level="ERROR" if failed else "DEFAULT",
        status_message=f"{execution.problem}: {execution.problem_detail}" if failed else "",
        input=execution.sql or execution.generation.sql,
        metadata={"execution_id": str(execution.pk)} | ({} if failed else counted),
    )


def _attempt_observation(generation: Generation, billed: _Billed) -> ObservationRecord:
    attempt = billed.attempt
    failed = attempt.status == Attempt.Status.FAILED
    asked = {"question": generation.question, "prompt_version": generation.prompt_version}
    prompt_name, prompt_number = rules_link(generation.prompt_version)
    told: dict[str, object] = {
        "kind": attempt.kind,
        "request_id": attempt.request_id,
        "stop_reason": attempt.stop_reason,
    }
    if attempt.inference_geo:
        told["inference_geo"] = attempt.inference_geo
    if billed.estimated:
        told["estimated"] = True
    if attempt.finding:
        told["finding_code"] = attempt.finding["code"]
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
        model_parameters={"max_tokens": attempt.max_tokens, "effort": attempt.effort or "default"},
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
