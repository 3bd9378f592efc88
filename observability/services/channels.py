"""Langfuse's doors: one pace and one pause for all exporting processes, so that a limit is kept and a refusal heard.

A request that finds its channel closed is not made; its rows stay pending. After trouble the channel opens for one
probe at a time: a server that is down, slow or busy is met by one of our workers, not by all of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from observability.langfuse.client import langfuse_is_cloud
from observability.models import Channel
from observability.models.deliveries import backoff

LONGEST_PAUSE = timedelta(minutes=1)
LONGEST_RETRY_AFTER = timedelta(hours=1)
PROBE = timedelta(seconds=30)  # longer than any call takes


@dataclass(frozen=True, slots=True)
class Pace:
    """In no minute more than `per_minute + burst` requests."""

    per_minute: int
    burst: int


# Langfuse Cloud's smallest plan allows 1,000 and 30 a minute; questions and scores share the 30.
CLOUD = {Channel.Name.INGESTION: Pace(600, 20), Channel.Name.API: Pace(20, 5)}


def channel_take(name: Channel.Name) -> datetime | None:
    """Book one request: the moment of it, or None when the channel is closed or our pace is used up. Never waits."""
    Channel.objects.get_or_create(name=name)
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(name=name)
        now = timezone.now()
        if channel.closed_until and now < channel.closed_until:
            return None
        if pace := _pace(name):
            one = timedelta(minutes=1) / pace.per_minute
            free_at = max(channel.free_at, now)
            if free_at + one > now + one * pace.burst:
                return None
            channel.free_at = free_at + one
        if channel.strikes:
            channel.closed_until = now + PROBE  # for everyone else
        channel.save(update_fields=["free_at", "closed_until"])
        return now


def channel_is_open(name: Channel.Name) -> bool:
    return not Channel.objects.filter(name=name, closed_until__gt=timezone.now()).exists()


def channel_succeeded(name: Channel.Name, taken_at: datetime) -> None:
    """The request that was booked at `taken_at` was answered well: open again, unless trouble came after it."""
    Channel.objects.filter(Q(last_error_at=None) | Q(last_error_at__lte=taken_at), name=name).update(
        strikes=0, closed_until=None, last_success_at=timezone.now()
    )


def channel_troubled(name: Channel.Name, error: str, *, retry_after: timedelta = timedelta(0)) -> None:
    """Close the channel: longer each time, and as long as Langfuse asked for, an hour at most."""
    strikes = Channel.objects.filter(name=name).values_list("strikes", flat=True).first() or 0
    now = timezone.now()
    pause = max(min(backoff(strikes + 1), LONGEST_PAUSE), min(retry_after, LONGEST_RETRY_AFTER))
    Channel.objects.filter(name=name).update(
        strikes=F("strikes") + 1, closed_until=now + pause, last_error=error, last_error_at=now
    )


def _pace(name: Channel.Name) -> Pace | None:
    """Langfuse Cloud's, and none elsewhere. LANGFUSE_API_PER_MINUTE says otherwise, 0 is none."""
    pace = CLOUD[name] if langfuse_is_cloud() else None
    told: int | None = settings.LANGFUSE_API_PER_MINUTE
    if name != Channel.Name.API or told is None:
        return pace
    return Pace(told, max(told // 4, 1)) if told else None
