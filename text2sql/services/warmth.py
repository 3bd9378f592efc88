"""One question writes a prompt's prefix into Claude's cache; those that come meanwhile wait and read it.

Claude serves a cached prefix from the moment the answer that writes it begins. A hundred questions that start together
on a cold prefix would each pay for writing it.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from django.db import connection
from django.utils import timezone

from text2sql.models import PrefixWarmth
from text2sql.pipeline.lifetime import LIFETIMES, Lifetime, lifetime_choose
from text2sql.pipeline.prompt import Prompt
from text2sql.services.clients import claude_name
from text2sql.services.connections import connection_release

WARMING_FOR = timedelta(seconds=10)
"""How long the others believe that somebody is warming it."""
WAIT_SECONDS = 4.0
FEWEST_BYTES = 4096
"""A shorter prefix is below every model's minimum of cacheable tokens."""
REMEMBERED = 1024
EARLY = timedelta(minutes=1)
"""What is read at the last moment may be cold when the call arrives."""


@dataclass(frozen=True)
class Warming:
    """The prefix that a call reads or writes; without a key it is too short to be cached."""

    key: str = ""
    lifetime: Lifetime = "5m"


# What this process knows to be warm, and until when, so that most questions ask nobody.
_known: OrderedDict[str, tuple[datetime, Lifetime]] = OrderedDict()
_lock = Lock()


def prefix_await(prompt: Prompt, *, model: str, deadline: float) -> Warming:
    """Wait until the prefix is warm, or until this question is the one to warm it.

    Never longer than four seconds: an answer that costs a little more is better than a late one.
    """
    if prompt.prefix_byte_count < FEWEST_BYTES or not prompt.has_breakpoints:
        return Warming()
    key = f"{claude_name()}:{model}:{prompt.prefix_digest}"[:200]
    until, pause = min(time.monotonic() + WAIT_SECONDS, deadline - 1), 0.05
    while (found := _remembered(key) or _claimed(key) or _warm(key)) is None and time.monotonic() + pause < until:
        connection_release()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return found or Warming(key)


def prefix_warmed(warming: Warming) -> None:
    """Note that Claude has begun to answer: the prefix can be read from now on."""
    if not warming.key or _remembered(warming.key):
        return
    now, lives = timezone.now(), LIFETIMES[warming.lifetime]
    PrefixWarmth.objects.filter(key=warming.key).update(warm_until=now + lives, used_at=now, lifetime=warming.lifetime)
    with _lock:
        # Looked up anew after a few minutes even if it lives for an hour, so that the others see that it is in use.
        _known[warming.key] = (now + LIFETIMES["5m"] - EARLY, warming.lifetime)
        _known.move_to_end(warming.key)
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)


def prefixes_cold(now: datetime) -> int:
    """Delete what is long cold; returns how many."""
    deleted, _ = PrefixWarmth.objects.filter(warm_until__lt=now - timedelta(days=1)).delete()
    return deleted


def _remembered(key: str) -> Warming | None:
    with _lock:
        known = _known.get(key)
    return Warming(key, known[1]) if known is not None and known[0] > timezone.now() else None


def _claimed(key: str) -> Warming | None:
    """Take it upon us to warm a cold prefix that nobody else is warming."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO text2sql_prefixwarmth (key, warm_until, warming_until, lifetime)
            VALUES (%(key)s, %(now)s, %(soon)s, '5m')
            ON CONFLICT (key) DO UPDATE SET warming_until = excluded.warming_until
            WHERE text2sql_prefixwarmth.warm_until <= %(now)s AND text2sql_prefixwarmth.warming_until <= %(now)s
            RETURNING used_at
            """,
            {"key": key, "now": now, "soon": now + WARMING_FOR},
        )
        row = cursor.fetchone()
    return None if row is None else Warming(key, lifetime_choose(row[0], now))


def _warm(key: str) -> Warming | None:
    rows = PrefixWarmth.objects.filter(key=key, warm_until__gt=timezone.now())
    lifetime: Lifetime | None = rows.values_list("lifetime", flat=True).first()  # type: ignore[assignment]  # one of them
    return None if lifetime is None else Warming(key, lifetime)
