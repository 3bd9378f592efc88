"""What the exporters of traces, scores and alerts have in common."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

# One run sends for at most SENDING seconds and each call ends within 25 (see langfuse.client.TIMEOUT): when a lease
# ends, what a killed worker may have sent has been visible in Langfuse for a while and can be asked for.
LEASE = timedelta(seconds=60)
SENDING = 20.0


@dataclass(slots=True)
class ExportOutcome:
    """The rows of one run: claimed = delivered + failed + postponed. `error` is the reason of the last trouble."""

    claimed: int = 0
    delivered: int = 0
    failed: int = 0
    postponed: int = 0
    error: str = ""


def connection_release() -> None:
    """Give the database connection back before a slow call, unless the caller has a transaction open."""
    if not connection.in_atomic_block:
        connection.close()


def drain(export: Callable[[], ExportOutcome], *, seconds: float = SENDING) -> ExportOutcome:
    """Export again and again until nothing is due, something is postponed or the time is over; the sum of it."""
    total, ends = ExportOutcome(), time.monotonic() + seconds
    while True:
        run = export()
        total.claimed += run.claimed
        total.delivered += run.delivered
        total.failed += run.failed
        total.postponed += run.postponed
        total.error = run.error or total.error
        if not run.claimed or run.postponed or time.monotonic() > ends:
            return total
