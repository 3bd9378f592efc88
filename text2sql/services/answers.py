"""Answers that were given before: looked up, and remembered for the next one who asks."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from text2sql.cache.answers import CachedAnswer, CacheHit, answer_cache
from text2sql.cache.keys import cache_key
from text2sql.models import Generation
from text2sql.pipeline.guard import GuardedStatement
from text2sql.pipeline.literals import holds_day
from text2sql.pipeline.prompt import Turn
from text2sql.services.clients import claude_name
from text2sql.services.connections import connection_release
from text2sql.services.examples import Shown
from text2sql.services.forgetting import removal_repeat
from text2sql.services.rules import Rules
from text2sql.services.steps import step_taken
from text2sql.services.targets import Rung, Target

logger = logging.getLogger(__name__)


def answer_key(
    *, question: str, turns: Sequence[Turn], examples: Sequence[Shown], target: Target, rules: Rules, rung: Rung
) -> str:
    """What has to be the same for an answer to be the same: 64 hexadecimal characters."""
    return cache_key(
        question=question,
        database_id=str(target.database_id),
        schema_version=target.schema_version,
        view_version=target.view_version,
        dialect=target.dialect,
        prompt_version=rules.cache_version,
        model=f"{claude_name()}:{rung.model}:{rung.effort}",
        conversation=[part for turn in turns for part in (turn.question, turn.sql or turn.said)],
        glossary=target.glossary(),
        examples=[(example.question, example.sql) for example in examples],
        answers_number=target.answers_number,
        clock=target.clock,
    )


def answer_find(generation: Generation) -> CacheHit | None:
    with step_taken(generation, "look_up_cache"):
        return _look_up(generation.cache_key)


def answer_find_latest(generation: Generation) -> CacheHit | None:
    """With all that was remembered up to now, which may cost more; no step of its own."""
    return _look_up(generation.cache_key, is_latest=True)


def _look_up(cache_key: str, *, is_latest: bool = False) -> CacheHit | None:
    if settings.CACHE_TABLE_NAME:
        connection_release()  # DynamoDB may take its time
    return answer_cache().get(cache_key, is_latest=is_latest)


def answer_remember(generation: Generation, statement: GuardedStatement, *, clock: ZoneInfo) -> None:
    """Keep an answer that passed, unless it holds the day on which it was given: tomorrow it would be wrong.

    `clock` is the time zone that "today" had in the question's prompt.
    """
    moments = (generation.created_at, generation.finished_at or generation.created_at)
    if any(holds_day(statement.tree, day) for day in {moment.astimezone(clock).date() for moment in moments}):
        return
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
        removal_repeat(generation)
    except DatabaseError:
        # The answer is given and paid for; only the next one will cost again.
        logger.exception("The answer to %s could not be cached", generation.pk)
