"""The days that a page is asked about, by `from` and `to`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from django.http import HttpRequest

EARLIEST = date(2020, 1, 1)
LONGEST = 366


@dataclass(frozen=True)
class Usual:
    """The days where none are asked for: the first one by the last, and how they are told."""

    first: Callable[[date], date]
    words: str


def last_days(count: int) -> Usual:
    return Usual(lambda last: last - timedelta(days=count - 1), f"These are the last {count} days.")


@dataclass(frozen=True)
class Days:
    """Both included; `error` is what was wrong with those that were asked for."""

    first: date
    last: date
    error: str = ""


def days_asked(request: HttpRequest, today: date, usual: Usual, *, longest: int = LONGEST) -> Days:
    """`from` and `to` (2026-11-30), of which either may be left out; the usual days in place of ones that cannot be."""
    shown = Days(usual.first(today), today)
    try:
        last = date.fromisoformat(request.GET.get("to") or today.isoformat())
        first = date.fromisoformat(request.GET.get("from") or usual.first(last).isoformat())
    except (ValueError, OverflowError):
        return replace(shown, error=f"Give both days as in 2026-11-30. {usual.words}")
    if not EARLIEST <= first <= last <= today + timedelta(days=LONGEST) or (last - first).days >= longest:
        wrong = f"The first day must not be later than the last, and at most {longest} days are shown."
        return replace(shown, error=f"{wrong} {usual.words}")
    return Days(first, last)
