"""What waits for Langfuse, and for how long it may."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, F, Min, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from observability.models import Channel, Delivery, Score, Trace

KEEP_ROWS = timedelta(days=90)
SHORTEST_KEEP = timedelta(days=2)  # until then a lost trace may have to be sent again
CHUNK = 5_000

WAITING = Q(state__in=[Delivery.State.PENDING, Delivery.State.CLAIMED])


@dataclass(frozen=True, slots=True)
class Backlog:
    """What has not reached Langfuse. Ages and pauses in seconds; `last_error` is what holds up what waits."""

    pending_traces: int
    pending_scores: int
    failed_traces: int
    failed_scores: int
    oldest_age_seconds: float
    paused_seconds: float
    last_error: str
    last_error_at: datetime | None
    last_success_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were given up, lost their payload, were deleted."""

    given_up: int
    emptied: int
    deleted: int


def backlog() -> Backlog:
    """Read from three small indexes and two rows, for metrics, health and admin."""
    now = timezone.now()
    traces, traces_since = _waiting(Trace)
    scores, scores_since = _waiting(Score)
    since = [moment for moment in (traces_since, scores_since) if moment]
    channels = list(Channel.objects.all())
    troubled = max(
        (channel for channel in channels if since and channel.strikes and channel.last_error_at),
        key=lambda channel: channel.last_error_at or now,
        default=None,
    )
    closed = [channel.closed_until for channel in channels if channel.closed_until]
    successes = [channel.last_success_at for channel in channels if channel.last_success_at]
    return Backlog(
        pending_traces=traces,
        pending_scores=scores,
        failed_traces=Trace.objects.filter(state=Delivery.State.FAILED).count(),
        failed_scores=Score.objects.filter(state=Delivery.State.FAILED).count(),
        oldest_age_seconds=max(0.0, (now - min(since)).total_seconds()) if since else 0.0,
        paused_seconds=max([0.0, *((moment - now).total_seconds() for moment in closed)]),
        last_error=troubled.last_error if troubled else "",
        last_error_at=troubled.last_error_at if troubled else None,
        last_success_at=max(successes, default=None),
    )


def _waiting(model: type[Trace] | type[Score]) -> tuple[int, datetime | None]:
    found: dict[str, Any] = model.objects.filter(WAITING).aggregate(count=Count("pk"), since=Min("created_at"))
    return found["count"], found["since"]


def backlog_prune() -> Pruned:
    """Give up what waits for too long, empty what was delivered long ago, delete what is old.

    Days: TRACE_MAX_AGE_DAYS (30) for waiting rows, TRACE_KEEP_DAYS (7, at least 2) for delivered payloads.
    """
    now = timezone.now()
    max_age_days: int = settings.TRACE_MAX_AGE_DAYS
    keep = max(timedelta(days=settings.TRACE_KEEP_DAYS), SHORTEST_KEEP)
    given_up = deleted = 0
    for model in (Trace, Score):
        given_up += model.objects.filter(
            state=Delivery.State.PENDING, created_at__lt=now - timedelta(days=max_age_days)
        ).update(
            state=Delivery.State.FAILED,
            last_error=Concat(Value(f"given up after {max_age_days} days: "), F("last_error")),
        )
        deleted += _delete(model, ~WAITING & Q(created_at__lt=now - KEEP_ROWS))
    emptied = (
        Trace.objects.filter(state=Delivery.State.DELIVERED, delivered_at__lt=now - keep)
        .exclude(payload={})
        .update(payload={})
    )
    return Pruned(given_up, emptied, deleted)


def deliveries_held(trace_id: Any, now: datetime) -> Q:
    """Whether something of a trace, given as an expression, is still to be sent, or may have to be sent again."""
    maybe_lost = Q(state=Delivery.State.DELIVERED, confirmed_at=None, delivered_at__gt=now - SHORTEST_KEEP)
    traces = Trace.objects.filter(WAITING | maybe_lost, trace_id=trace_id)
    scores = Score.objects.filter(WAITING | maybe_lost, trace_id=trace_id)
    return Q(Exists(traces)) | Q(Exists(scores))


def deliveries_delete(trace_ids: Collection[str]) -> int:
    """Delete our rows of these traces and their scores, in the caller's transaction; what Langfuse has, it keeps."""
    traces, _ = Trace.objects.filter(trace_id__in=trace_ids).delete()
    scores, _ = Score.objects.filter(trace_id__in=trace_ids).delete()
    return traces + scores


def _delete(model: type[Trace] | type[Score], which: Q) -> int:
    """In small transactions, so that nobody waits for a long one."""
    deleted = 0
    while keys := list(model.objects.filter(which).values_list("pk", flat=True)[:CHUNK]):
        deleted += model.objects.filter(which, pk__in=keys).delete()[0]
    return deleted
