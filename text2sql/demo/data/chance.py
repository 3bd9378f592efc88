"""Draws from a seeded generator that look like business: seasons, weekdays, prices, busy customers."""

import itertools
import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Generic, TypeVar

T = TypeVar("T")

HISTORY_DAYS = 730
CENT = Decimal("0.01")
_SEASON = (0.86, 0.88, 0.98, 1.0, 1.02, 0.98, 0.84, 0.82, 1.04, 1.1, 1.3, 1.22)
_WEEKDAY = (1.18, 1.22, 1.16, 1.12, 1.04, 0.56, 0.44)


def history(anchor: date) -> Iterator[date]:
    """Every day of the two years that end on the day before `anchor`."""
    for ago in range(HISTORY_DAYS, 0, -1):
        yield anchor - timedelta(days=ago)


def bustle(day: date, anchor: date, *, growth: float = 0.4) -> float:
    """How busy a day is, around 1: season, weekday, and `growth` over the two years of history."""
    age = (anchor - day).days / HISTORY_DAYS
    return _SEASON[day.month - 1] * _WEEKDAY[day.weekday()] * (1 + growth * (0.5 - age))


def events(rng: random.Random, mean: float) -> int:
    """How many things happen when `mean` are expected (Poisson)."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def pick(rng: random.Random, weights: Mapping[T, float]) -> T:
    return rng.choices(tuple(weights), tuple(weights.values()))[0]


def amount(value: Decimal | float) -> Decimal:
    """Money with two decimals, half a cent rounded up."""
    return Decimal(str(value)).quantize(CENT, ROUND_HALF_UP)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def moment(rng: random.Random, day: date, first_hour: int = 7, last_hour: int = 20) -> datetime:
    """A second of that day (UTC), most likely around noon."""
    hours = rng.triangular(first_hour, last_hour + 1, (first_hour + last_hour) / 2)
    return midnight(day) + timedelta(seconds=int(hours * 3600))


class Crowd(Generic[T]):
    """Members that appear over time, some far busier than others; draws only those already there."""

    def __init__(self, rng: random.Random, members: Sequence[tuple[date, float, T]]) -> None:
        ordered = sorted(members, key=lambda member: member[0])
        self._rng = rng
        self._since = [since for since, _, _ in ordered]
        self._reach = list(itertools.accumulate(weight for _, weight, _ in ordered))
        self._members = [member for _, _, member in ordered]

    def draw(self, day: date) -> T:
        """One of the members there on `day`; LookupError when there is none yet."""
        present = bisect_right(self._since, day)
        if present == 0:
            raise LookupError(f"nobody was there on {day}")
        target = self._rng.random() * self._reach[present - 1]
        return self._members[min(bisect_right(self._reach, target), present - 1)]
