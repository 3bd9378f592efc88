"""Columns of results as they are compared: what differs only in how it is written becomes the same value.

A boolean is 0 or 1, a decimal and a float are the number they stand for, midnight is its date, an instant is the wall
clock that was shown, trailing blanks of a text are nothing. Text that reads as a number is one only beside a column of
numbers: in two columns of text `1.10` and `1.1` are two versions.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property

Cell = None | int | float | str

RELATIVE, ABSOLUTE = 1e-9, 1e-9
"""Numbers closer than this are the same, if one of them has a fraction: whole numbers are compared exactly."""
ROUNDED_DIGITS = 2
ROUNDED_SHARE = 0.01
"""A number rounded to two or more decimals is what it was rounded from, while that moves it by 1 % at most."""
EXACT_FLOATS = 2**53
FLOAT_DIGITS = 17

NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.(\d+))?(?:[eE][+-]?\d{1,3})?")  # 007 is a code, not a number
DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?\s?(?:Z|[+-]\d\d(?::?\d\d){0,2})?)?")
DECIMALS = ("decimal", "numeric", "number", "bignumeric", "dec(")


@dataclass(frozen=True)
class ResultSet:
    """Rows as JSON values, in their order; `types` as the database spells them, empty where it tells none."""

    types: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    truncated: bool = False


class Column:
    """One column; read as text or as numbers on demand, each once."""

    def __init__(self, kind: str, values: Sequence[object]) -> None:
        self._values = values
        self._is_decimal = kind.lower().startswith(DECIMALS)

    @cached_property
    def is_text(self) -> bool:
        return not self._is_decimal and any(isinstance(value, str) for value in self._values)

    @cached_property
    def as_text(self) -> list[Cell]:
        return [_cell(value, is_number=self._is_decimal) for value in self._values]

    @cached_property
    def as_numbers(self) -> list[Cell]:
        return [_cell(value, is_number=True) for value in self._values] if self.is_text else self.as_text

    def cells(self, beside: "Column") -> list[Cell]:
        return self.as_text if self.is_text and beside.is_text else self.as_numbers

    @cached_property
    def digits(self) -> int:
        """The most decimals that a value shows."""
        return max(map(_digits, self._values), default=0)

    @cached_property
    def counts(self) -> Counter[Cell]:
        """How often each cell is there, read as text."""
        return Counter(self.as_text)

    @cached_property
    def null_count(self) -> int:
        return sum(value is None for value in self._values)

    @cached_property
    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest number; None if there is none."""
        numbers = [cell for cell in self.as_numbers if isinstance(cell, int | float)]
        return (min(numbers), max(numbers)) if numbers else None


def cells_align(gold: Column, answer: Column) -> tuple[list[Cell], list[Cell]]:
    """The cells of both, where what counts as the same has become equal."""
    ours, theirs = gold.cells(answer), answer.cells(gold)
    coarse = min(gold.digits, answer.digits)
    if coarse >= ROUNDED_DIGITS and gold.digits != answer.digits:
        ours, theirs = _rounded(ours, coarse), _rounded(theirs, coarse)
    same = _same_numbers([*ours, *theirs])
    if not same:
        return ours, theirs
    return _replaced(ours, same), _replaced(theirs, same)


def could_match(gold: Column, answer: Column) -> bool:
    """Whether the cells of two columns of the same length may be the same: a quick no."""
    if gold.null_count != answer.null_count:
        return False
    if gold.is_text and answer.is_text:
        return gold.counts == answer.counts
    if gold.bounds is None or answer.bounds is None:
        return gold.bounds == answer.bounds
    return all(
        math.isclose(ours, theirs, rel_tol=1.5 * ROUNDED_SHARE, abs_tol=0.5 * 10**-ROUNDED_DIGITS)
        for ours, theirs in zip(gold.bounds, answer.bounds, strict=True)
    )


def is_close(one: float, other: float) -> bool:
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _same_numbers(cells: Iterable[Cell]) -> dict[float, float]:
    """Each number that is not its own representative, and its representative; empty where all numbers are whole."""
    numbers = {cell for cell in cells if isinstance(cell, int | float)}
    if not any(isinstance(number, float) for number in numbers):
        return {}
    same: dict[float, float] = {}
    previous: float | None = None
    for number in sorted(numbers):
        if previous is not None and is_close(previous, number):
            same[number] = same.get(previous, previous)
        previous = number
    return same


def _replaced(cells: list[Cell], same: dict[float, float]) -> list[Cell]:
    return [same.get(cell, cell) if isinstance(cell, int | float) else cell for cell in cells]


def _rounded(cells: list[Cell], digits: int) -> list[Cell]:
    unit = Decimal(1).scaleb(-digits)
    return [_round(cell, unit) if isinstance(cell, float) and abs(cell) < 1e15 else cell for cell in cells]


def _round(number: float, unit: Decimal) -> float:
    rounded = float(Decimal(repr(number)).quantize(unit, ROUND_HALF_UP))
    if abs(rounded - number) > ROUNDED_SHARE * abs(number):
        return number
    return int(rounded) if rounded.is_integer() else rounded


def _cell(value: object, *, is_number: bool) -> Cell:
    match value:
        case None:
            return None
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                return str(value)
            return int(value) if value.is_integer() and abs(value) < EXACT_FLOATS else value
        case str():
            return _number(value) if is_number and NUMBER.fullmatch(value) else _text(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _number(text: str) -> int | float:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


def _text(text: str) -> str:
    if not (match := DATE.fullmatch(text)):
        return text.rstrip(" ")
    day, time, seconds, fraction = match.groups()
    clock = f"{time}:{seconds or '00'}" if time else "00:00:00"
    fraction = (fraction or "").rstrip("0")
    if clock == "00:00:00" and not fraction:
        return day
    return f"{day} {clock}.{fraction}" if fraction else f"{day} {clock}"


def _digits(value: object) -> int:
    if isinstance(value, str):
        match = NUMBER.fullmatch(value)
        return len(match[1] or "") if match else 0
    if not isinstance(value, float) or value.is_integer():
        return 0
    written = repr(value)
    return FLOAT_DIGITS if "e" in written else len(written.partition(".")[2])
