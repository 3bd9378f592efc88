"""Answers that were given before: looked up, and remembered for the next one who asks."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from text2sql.cache.answers import CachedAnswer, CacheHit, answer_cache
from text2sql.cache.keys import cache_key
from text2sql.models import Generation
from text2sql.pipeline.prompt import Turn
from text2sql.services.clients import claude_name
from text2sql.services.connections import connection_release
from text2sql.services.rules import Rules
from text2sql.services.steps import step_taken
from text2sql.services.targets import Target

logger = logging.getLogger(__name__)


def answer_key(*, question: str, turns: Sequence[Turn], target: Target, rules: Rules, model: str) -> str:
    """What has to be the same for an answer to be the same: 64 hexadecimal characters."""
    return cache_key(
        question=question,
        database_id=str(target.database_id),
        schema_version=target.schema_version,
        view_version=target.view_version,
        dialect=target.dialect,
        prompt_version=rules.cache_version,
        model=f"{claude_name()}:{model}",
        conversation=[part for turn in turns for part in (turn.question, turn.sql or turn.said)],
        glossary=target.glossary(),
    )


def answer_find(generation: Generation) -> CacheHit | None:
    if settings.CACHE_TABLE_NAME:
        connection_release()  # DynamoDB may take its time
    with step_taken(generation, "look_up_cache"):
        return answer_cache().get(generation.cache_key)


def answer_remember(generation: Generation) -> None:
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
