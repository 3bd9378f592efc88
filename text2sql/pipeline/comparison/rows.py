"""Do two results answer the same question? Columns are found by their values, rows are a multiset or a sequence.

Rows are told apart step by step: each pair of columns splits the classes of equal rows further, on both sides alike, so
that a wrong pair is seen at once and permutations are never tried.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from text2sql.pipeline.comparison.values import Cell, Column, ResultSet, cells_align, could_match, is_close

MOST_WORK = 5_000_000
"""Cells looked at in search of a way to pair the columns; enough for 250 pairs of 10,000 rows."""


@dataclass(frozen=True)
class Gold:
    """The rows of a verified query: its own, and with a LIMIT some that it cut off.

    `keys` are the values that its ORDER BY sorts by, a tuple for each row; None: it does not sort, or the keys are not
    known, so that every row has its place. `is_sorted` tells the two apart.
    """

    result: ResultSet
    keys: Sequence[tuple[Cell, ...]] | None = None
    is_sorted: bool = False
    limit: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether rows are missing that the query itself returns."""
        return self.result.truncated and (self.limit is None or len(self.result.rows) < self.limit)


@dataclass(frozen=True)
class Comparison:
    is_same: bool
    why: str = ""
    """Where they differ; a sentence for people."""
    is_weak: bool = False
    """They are the same and tell little: no rows, or nothing in them."""
    is_decided: bool = True
    """False: too much was cut off to judge, or pairing the columns took too long."""


@dataclass(frozen=True)
class _Expected:
    """The rows to be found: those that must be there, and those tied at the limit, of which some must."""

    count: int
    required: list[int]
    tied: list[int] = field(default_factory=list)
    is_open: bool = False
    """More rows may be tied than were read."""

    @property
    def rows(self) -> list[int]:
        return [*self.required, *self.tied]


def results_compare(gold: Gold, answer: ResultSet, *, is_ordered: bool) -> Comparison:
    """Whether `answer` holds what `gold` does.

    Further columns, other names and another order of columns are fine; each column of gold needs one of its own.
    Duplicates count. With `is_ordered` the order of rows counts where gold sorts, among equal sort keys it does not.
    Of the rows tied at gold's limit any may be there, or all.
    """
    expected = _expected(gold, len(answer.rows))
    if gold.is_cut:
        if answer.truncated:
            return Comparison(False, "Both results were cut off; what was read cannot tell.", is_decided=False)
        return Comparison(False, f"{len(answer.rows)} rows, more than {len(gold.result.rows)} expected.")
    if answer.truncated or len(answer.rows) != expected.count:
        more = "more than " if answer.truncated else ""
        return Comparison(False, f"{more}{len(answer.rows)} rows, {expected.count} expected.")
    if len(answer.types) < len(gold.result.types):
        return Comparison(False, f"{len(answer.types)} columns, {len(gold.result.types)} expected.")
    if not answer.rows:
        return Comparison(True, is_weak=True)
    compared = _compare(gold, answer, expected, is_ordered=is_ordered and gold.is_sorted)
    if expected.is_open and not compared.is_same:
        return Comparison(False, "More rows are tied at the limit than were read.", is_decided=False)
    return compared


def _compare(gold: Gold, answer: ResultSet, expected: _Expected, *, is_ordered: bool) -> Comparison:
    pairing = _Pairing(gold, answer, expected)
    if pairing.lost:
        places = ", ".join(str(place + 1) for place in pairing.lost)
        return Comparison(False, f"No column holds the values of the expected column {places}.")
    if pairing.fits(*_places(gold, expected, is_ordered=is_ordered)):
        return Comparison(True, is_weak=_is_empty(gold.result))
    if pairing.is_exhausted:
        return Comparison(False, "The columns could not be paired in reasonable time.", is_decided=False)
    if is_ordered and pairing.fits(*_places(gold, expected, is_ordered=False)):
        return Comparison(False, "The rows are right, their order is not.")
    return Comparison(False, "Each column holds the right values, but in other rows.")


def _is_empty(result: ResultSet) -> bool:
    return all(value is None for row in result.rows for value in row)


