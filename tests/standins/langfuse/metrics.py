"""The answers of GET /api/public/v2/metrics: rows are filtered, grouped and aggregated, without FINAL."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.standins.langfuse.filters import Filter
from tests.standins.langfuse.query import Query
from tests.standins.langfuse.records import Observation, Score
from tests.standins.langfuse.views import OBSERVATIONS, Row, ScoreRow

STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def metrics_of(
    query: Query, rows: Sequence[Observation], scores: Sequence[Score], *, quote_64_bit: bool
) -> list[dict[str, Any]]:
    """The `data` of the answer. Rows stored twice count twice; scores never do.

    quote_64_bit: 64-bit integers as texts, the way ClickHouse before 25.8 prints them.
    """
    inside: Iterable[Row]
    if query.view is OBSERVATIONS:
        inside = [row for row in rows if query.start <= row.start <= query.end]
    else:
        inside = joined(query, rows, scores)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in inside:
        if all(condition.matches(filtered_value(query, condition, row)) for condition in query.filters):
            groups.setdefault(group_key(query, row), []).append(row)
    if not groups and not query.dimensions and not query.granularity:
        groups[()] = []
    if query.granularity and not query.order:
        groups = filled(query, groups)
    found = [line_of(query, key, members) for key, members in groups.items()]
    return [
        {name: printed(value, quote_64_bit=quote_64_bit) for name, value in line.items()}
        for line in ordered(query, found)[: query.row_limit]
    ]


def joined(query: Query, rows: Sequence[Observation], scores: Sequence[Score]) -> Iterator[ScoreRow]:
    """Inner joins: who groups or filters by a field of the trace loses the scores without a root in the window."""
    inside = [row for row in rows if query.start <= row.start <= query.end]
    roots = {row.trace_id: row for row in inside if not row.parent_id}
    observations = {(row.trace_id, row.id): row for row in inside}
    names = {*query.dimensions, *(condition.column for condition in query.filters)}
    needed = {query.view.dimensions[name].joins for name in names if name in query.view.dimensions} - {""}
    for score in scores:
        if score.data_type not in query.view.data_types or not query.start <= score.timestamp <= query.end:
            continue
        observation = observations.get((score.trace_id, score.observation_id))
        row = ScoreRow(score, roots.get(score.trace_id), observation)
        if all(getattr(row, name) is not None for name in needed):
            yield row


def filtered_value(query: Query, condition: Filter, row: Row) -> Any:
    source: Any = row.score if isinstance(row, ScoreRow) else row
    if condition.column == "metadata":
        return source.metadata.get(condition.key, "")
    if condition.column == query.view.time_column:
        return source.timestamp if isinstance(row, ScoreRow) else source.start
    name = condition.column if condition.column in query.view.dimensions else "name"
    return query.view.dimensions[name].read(row)


def group_key(query: Query, row: Row) -> tuple[Any, ...]:
    values = []
    for name in query.dimensions:
        dimension = query.view.dimensions[name]
        value = dimension.read(row)
        values.append(None if dimension.nullable and value == "" else value)
    if query.granularity:
        moment = row.score.timestamp if isinstance(row, ScoreRow) else row.start
        values.append(bucket_of(moment, query.granularity))
    return tuple(values)


def bucket_of(moment: datetime, granularity: str) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + (moment - day) // STEPS[granularity] * STEPS[granularity]


def filled(query: Query, groups: dict[tuple[Any, ...], list[Row]]) -> dict[tuple[Any, ...], list[Row]]:
    """Empty buckets of the window get a row of defaults: '' for a text, null where the column may be null."""
    if query.granularity is None:
        return groups
    defaults = []
    for name in query.dimensions:
        dimension = query.view.dimensions[name]
        defaults.append(() if dimension.is_array else None if dimension.nullable else "")
    present = {key[-1] for key in groups}
    step, last = STEPS[query.granularity], bucket_of(query.end, query.granularity)
    bucket = bucket_of(query.start, query.granularity)
    result = dict(groups)
    while bucket < last:
        if bucket not in present:
            result[*defaults, bucket] = []
        bucket += step
    return result


def line_of(query: Query, key: tuple[Any, ...], rows: list[Row]) -> dict[str, Any]:
    line = dict(zip(query.dimensions, key, strict=False))
    if query.granularity:
        stamp = key[-1]
        line["time_dimension"] = (
            stamp.strftime("%Y-%m-%d") if query.granularity == "day" else f"{stamp:%Y-%m-%dT%H:%M:%SZ}"
        )
    for name, aggregation in query.metrics:
        measure = query.view.measures[name]
        values = [value for value in map(measure.read, rows) if value is not None]
        line[f"{aggregation}_{name}"] = aggregate(aggregation, values, measure.empty)
    return line


def aggregate(aggregation: str, values: list[Any], empty: int | None) -> Any:
    """`values` are numbers or texts, nulls already left out."""
    match aggregation:
        case "count":
            return len(values)
        case "uniq":
            return len(set(values))
        case "sum":
            return sum(values) if values else empty
        case "max" | "min":
            return (max(values) if aggregation == "max" else min(values)) if values else empty
        case "avg":
            return float(sum(values)) / len(values) if values else None
        case _:
            return quantile(int(aggregation[1:]) / 100, values)


def quantile(level: float, values: list[Any]) -> float | None:
    """ClickHouse's interpolation, in its order of operations, so that even the noise is the same."""
    if not values:
        return None
    ranked = sorted(float(value) for value in values)
    position = level * (len(ranked) - 1)
    left = math.floor(position)
    if left + 1 >= len(ranked):
        return ranked[-1]
    return ranked[left] * (left + 1 - position) + ranked[left + 1] * (position - left)


def ordered(query: Query, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By the given order, else by time, else by the first metric descending; nulls always last."""
    order = query.order
    if not order and query.granularity:
        order = [("time_dimension", "asc")]
    elif not order and query.metrics:
        order = [(f"{query.metrics[0][1]}_{query.metrics[0][0]}", "desc")]
    for field, direction in reversed(order):
        known = [line for line in lines if line[field] is not None]
        known.sort(key=lambda line: line[field], reverse=direction == "desc")
        lines = known + [line for line in lines if line[field] is None]
    return lines


def printed(value: Any, *, quote_64_bit: bool) -> Any:
    """Numbers as JavaScript prints them: 1.0 is 1."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return str(value) if quote_64_bit else value
    return plain_number(value)


def plain_number(value: Decimal | float) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number
