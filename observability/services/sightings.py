"""What Langfuse shows of what we sent: asked before sending again what may have arrived, and once after delivery.

Langfuse answers 200 when a batch lies in its queue, so a batch may be lost behind the answer. Ten minutes after
delivery each row is asked for. One that is missing is lost when something delivered after it is shown, or after an
hour (until then Langfuse's queue may be slow, and sending again would double it): it becomes pending again, three
times at most. A row that was seen is never asked for again.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db.models import F, Min, QuerySet
from django.utils import timezone

from observability.langfuse.client import LangfuseUnavailable, langfuse_configured
from observability.langfuse.scores import scores_stored
from observability.langfuse.sdk import sdk_load
from observability.langfuse.traces import IDS_PER_QUESTION, observations_stored
from observability.models import Channel, LangfuseDelivery, Score, Trace
from observability.services.channels import channel_succeeded, channel_take, channel_troubled
from observability.services.deliveries import SENDING, connection_release

logger = logging.getLogger(__name__)

LOOK_AFTER = timedelta(minutes=10)
LOST_AFTER = timedelta(hours=1)
LOOK_UNTIL = timedelta(days=1)  # what could not be asked for by then is taken as it is
LOSSES = 3
# Of Cloud's small allowance the questions of one run take only this much: scores share it.
QUESTIONS = 5
LOST = "Langfuse took it and does not show it"

Row = TypeVar("Row", bound=LangfuseDelivery)


@dataclass(slots=True)
class Sighting:
    """The rows of one run: asked = seen + lost + given_up + those that are waited for."""

    asked: int = 0
    seen: int = 0
    lost: int = 0
    given_up: int = 0
    error: str = ""


def spans_seen(traces: Sequence[Trace]) -> set[tuple[str, str]] | None:
    """The (trace id, span id) pairs that Langfuse shows of these traces; None: not to be asked now.

    Raises LangfuseUnavailable. What was sent within the last half minute may not be shown yet.
    """
    seen: set[tuple[str, str]] = set()
    for first in range(0, len(traces), IDS_PER_QUESTION):
        part = traces[first : first + IDS_PER_QUESTION]
        starts = [one["started_ms"] for trace in part for one in trace.payload["observations"]]
        shown = _asked(
            lambda part=part, starts=starts: observations_stored(  # type: ignore[misc]  # bound now
                sorted({trace.trace_id for trace in part}),
                starts_at=datetime.fromtimestamp(min(starts) // 1000, UTC),
                ends_at=datetime.fromtimestamp(max(starts) // 1000 + 1, UTC),
            )
        )
        if shown is None:
            return None
        seen |= shown
    return seen


def traces_reconcile() -> Sighting:
    """Look for delivered traces; what Langfuse lost is pending again. Holds no connection while Langfuse thinks."""

    def ask(traces: list[Trace]) -> set[Any] | None:
        seen = spans_seen(traces)
        return seen if seen is None else {trace.pk for trace in traces if _spans_of(trace) <= seen}

    return _reconcile(Trace.objects.all(), ask)


def scores_reconcile() -> Sighting:
    """Look for delivered scores, as traces_reconcile does; a score that shows an older value is lost as well."""

    def ask(scores: list[Score]) -> set[Any] | None:
        shown = _asked(lambda: scores_stored(sorted({score.trace_id for score in scores})))
        if shown is None:
            return None
        return {score.pk for score in scores if score.pk in shown and _is_value(shown[score.pk], score.value)}

    return _reconcile(Score.objects.all(), ask)


def traces_look_again(*, user_id: str, starts_at: datetime, ends_at: datetime) -> int:
    """Have a user's traces that began in this span looked for once more, though Langfuse was seen to show them.

    Only those of the last day: what is older is not sent again. Returns how many.
    """
    return Trace.objects.filter(
        user_id=user_id,
        started_at__gte=starts_at,
        started_at__lt=ends_at,
        state=LangfuseDelivery.State.DELIVERED,
        delivered_at__gt=timezone.now() - LOOK_UNTIL,
        confirmed_at__isnull=False,
    ).update(confirmed_at=None)


def traces_since() -> datetime | None:
    """When the oldest trace began that is remembered: what was spent before, Langfuse need not know."""
    oldest: datetime | None = Trace.objects.aggregate(oldest=Min("started_at"))["oldest"]
    return oldest


def _spans_of(trace: Trace) -> set[tuple[str, str]]:
    return {(trace.trace_id, one["id"]) for one in trace.payload["observations"]}


def _is_value(shown: float | str | bool, given: Any) -> bool:
    if isinstance(shown, str) or isinstance(given, str):
        return bool(shown == given)
    return math.isclose(shown, given, rel_tol=1e-9, abs_tol=1e-12)


Answer = TypeVar("Answer")


def _asked(question: Callable[[], Answer]) -> Answer | None:
    """One question through the shared channel; None when it is closed."""
    taken_at = channel_take(Channel.Name.API)
    if taken_at is None:
        return None
    connection_release()
    try:
        answer = question()
    except LangfuseUnavailable as trouble:
        channel_troubled(Channel.Name.API, str(trouble), retry_after=trouble.retry_after)
        raise
    channel_succeeded(Channel.Name.API, taken_at)
    return answer


def _reconcile(rows: QuerySet[Row], ask: Callable[[list[Row]], set[Any] | None]) -> Sighting:
    sighting, now = Sighting(), timezone.now()
    if not langfuse_configured():
        return sighting
    sdk_load()
    ends = time.monotonic() + SENDING
    unseen = rows.filter(
        state=LangfuseDelivery.State.DELIVERED,
        confirmed_at=None,
        delivered_at__range=(now - LOOK_UNTIL, now - LOOK_AFTER),
    ).order_by("-delivered_at", "-pk")  # the newest first: they tell whether the older ones are lost
    keys = list(unseen.values_list("pk", flat=True)[: QUESTIONS * IDS_PER_QUESTION])
    missing: list[Row] = []
    shown_until: datetime | None = None
    for first in range(0, len(keys), IDS_PER_QUESTION):
        part = list(rows.filter(pk__in=keys[first : first + IDS_PER_QUESTION]))
        try:
            seen = ask(part) if time.monotonic() < ends else None
        except LangfuseUnavailable as trouble:
            sighting.error = str(trouble)
            logger.warning("Langfuse does not say what it has: %s", trouble)
            break
        if seen is None:
            break
        sighting.asked += len(part)
        sighting.seen += _delivered(rows, seen).update(confirmed_at=now)
        missing += [row for row in part if row.pk not in seen]
        times = [row.delivered_at for row in part if row.pk in seen and row.delivered_at]
        shown_until = max([*times, *([shown_until] if shown_until else [])], default=None)
    _note_lost(rows, [row.pk for row in missing if _is_lost(row, now, shown_until)], sighting)
    return sighting


def _is_lost(row: LangfuseDelivery, now: datetime, shown_until: datetime | None) -> bool:
    delivered_at = row.delivered_at or now
    return delivered_at < now - LOST_AFTER or (shown_until is not None and delivered_at < shown_until)


def _note_lost(rows: QuerySet[Row], keys: list[Any], sighting: Sighting) -> None:
    if not keys:
        return
    gone = _delivered(rows, keys)
    sighting.given_up = gone.filter(losses__gte=LOSSES).update(
        state=LangfuseDelivery.State.FAILED, last_error=f"{LOST}, {LOSSES + 1} times"
    )
    sighting.lost = gone.update(
        state=LangfuseDelivery.State.PENDING,
        maybe_sent=True,  # it may be shown by now
        losses=F("losses") + 1,
        tries=0,
        next_try_at=timezone.now(),
        delivered_at=None,
        last_error=LOST,
    )
    logger.warning("%s: %d rows again, %d given up", LOST, sighting.lost, sighting.given_up)


def _delivered(rows: QuerySet[Row], keys: Any) -> QuerySet[Row]:
    """Those that are still delivered: a score may have been given anew while Langfuse was asked."""
    return rows.filter(pk__in=keys, state=LangfuseDelivery.State.DELIVERED)