def _expected(gold: Gold, answered: int) -> _Expected:
    count = len(gold.result.rows)
    limit = gold.limit
    if limit is None or count <= limit:
        return _Expected(count, list(range(count)))
    keys = gold.keys or [()] * count
    first = last = limit - 1
    while first > 0 and _is_tied(keys[first - 1], keys[limit - 1]):
        first -= 1
    while last + 1 < count and _is_tied(keys[last + 1], keys[limit - 1]):
        last += 1
    is_open = last + 1 == count and gold.result.truncated
    if last == limit - 1 or (answered == last + 1 and gold.keys and not is_open):
        return _Expected(last + 1, list(range(last + 1)))
    return _Expected(limit, list(range(first)), list(range(first, last + 1)), is_open)


def _is_tied(one: tuple[Cell, ...], other: tuple[Cell, ...]) -> bool:
    return all(map(_is_same_key, one, other))


def _is_same_key(one: Cell, other: Cell) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return is_close(one, other)
    return one == other


def _places(gold: Gold, expected: _Expected, *, is_ordered: bool) -> tuple[list[int], list[int]]:
    """The class that each row starts in: where it stands, by sort key; all the same where order does not count."""
    rows = expected.rows
    if not is_ordered:
        return [0] * len(rows), [0] * expected.count
    places = [0]
    for one, other in pairwise(rows):
        is_tied = gold.keys is not None and _is_tied(gold.keys[one], gold.keys[other])
        places.append(places[-1] + (not is_tied))
    return places, places[: expected.count]


@dataclass(frozen=True)
class _Candidate:
    """A column of the answer that may be a column of gold, and the cells of both."""

    place: int
    gold: list[Cell]
    answer: list[Cell]


class _Pairing:
    """The search for a column of the answer for each column of gold."""

    def __init__(self, gold: Gold, answer: ResultSet, expected: _Expected) -> None:
        self.required = len(expected.required)
        self.has_ties = bool(expected.tied)
        self.work = 0
        self.lost: list[int] = []
        ours = [Column(kind, [gold.result.rows[row][place] for row in expected.rows])
                for place, kind in enumerate(gold.result.types)]  # fmt: skip
        theirs = [Column(kind, [row[place] for row in answer.rows]) for place, kind in enumerate(answer.types)]
        found = []
        for place, column in enumerate(ours):
            if candidates := self._candidates(column, theirs):
                found.append(candidates)
            else:
                self.lost.append(place)
        # The column with the fewest choices first, then the one that tells most rows apart.
        self.candidates = sorted(found, key=lambda each: (len(each), -len(set(each[0].gold))))

    @property
    def is_exhausted(self) -> bool:
        return self.work > MOST_WORK

    def fits(self, gold_places: list[int], answer_places: list[int]) -> bool:
        self.work = 0
        return self._is_split(gold_places, answer_places) and self._pair(0, gold_places, answer_places, frozenset())

    def _candidates(self, gold: Column, answers: Sequence[Column]) -> list[_Candidate]:
        found = []
        for place, answer in enumerate(answers):
            if not self.has_ties and not could_match(gold, answer):
                continue
            ours, theirs = cells_align(gold, answer)
            if self._is_split(ours, theirs):
                found.append(_Candidate(place, ours, theirs))
        return found

    def _pair(self, depth: int, ours: list[int], theirs: list[int], used: frozenset[int]) -> bool:
        if depth == len(self.candidates):
            return True
        tried: list[list[int]] = []
        for candidate in self.candidates[depth]:
            self.work += len(ours) + len(theirs)
            if candidate.place in used or self.is_exhausted:
                continue
            classes: dict[tuple[int, Cell], int] = {}
            finer_ours = _refine(ours, candidate.gold, classes)
            finer_theirs = _refine(theirs, candidate.answer, classes)
            if finer_theirs in tried or not self._is_split(finer_ours, finer_theirs):
                continue
            tried.append(finer_theirs)
            if self._pair(depth + 1, finer_ours, finer_theirs, used | {candidate.place}):
                return True
        return False

    def _is_split(self, ours: Sequence[object], theirs: Sequence[object]) -> bool:
        """Whether each class of rows is as large in the answer as it has to be."""
        answered, required = Counter(theirs), Counter(ours[: self.required])
        if not self.has_ties:
            return answered == required
        possible = Counter(ours)
        return required <= answered <= possible


def _refine(classes: Sequence[int], cells: Sequence[Cell], known: dict[tuple[int, Cell], int]) -> list[int]:
    return [known.setdefault(pair, len(known)) for pair in zip(classes, cells, strict=True)]
