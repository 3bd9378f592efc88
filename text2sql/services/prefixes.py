"""How many tokens a prompt's prefix may cost: Claude's own count of it, asked for once per text and model.

Bytes bound tokens three to four times too high, and the prefix is nearly all of a prompt: with its count a question
holds about what it costs. The question only reads, or leaves a row that says what is wanted; the worker has it counted.
"""

import json
import logging
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db.models import Q
from django.utils import timezone

from observability.models.deliveries import Delivery
from text2sql.models import PrefixCount
from text2sql.pipeline.claude import ClaudeFailure, CountRefused, tokens_count
from text2sql.pipeline.prompt import Prompt
from text2sql.services.clients import claude_client, claude_name
from text2sql.services.connections import connection_release

logger = logging.getLogger(__name__)

MARGIN_PERCENT = 10
MARGIN_TOKENS = 256
"""Added to a count. Claude calls it an estimate that may differ "by a small amount" from the bill and names no figure;
a gateway before Claude may count by itself. Ten percent too much is held for the length of a call, a token too little
would be overspent; the fixed part is for short prefixes, whose framing weighs more than a tenth."""

REMEMBERED = 1024
"""Counts that a process keeps in memory, some 300 bytes each."""

COUNT_SECONDS = 10.0
LEASE = timedelta(seconds=60)
UNUSED_AFTER = timedelta(days=30)
REFUSED_FOR = timedelta(days=7)


class _NotCounted(Exception):
    """No count yet. Never remembered: the next question looks again."""

    def __init__(self, *, is_wanted: bool) -> None:
        self.is_wanted = is_wanted


def prefix_tokens_bound(prompt: Prompt, *, model: str) -> int:
    """The most tokens that the prompt's prefix can be billed as; its bytes as long as it is not counted.

    Claude's hidden tokens are in a count and not in the bytes, so the caller adds them. One indexed query, none where
    the process knows the count. A prefix never seen before is written down to be counted, so call this outside of a
    transaction: what rolls back is not wanted.
    """
    counted_by, today = claude_name(), timezone.now().date()
    try:
        counted = _tokens_read(prompt.prefix_digest, model, counted_by, today)
    except _NotCounted as missing:
        if not missing.is_wanted:
            _want(prompt, model, counted_by, today)
        return prompt.prefix_byte_count
    bound = counted + -(-counted * MARGIN_PERCENT // 100) + MARGIN_TOKENS
    return min(bound, prompt.prefix_byte_count)


def prefixes_count(*, limit: int = 10) -> int:
    """Have Claude count what is due, row by row; the first sign that it is not there ends the run.

    Returns how many were counted. A row that could not be waits with its `last_error`: at first a second, later five
    minutes. What Claude refuses is not asked again.
    """
    try:
        client = claude_client()
    except ClaudeFailure:
        return 0  # what /readyz and the doctor say; nothing can be asked for nor billed
    count = 0
    for _ in range(limit):
        rows = PrefixCount.objects.filter(counted_by=claude_name()).claim(limit=1, lease=LEASE)
        try:
            count += sum(_count(client, row) for row in rows)
        except ClaudeFailure:
            break
        if not rows:
            break
    return count


def prefixes_prune(now: datetime) -> int:
    """Delete what no question used for 30 days, and refusals after a week: who still asks will want them again."""
    unused = Q(used_on__lt=now.date() - UNUSED_AFTER)
    refused = Q(state=Delivery.State.FAILED, created_at__lt=now - REFUSED_FOR)
    deleted, _ = PrefixCount.objects.filter(unused | refused).delete()
    return deleted


# The day is in the key, so that each process looks once a day and the row's last use is known.
@lru_cache(maxsize=REMEMBERED)
def _tokens_read(digest: str, model: str, counted_by: str, today: date) -> int:
    row = PrefixCount.objects.filter(digest=digest, model=model, counted_by=counted_by)
    found = next(iter(row.values_list("tokens", "used_on")), None)
    if found is None:
        raise _NotCounted(is_wanted=False)
    tokens, used_on = found
    if used_on < today:
        row.filter(used_on__lt=today).update(used_on=today)
    if tokens is None:
        raise _NotCounted(is_wanted=True)
    return tokens


def _want(prompt: Prompt, model: str, counted_by: str, today: date) -> None:
    row = PrefixCount(
        digest=prompt.prefix_digest, model=model, counted_by=counted_by, content=prompt.prefix.decode(), used_on=today
    )
    # Two first questions at once: one row.
    PrefixCount.objects.bulk_create([row], ignore_conflicts=True)


def _count(client: Any, row: PrefixCount) -> bool:
    """Whether the row is counted now. Raises ClaudeFailure where others would fare no better."""
    connection_release()
    try:
        tokens = tokens_count(client, **json.loads(row.content), model=row.model, seconds=COUNT_SECONDS)
    except CountRefused as refused:
        logger.warning("Claude does not count a prefix for %s: %s", row.model, refused)
        PrefixCount.objects.note_refused(row, error=str(refused))
        return False
    except ClaudeFailure as failure:
        pause = timedelta(seconds=min(failure.retry_after or 0.0, 3600.0))
        PrefixCount.objects.note_postponed([row], error=str(failure), at_least=pause)
        raise
    PrefixCount.objects.note_counted(row, tokens=tokens)
    return True
