"""Arithmetic of the expected answers: exact fractions, rounding as databases do it, calendar periods."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from text2sql.demo.data.tables import DemoDatabase, Record

K = TypeVar("K", bound=Hashable)
Number = int | Decimal | Fraction


def rounded(value: Number, digits: int) -> Decimal:
    """Half away from zero, as PostgreSQL and SQLite round."""
    scaled = math.floor(abs(Fraction(value)) * 10**digits + Fraction(1, 2))
    return Decimal(-scaled if value < 0 else scaled).scaleb(-digits)


def ratio(part: Number, whole: Number, digits: int) -> Decimal:
    return rounded(Fraction(part) / Fraction(whole), digits)


def percent(part: Number, whole: Number, digits: int = 1) -> Decimal:
    return ratio(Fraction(part) * 100, whole, digits)


def change(new: Number, old: Number | None) -> Decimal | None:
    """Growth in per cent with one decimal; nothing to compare with gives nothing."""
    return None if old is None else percent(Fraction(new) - Fraction(old), old)


def totals(pairs: Iterable[tuple[K, Number]]) -> dict[K, Any]:
    """The sum of the numbers of each key."""
    sums: dict[K, Any] = {}
    for key, number in pairs:
        sums[key] = sums.get(key, 0) + number
    return sums


def counts(keys: Iterable[K]) -> Counter[K]:
    return Counter(keys)


def grouped(pairs: Iterable[tuple[K, Any]]) -> dict[K, list[Any]]:
    groups: dict[K, list[Any]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def median(values: Iterable[Number]) -> Fraction:
    ordered = sorted(Fraction(value) for value in values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def keyed(database: DemoDatabase, table: str) -> dict[Any, Record]:
    """The records of a table by their id."""
    return {record["id"]: record for record in database.records(table)}


def days_before(today: date, days: int) -> date:
    return today - timedelta(days=days)


def months_before(today: date, months: int) -> date:
    """The same day so many months earlier, or the last day of that month when it has no such day."""
    first = month_start(today, months)
    return min(first + timedelta(days=today.day - 1), month_start(first, -1) - timedelta(days=1))


def year_before(today: date) -> date:
    return months_before(today, 12)


def month_start(day: date, back: int = 0) -> date:
    """First day of the month, or of the month so many months earlier."""
    months = day.year * 12 + day.month - 1 - back
    return date(months // 12, months % 12 + 1, 1)


def quarter_start(day: date, back: int = 0) -> date:
    """First day of the calendar quarter, or of the quarter so many quarters earlier."""
    return month_start(day.replace(day=1), (day.month - 1) % 3 + 3 * back)


def week_start(day: date, back: int = 0) -> date:
    """Monday of the week, or of the week so many weeks earlier."""
    return day - timedelta(days=day.weekday() + 7 * back)
