"""An answer's SQL and its correction, run side by side, and how their rows differ. No row is kept."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from feedback.models import Feedback
from observability.services.audit import audit_record
from teams.access import Principal
from text2sql.pipeline.comparison import GoldQuery, gold_query
from text2sql.pipeline.comparison.values import Cell, Column, cells_align
from text2sql.pipeline.fence import sql_unwrap
from text2sql.problems import Problem
from text2sql.services.connections import connection_release
from text2sql.services.executions import statement_run
from text2sql.services.targets import Target, target_find
from text2sql.targets.run import QueryResult

Row = Sequence[Any]


@dataclass(frozen=True)
class Side:
    sql: str
    result: QueryResult | None
    problem: Problem | None


@dataclass(frozen=True)
class Difference:
    """Rows as a multiset, by the columns that both results have."""

    columns: tuple[tuple[str, str], ...]
    """The names of the columns that were held against each other; none: the results have nothing in common."""
    same: int
    only_answer: list[Row]
    only_correction: list[Row]
    is_reordered: bool = False
    """The rows are the same, and come in another order than the correction's ORDER BY."""

    @property
    def is_none(self) -> bool:
        return not (self.only_answer or self.only_correction or self.is_reordered)


@dataclass(frozen=True)
class Sides:
    answer: Side
    correction: Side
    difference: Difference | None
    """None where one of them has no rows to compare."""


def correction_of(feedback: Feedback) -> str:
    """The SQL beside the answer's: the person's, else the lead's; empty where nobody gave one."""
    return sql_unwrap(feedback.corrected_sql) or (feedback.example.sql if feedback.example else "")


def sides_run(*, principal: Principal, feedback: Feedback) -> Sides:
    """Run both as the generation's team sees the database now. Audited, whatever comes of it.

    Raises:
        Problem: The team may not use the database any more, or its tables have not been read.
    """
    generation, sql = feedback.generation, correction_of(feedback)
    target = target_find(principal=principal, team_id=generation.team_id, name=generation.database.name)
    target.view()  # read now: the connection is given back before the statements run
    connection_release()
    answer, correction = _run(target, generation.sql), _run(target, sql)
    # No row is shown without an entry that says who looked.
    with transaction.atomic(durable=True):
        audit_record(
            actor=principal.actor, verb="feedback.compared", target=str(feedback.pk), scope=generation.team_id,
            data={"database": target.name, "answer": _told(answer), "correction": _told(correction)},
        )  # fmt: skip
    difference = None
    if answer.result is not None and correction.result is not None:
        difference = rows_differ(answer.result, correction.result, gold_query(sql, dialect=target.dialect))
    return Sides(answer, correction, difference)


def rows_differ(answer: QueryResult, correction: QueryResult, query: GoldQuery) -> Difference:
    """`query` is the correction's, for its ORDER BY. What differs only in how it is written is the same."""
    pairs = _pairs(_names(answer), _names(correction))
    if not pairs:
        return Difference((), 0, list(answer.rows), list(correction.rows))
    ours, theirs = _keys(answer, correction, pairs)
    common = Counter(ours) & Counter(theirs)
    only_answer = list(_beyond(answer.rows, ours, common))
    only_correction = list(_beyond(correction.rows, theirs, common))
    names = tuple((answer.columns[one].name, correction.columns[other].name) for one, other in pairs)
    is_reordered = (
        not (only_answer or only_correction) and query.is_sorted and _is_reordered(ours, theirs, pairs, query)
    )
    return Difference(names, sum(common.values()), only_answer, only_correction, is_reordered)


def _run(target: Target, sql: str) -> Side:
    result, problem = statement_run(target, sql)
    return Side(sql, result, problem)


def _told(side: Side) -> int | str:
    """How many rows came, else the problem's type."""
    return side.problem.kind if side.problem else len(side.result.rows) if side.result else 0


def _names(result: QueryResult) -> list[str]:
    return [column.name.casefold() for column in result.columns]


def _pairs(ours: list[str], theirs: list[str]) -> list[tuple[int, int]]:
    """Columns of the same name; where that leaves some over and both have as many, columns of the same place."""
    named = [
        (place, theirs.index(name)) for place, name in enumerate(ours) if ours.count(name) == theirs.count(name) == 1
    ]
    if len(ours) == len(theirs) > len(named):
        return [(place, place) for place in range(len(ours))]
    return named


def _keys(
    answer: QueryResult, correction: QueryResult, pairs: list[tuple[int, int]]
) -> tuple[list[tuple[Cell, ...]], list[tuple[Cell, ...]]]:
    """For each row the values of its paired columns, where what counts as the same has become equal."""
    aligned = [cells_align(_column(answer, one), _column(correction, other)) for one, other in pairs]
    ours, theirs = zip(*aligned, strict=True)
    return list(zip(*ours, strict=True)), list(zip(*theirs, strict=True))


def _column(result: QueryResult, place: int) -> Column:
    return Column(result.columns[place].type, [row[place] for row in result.rows])


def _beyond(rows: Sequence[Row], keys: Sequence[tuple[Cell, ...]], common: Counter[tuple[Cell, ...]]) -> Iterator[Row]:
    left = Counter(common)
    for row, key in zip(rows, keys, strict=True):
        if left[key]:
            left[key] -= 1
        else:
            yield row


def _is_reordered(
    ours: list[tuple[Cell, ...]], theirs: list[tuple[Cell, ...]], pairs: list[tuple[int, int]], query: GoldQuery
) -> bool:
    """Whether the sort keys come in another order; among equal keys any order is right. All values, if unknown."""
    places = {other: place for place, (_, other) in enumerate(pairs)}
    own = query.keys or ()
    if query.added or not own or not set(own) <= places.keys():
        return ours != theirs
    keys = [places[key] for key in own]
    return [[row[key] for key in keys] for row in ours] != [[row[key] for key in keys] for row in theirs]
