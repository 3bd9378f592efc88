"""A question's way through the house: cache, gate, Claude, guard, settle. Read `generation_create` top to bottom."""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from observability.services.prices import PriceUnknown
from observability.services.traces import trace_id_for
from teams.access import Principal
from teams.models import Team
from teams.services.budgets import BudgetExceeded
from text2sql.cache.answers import CachedAnswer, answer_cache
from text2sql.cache.keys import cache_key
from text2sql.models import Generation
from text2sql.pipeline.claude import ClaudeFailure, Reply
from text2sql.pipeline.context import schema_text
from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.prompt import Prompt, prompt_build
from text2sql.problems import Problem
from text2sql.question_log import generation_log
from text2sql.services.attempts import (
    Call,
    attempt_call,
    attempt_close,
    attempt_open,
    attempt_retry_pause,
    claude_client,
    claude_name,
)
from text2sql.services.connections import connection_release
from text2sql.services.outcomes import generation_score, generation_stamp, generation_trace, generation_write
from text2sql.services.rules import Rules, rules_current
from text2sql.services.steps import step_taken
from text2sql.services.targets import Target, target_find
from text2sql.services.usage import money_text

logger = logging.getLogger(__name__)

LOST_AFTER = timedelta(seconds=15)
"""How long after its deadline a running question is called lost: time to settle what arrived at the last moment."""


@dataclass(frozen=True)
class Question:
    team_id: str
    database: str
    text: str
    session_id: str = ""
    end_user: str = ""


def generation_create(*, principal: Principal, question: Question) -> Generation:
    """Answer one question.

    Raises:
        Problem: What kept it from being answered, with the `generation_id` in its extras where one was recorded.
    """
    deadline = time.monotonic() + settings.QUESTION_DEADLINE_SECONDS
    target = target_find(principal=principal, team_id=question.team_id, name=question.database)
    rules = rules_current()
    generation = _generation(principal, question, target, rules)
    if answer := _cached(generation):
        return _finish_cached(generation, answer, target)
    with step_taken(generation, "build_context"):
        prompt = _prompt(target, question, rules)
    call = _ask(generation, prompt, target, deadline)
    return _finish(generation, call, target)


def warm_up() -> None:
    """Build what the first question would otherwise wait for. Called when a web worker starts."""
    answer_cache()
    if settings.ANTHROPIC_API_KEY or settings.CLAUDE_STAND_IN_URL:
        claude_client()


def _generation(principal: Principal, question: Question, target: Target, rules: Rules) -> Generation:
    now, generation_id = timezone.now(), uuid4()
    key = cache_key(
        question=question.text,
        database_id=str(target.database_id),
        schema_version=target.schema_version,
        view_version=target.view_version,
        dialect=target.dialect,
        prompt_version=rules.cache_version,
        model=f"{claude_name()}:{target.model}",
    )
    return Generation(
        id=generation_id,
        team_id=target.team_id,
        database=target.database(),
        api_key_id=principal.api_key_id,
        user_id=principal.user_id,
        question=question.text,
        session_id=question.session_id,
        end_user=question.end_user,
        dialect=target.dialect,
        schema_version=target.schema_version,
        prompt_version=rules.version,
        model=target.model,
        answered_by=claude_name(),
        cache_key=key,
        trace_id=trace_id_for(f"generation:{generation_id}"),
        created_at=now,
        lost_at=now + timedelta(seconds=settings.QUESTION_DEADLINE_SECONDS) + LOST_AFTER,
    )


def _cached(generation: Generation) -> CachedAnswer | None:
    if settings.CACHE_TABLE_NAME:
        connection_release()  # DynamoDB may take its time
    with step_taken(generation, "look_up_cache"):
        return answer_cache().get(generation.cache_key)


def _finish_cached(generation: Generation, answer: CachedAnswer, target: Target) -> Generation:
    generation.cached = True
    generation.sql, generation.explanation, generation.tables = answer.sql, answer.explanation, list(answer.tables)
    generation.status = Generation.Status.SUCCEEDED
    generation.model = answer.model
    generation_stamp(generation)
    with transaction.atomic(durable=True):
        generation.save(force_insert=True)
        generation_trace(generation)
    generation_log(generation, database=target.name)
    return generation


def _prompt(target: Target, question: Question, rules: Rules) -> Prompt:
    return prompt_build(
        schema_text=schema_text(target.view(), name=target.name, description=target.description),
        dialect=target.dialect,
        question=question.text,
        # The databases' sessions run in UTC, so this is the day that CURRENT_DATE will mean.
        today=timezone.now().date(),
        time_zone="UTC",
        rules=rules.text,
    )


