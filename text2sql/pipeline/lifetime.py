"""How long Claude shall keep a prompt's prefix in its cache after its last use."""

from datetime import datetime, timedelta
from typing import Literal

Lifetime = Literal["5m", "1h"]
LIFETIMES: dict[Lifetime, timedelta] = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1)}


def lifetime_choose(used_at: datetime | None, now: datetime) -> Lifetime:
    """For a prefix that is cold now and was last used at `used_at`.

    Writing it for an hour costs 2 times its input, for five minutes 1.25 times. Questions that come less than an hour
    apart, but more than five minutes, would write it again and again: then the hour is cheaper from the second on.
    """
    return "1h" if used_at is not None and now - used_at < LIFETIMES["1h"] else "5m"
