"""How many output tokens a call of a model may ask for, and the figures that this follows from."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from teams.models import ModelLimit

FLOOR_TOKENS = 1024
OBSERVED_FOR = timedelta(days=30)
OBSERVED_CALLS = 100
"""Fewer than these say nothing about the longest of a hundred answers."""
CACHE_SECONDS = 60.0


@dataclass(frozen=True)
class OutputLimits:
    """Output tokens of one call, thinking included."""

    cap: int
    floor: int


def output_limits(model: str) -> OutputLimits:
    """The cap, and the floor below which a call is not worth making: an answer cut short is paid for and worthless."""
    limit = _limits().get(model, ModelLimit(model=model))
    cap = limit.cap_tokens or settings.CLAUDE_MAX_TOKENS
    floor = limit.floor_tokens or max(limit.observed_p99 or 0, FLOOR_TOKENS)
    return OutputLimits(cap=cap, floor=min(floor, cap))


def model_limits_observe(*, now: datetime) -> int:
    """Note for each model what 99 of 100 answers of the last 30 days stayed below; returns how many models."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO teams_modellimit (model, observed_p99, observed_calls, observed_at)
            SELECT model, percentile_disc(0.99) WITHIN GROUP (ORDER BY output_tokens), count(*), %(now)s
            FROM teams_charge
            WHERE started_at > %(since)s AND NOT estimated AND NOT cached AND output_tokens > 0
            GROUP BY model HAVING count(*) >= %(enough)s
            ON CONFLICT (model) DO UPDATE SET observed_p99 = excluded.observed_p99,
                observed_calls = excluded.observed_calls, observed_at = excluded.observed_at
            """,
            {"now": now, "since": now - OBSERVED_FOR, "enough": OBSERVED_CALLS},
        )
        return int(cursor.rowcount)


# Asked for each question, changed once a day: each process keeps it for a minute.
_kept: tuple[float, dict[str, ModelLimit]] | None = None


def _limits() -> dict[str, ModelLimit]:
    global _kept  # noqa: PLW0603  # one value per process, replaced whole: threads see the old or the new one
    kept = _kept
    if kept is None or time.monotonic() - kept[0] > CACHE_SECONDS:
        kept = _kept = (time.monotonic(), ModelLimit.objects.in_bulk())
    return kept[1]


def model_limits_forget() -> None:
    global _kept  # noqa: PLW0603  # as above
    _kept = None