def _ask(generation: Generation, prompt: Prompt, target: Target, deadline: float) -> Call:
    """Calls until one answers or none can help any more; the last one is settled by `_finish`, with the generation."""
    generation.save(force_insert=True)
    team = Team.objects.get(pk=target.team_id)
    for number in count(1):
        try:
            with transaction.atomic(durable=True):
                attempt = attempt_open(generation=generation, team=team, number=number, prompt=prompt)
        except (BudgetExceeded, PriceUnknown) as refusal:
            problem = _refusal(refusal)
            _close(generation, None, target, problem)
            raise problem from refusal
        call = attempt_call(attempt, prompt=prompt, team_id=team.pk, deadline=deadline)
        pause = attempt_retry_pause(call.outcome, number=number, deadline=deadline)
        if pause is None:
            return call
        with transaction.atomic(durable=True):
            attempt_close(call, generation=generation, database=target.name)
        connection_release()
        time.sleep(pause)
    raise AssertionError("unreachable")


def _finish(generation: Generation, call: Call, target: Target) -> Generation:
    outcome = call.outcome
    if isinstance(outcome, ClaudeFailure):
        problem: Problem | None = Problem(outcome.problem, outcome.detail, retry_after=outcome.retry_after)
    else:
        problem = _take(generation, outcome, target)
    _close(generation, call, target, problem)
    if problem:
        raise problem
    if generation.status == Generation.Status.SUCCEEDED:
        _remember(generation)
    return generation


def _take(generation: Generation, reply: Reply, target: Target) -> Problem | None:
    """Put Claude's answer into the generation; the problem, if its SQL is not allowed."""
    generation.explanation = reply.explanation
    if reply.status == "cannot_answer":
        generation.status = Generation.Status.CANNOT_ANSWER
        return None
    try:
        with step_taken(generation, "guard"):
            guarded = guard_statement(reply.sql, schema=target.view())
    except GuardRefusal as refusal:
        return Problem("sql-refused", refusal.message, {"code": refusal.code})
    except Exception:
        # The answer is paid for: whatever went wrong with it, its bill is settled and the question ends.
        logger.exception("The answer to %s could not be checked", generation.pk)
        return Problem("internal-error", "Claude's answer could not be checked; the error has been logged.")
    generation.sql, generation.tables = guarded.sql, list(guarded.tables)
    generation.status = Generation.Status.SUCCEEDED
    return None


def _close(generation: Generation, call: Call | None, target: Target, problem: Problem | None) -> None:
    """What happened, its cost and its trace, in one transaction."""
    if problem:
        generation.status = Generation.Status.FAILED
        generation.problem, generation.problem_detail = problem.kind, problem.detail
        problem.extras["generation_id"] = str(generation.id)
    generation_stamp(generation)
    with transaction.atomic(durable=True):
        if call is not None:
            attempt_close(call, generation=generation, database=target.name)
        if not generation_write(generation):
            lost = "The answer came after the question had been given up."
            raise Problem("question-lost", lost, {"generation_id": str(generation.pk)})
        generation_trace(generation, call)
        if call is not None and isinstance(call.outcome, Reply) and call.outcome.sql:
            generation_score(generation, "sql_valid", passed=problem is None, comment=str(problem or ""))
    generation_log(generation, database=target.name)


def _remember(generation: Generation) -> None:
    answer = CachedAnswer(
        sql=generation.sql,
        explanation=generation.explanation,
        tables=tuple(generation.tables),
        model=generation.model,
        cost_usd=generation.cost_usd,
        generation_id=str(generation.id),
        created_at=generation.created_at,
    )
    if settings.CACHE_TABLE_NAME:
        connection_release()
    expires_at = timezone.now() + timedelta(days=settings.CACHE_TTL_DAYS)
    try:
        answer_cache().put(generation.cache_key, answer, database_id=str(generation.database_id), expires_at=expires_at)
    except DatabaseError:
        # The answer is given and paid for; only the next one will cost again.
        logger.exception("The answer to %s could not be cached", generation.pk)


def _refusal(refusal: BudgetExceeded | PriceUnknown) -> Problem:
    if isinstance(refusal, PriceUnknown):
        return Problem("model-unpriced", f"{refusal} An admin can add one under Prices.")
    kind = "budget-in-flight" if refusal.reason == "in_flight" else refusal.reason.replace("_", "-")
    extras = {
        "period": refusal.period,
        "limit_usd": money_text(refusal.limit_usd),
        "spent_usd": money_text(refusal.spent_usd),
        "reserved_usd": money_text(refusal.reserved_usd),
        "needed_usd": money_text(refusal.needed_usd),
        "resets_at": refusal.resets_at.isoformat(),
    }
    return Problem(kind, str(refusal), extras, retry_after=5 if kind == "budget-in-flight" else None)
