"""A question as it comes in by any door: told before, answered now, or queued."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from teams.access import Principal
from text2sql.models import Generation
from text2sql.problems import Problem
from text2sql.services.events import Listener, nobody
from text2sql.services.executions import ExecutionOutcome, execution_run
from text2sql.services.generation import Question, generation_create, generation_queue
from text2sql.services.idempotency import body_digest, in_flight, key_claim, key_release


@dataclass(frozen=True)
class Asked:
    principal: Principal
    question: Question
    execute: bool = False
    """Run the SQL too."""
    key: str = ""
    """The client's Idempotency-Key."""
    stored: Generation | None = None
    """What the same request has come to before."""


@dataclass(frozen=True)
class Answered:
    generation: Generation
    outcome: ExecutionOutcome | None = None
    """Of running the SQL, where that was asked for."""


def question_claim(asked: Asked, *, key: str, body: Any) -> Asked:
    """The question under an Idempotency-Key: it may have been asked before.

    Raises:
        Problem: `idempotency-mismatch`, `idempotency-in-flight`.
    """
    claim = key_claim(api_key_id=_key_id(asked), key=key, digest=body_digest(body))
    return replace(asked, key=key, stored=claim.stored, question=replace(asked.question, id=claim.generation_id))


def question_answer(
    asked: Asked, *, listener: Listener = nobody, is_left: Callable[[], bool] = lambda: False
) -> Answered:
    """Answer it, or tell what it came to before, and run the SQL where that is asked for.

    Args:
        is_left: Whether nobody waits for rows any more; the asking itself goes on, since it is paid.

    Raises:
        Problem: What kept it from being answered.
    """
    generation = asked.stored or _generate(asked, listener)
    if generation.is_unfinished:
        raise in_flight()
    if generation.status == Generation.Status.FAILED:
        told = {"generation_id": str(generation.pk)}
        raise Problem(generation.problem, generation.problem_detail, told)
    if not asked.execute or is_left() or generation.status != Generation.Status.SUCCEEDED:
        return Answered(generation)
    return Answered(generation, execution_run(principal=asked.principal, generation=generation, cancelled=is_left))


def question_queue(asked: Asked) -> Generation:
    """Write it down for the worker; what was asked before is told as it stands. Raises Problem."""
    if asked.stored is not None:
        return asked.stored
    try:
        return generation_queue(principal=asked.principal, question=asked.question)
    except BaseException:
        question_release(asked)
        raise


def _generate(asked: Asked, listener: Listener) -> Generation:
    try:
        return generation_create(principal=asked.principal, question=asked.question, listener=listener)
    except BaseException:
        question_release(asked)
        raise


def question_release(asked: Asked) -> None:
    """Give the Idempotency-Key back of a question that was not begun."""
    if asked.key and asked.stored is None:
        key_release(api_key_id=_key_id(asked), key=asked.key, generation_id=asked.question.id)


def _key_id(asked: Asked) -> UUID:
    if asked.principal.api_key_id is None:
        raise ValueError("an Idempotency-Key is an API key's")
    return asked.principal.api_key_id
