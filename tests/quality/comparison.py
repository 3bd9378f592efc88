"""How the comparison judges other ways to write a query, and faults in it: `python -m tests.quality.comparison`.

Every verified query of Defog's eleven databases is run on PostgreSQL. Its rewrites must be judged the same. Each fault
is run too, and counts only if its rows are other ones than those of every accepted query, which a plain comparison
decides that tries all pairs of columns; it must be judged different. Rows changed by hand (a value, a row
more, a row less, two values swapped) must be judged different as well.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, permutations

from tests.quality.defog import FOLDER, MISSING, Defog, Question, database_loaded, database_names, questions
from tests.quality.faults import faults
from tests.quality.rewrites import Verified, rewrites
from tests.run import database
from text2sql.pipeline.comparison import Gold, ResultSet, gold_query, golds_accepted, order_asked, results_compare
from text2sql.targets.errors import TargetError


@dataclass
class Tally:
    """What was judged, by kind, and what was judged wrongly."""

    golds: int = 0
    unrunnable: list[str] = field(default_factory=list)
    rewrites: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    """Rewrites judged different."""
    faults: Counter[str] = field(default_factory=Counter)
    harmless: int = 0
    """Faults that leave the rows as they were, or make those of another accepted query."""
    broken: int = 0
    """Faults and rewrites that the database refuses."""
    missed: list[str] = field(default_factory=list)
    """Faults judged the same."""

    def add(self, other: "Tally") -> None:
        self.golds += other.golds
        self.harmless += other.harmless
        self.broken += other.broken
        self.rewrites += other.rewrites
        self.faults += other.faults
        self.unrunnable += other.unrunnable
        self.refused += other.refused
        self.missed += other.missed


@dataclass(frozen=True)
class Case:
    """A question with all that answers it."""

    database: Defog
    question: Question
    accepted: list[tuple[Verified, Gold]]
    is_ordered: bool

    def accepts(self, answer: ResultSet) -> bool:
        return any(results_compare(gold, answer, is_ordered=self.is_ordered).is_same for _, gold in self.accepted)

    def changes(self, answer: ResultSet) -> bool:
        return not any(plainly_same(verified, gold, answer) for verified, gold in self.accepted)


def judge_database(defog: Defog) -> Tally:
    tally = Tally()
    for question in questions(defog.name):
        case = make_case(defog, question, tally)
        for verified, _ in case.accepted:
            tally.golds += 1
            judge_rewrites(case, verified, tally)
            judge_faults(case, verified, tally)
            judge_changed_rows(case, verified, tally)
    return tally


def make_case(defog: Defog, question: Question, tally: Tally) -> Case:
    is_ordered = order_asked(question.text)
    accepted = []
    for sql in golds_accepted(question.sql):
        query = gold_query(sql, dialect="postgres")
        try:
            verified = Verified(sql, defog.run(sql), is_ordered and query.is_sorted)
            accepted.append((verified, query.read(defog.run(query.sql))))
        except TargetError as error:
            tally.unrunnable.append(f"{defog.name}: {sql}\n    {error}")
    return Case(defog, question, accepted, is_ordered)


def judge_rewrites(case: Case, verified: Verified, tally: Tally) -> None:
    for kind, sql in rewrites(verified):
        try:
            answer = case.database.run(sql)
        except TargetError:
            tally.broken += 1
            continue
        tally.rewrites[kind] += 1
        if not case.accepts(answer):
            gold = next(gold for each, gold in case.accepted if each is verified)
            why = results_compare(gold, answer, is_ordered=case.is_ordered).why
            tally.refused.append(f"{case.database.name}: {kind}: {why}\n    {verified.sql}\n    {sql}")


def judge_faults(case: Case, verified: Verified, tally: Tally) -> None:
    for kind, sql in faults(verified):
        try:
            answer = case.database.run(sql)
        except TargetError:
            tally.broken += 1
            continue
        judge_fault(case, verified, kind, answer, sql, tally)


def judge_changed_rows(case: Case, verified: Verified, tally: Tally) -> None:
    for kind, rows in changed_rows(verified.result.rows):
        judge_fault(case, verified, kind, ResultSet(verified.result.types, rows), "", tally)


def judge_fault(case: Case, verified: Verified, kind: str, answer: ResultSet, sql: str, tally: Tally) -> None:
    if not case.changes(answer):
        tally.harmless += 1
        return
    tally.faults[kind] += 1
    if case.accepts(answer):
        tally.missed.append(f"{case.database.name}: {kind}\n    {verified.sql}\n    {sql or answer.rows[:5]}")


def changed_rows(rows: Sequence[Sequence[object]]) -> Iterator[tuple[str, list[list[object]]]]:
    """The rows with one thing wrong in them."""
    mutable = [list(row) for row in rows]
    if not mutable:
        yield "row invented", [[1]]
        return
    yield "row lost", mutable[:-1]
    yield "row twice", [*mutable, mutable[0]]
    middle = len(mutable) // 2
    for place in range(len(mutable[0])):
        other = [list(row) for row in mutable]
        other[middle][place] = changed_value(other[middle][place])
        yield "value changed", other
    for place in range(len(mutable[0])):
        other = [list(row) for row in mutable]
        other[0][place], other[-1][place] = other[-1][place], other[0][place]
        yield "values swapped", other


def changed_value(value: object) -> object:
    match value:
        case None:
            return 1
        case bool():
            return not value
        case int() | float():
            return value * 1.1 + 1
        case str() if value.replace(".", "").isdigit():
            return str(float(value) * 1.1 + 1)
    return None


def plainly_same(verified: Verified, gold: Gold, answer: ResultSet) -> bool:
    """A slow comparison for small results: all ways to pick columns are tried, values are compared as they print."""
    keys, limit = gold.keys, gold.limit
    if limit is not None and keys and len(keys) > limit and keys[limit - 1] == keys[limit]:
        whole = [row for row, key in zip(gold.result.rows, keys, strict=True) if keys.index(key) < limit]
        return _tied_plainly(whole, limit, answer)
    groups = [len(verified.result.rows)]
    if verified.is_ordered:
        groups = [len(list(tied)) for _, tied in groupby(keys)] if keys else [1] * groups[0]
    return _plainly_equal(verified.result.rows, answer.rows, groups)


def _tied_plainly(whole: Sequence[Sequence[object]], limit: int, answer: ResultSet) -> bool:
    """Of rows tied at a limit any may be there."""
    if len(answer.rows) not in (limit, len(whole)):
        return False
    allowed = Counter(map(_printed, whole))
    return any(Counter(_printed(row) for row in rows) <= allowed for rows in _choices(whole, answer.rows))


def _plainly_equal(ours: Sequence[Sequence[object]], theirs: Sequence[Sequence[object]], groups: list[int]) -> bool:
    """`groups`: how many rows, from the first on, may come in any order, then how many of the next, and so on."""
    if len(ours) != len(theirs):
        return False
    if not ours:
        return True
    expected = _grouped(ours, groups)
    return any(_grouped(rows, groups) == expected for rows in _choices(ours, theirs))


def _grouped(rows: Sequence[Sequence[object]], groups: list[int]) -> list[list[str]]:
    printed = iter(map(_printed, rows))
    return [sorted(islice(printed, count)) for count in groups]


def _choices(ours: Sequence[Sequence[object]], theirs: Sequence[Sequence[object]]) -> Iterator[list[list[object]]]:
    width = len(ours[0])
    if not theirs:
        return
    for places in permutations(range(len(theirs[0])), width):
        yield [[row[place] for place in places] for row in theirs]


def _printed(row: Sequence[object]) -> str:
    return json.dumps([_plain(value) for value in row])


def _plain(value: object) -> object:
    try:
        return f"{float(value):.9g}" if isinstance(value, str | int | float) else value
    except ValueError:
        return value


def report(tally: Tally) -> Iterator[str]:
    yield f"{tally.golds} verified queries; {len(tally.unrunnable)} more that PostgreSQL refuses"
    yield f"rewrites judged the same: {tally.rewrites.total() - len(tally.refused)} of {tally.rewrites.total()}"
    yield "    " + ", ".join(f"{kind} {count}" for kind, count in tally.rewrites.items())
    yield f"faults judged different: {tally.faults.total() - len(tally.missed)} of {tally.faults.total()}"
    yield "    " + ", ".join(f"{kind} {count}" for kind, count in tally.faults.items())
    yield f"not counted: {tally.harmless} faults that leave the answer right, {tally.broken} statements refused"
    for told, lines in (("refused by PostgreSQL", tally.unrunnable), ("WRONGLY DIFFERENT", tally.refused),
                        ("WRONGLY THE SAME", tally.missed)):  # fmt: skip
        yield from (f"{told}: {line}" for line in lines)


def main() -> int:
    if not FOLDER.exists():
        sys.stdout.write(f"skipped: {MISSING}\n")
        return 0
    whole = Tally()
    with database() as dsn:
        for name in os.environ.get("DEFOG", "").split() or database_names():
            with database_loaded(dsn, name) as defog:
                tally = judge_database(defog)
            whole.add(tally)
            told = f"{tally.golds} queries, {tally.rewrites.total()} rewrites, {tally.faults.total()} faults"
            sys.stdout.write(f"{name}: {told}\n")
    sys.stdout.write("\n".join(report(whole)) + "\n")
    return int(bool(whole.refused or whole.missed))


if __name__ == "__main__":
    sys.exit(main())
