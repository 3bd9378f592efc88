"""Experiments and their items: GET /api/public/experiments and /api/public/experiment-items, out of the spans."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from langfuse import LangfuseOtelSpanAttributes as Key

from tests.standins.langfuse.answers import (
    Answer,
    Issue,
    invalid_data,
    invalid_request,
    wrong_datetime,
    wrong_option,
    wrong_type,
)
from tests.standins.langfuse.filters import Filter, parse_datetime, parse_filters
from tests.standins.langfuse.pages import readable
from tests.standins.langfuse.records import Observation, Score, iso, milliseconds
from tests.standins.langfuse.scores import moment_in, page_size
from tests.standins.langfuse.scores import shown as shown_score

GROUPS = ("core", "metadata", "scores")
ITEM_GROUPS = ("core", "dataset", "io", "metadata", "itemMetadata", "experimentMetadata", "scores")
COLUMNS = {"id": Key.EXPERIMENT_ID, "name": Key.EXPERIMENT_NAME, "datasetId": Key.EXPERIMENT_DATASET_ID}
ITEM_COLUMNS = {
    "experimentId": Key.EXPERIMENT_ID,
    "experimentName": Key.EXPERIMENT_NAME,
    "experimentItemId": Key.EXPERIMENT_ITEM_ID,
    "datasetId": Key.EXPERIMENT_DATASET_ID,
}
LARGEST, MOST_SCORES = 100, 50
Row = TypeVar("Row")
Query = Mapping[str, list[str]]
Position = tuple[int, str, str, str]


@dataclass(frozen=True)
class Wanted:
    """A query that both endpoints understand."""

    groups: Sequence[str]
    limit: int
    score_limit: int
    start: datetime
    end: datetime | None
    after: Position | None
    conditions: Sequence[tuple[str, Filter]]  # the attribute each condition is about

    def has(self, row: Observation) -> bool:
        """The window is open at its end, as that of observations is."""
        if row.start < self.start or (self.end is not None and row.start >= self.end):
            return False
        return all(condition.matches(text_of(row, key)) for key, condition in self.conditions)


def get_experiments(rows: Sequence[Observation], scores: Sequence[Score], project: str, query: Query) -> Answer:
    """Those with the latest activity first; counts and times cover only the window asked for."""
    wanted = wanted_of(query, GROUPS, ("core",), COLUMNS)
    grouped: dict[str, list[Observation]] = {}
    for row in rows:
        if text_of(row, Key.EXPERIMENT_ID) and wanted.has(row):
            grouped.setdefault(text_of(row, Key.EXPERIMENT_ID), []).append(row)

    def position(one: tuple[str, list[Observation]]) -> Position:
        return milliseconds(end_of(one[1])), "", "", one[0]

    def shown(one: tuple[str, list[Observation]]) -> dict[str, Any]:
        own = [score for score in scores if score.dataset_run_id == one[0]]
        return shown_experiment(*one, wanted, own, project)

    return page_after(list(grouped.items()), wanted, position, shown)


def get_experiment_items(rows: Sequence[Observation], scores: Sequence[Score], project: str, query: Query) -> Answer:
    """Newest first: the root observation of each item. One that was stored twice is shown twice."""
    wanted = wanted_of(query, ITEM_GROUPS, ("core", "dataset"), ITEM_COLUMNS)
    found = [row for row in rows if text_of(row, Key.EXPERIMENT_ID) and is_item(row) and wanted.has(row)]

    def position(row: Observation) -> Position:
        return milliseconds(row.start), row.trace_id, row.id, text_of(row, Key.EXPERIMENT_ID)

    def shown(row: Observation) -> dict[str, Any]:
        on_it = [score for score in scores if score.observation_id == row.id]
        on_trace = [score for score in scores if not score.observation_id and score.trace_id == row.trace_id]
        return shown_item(row, wanted, [*on_it, *on_trace], project)

    return page_after(found, wanted, position, shown)


def wanted_of(query: Query, groups: Sequence[str], usual: Sequence[str], columns: Mapping[str, str]) -> Wanted:
    given = {name: values[-1] for name, values in query.items()}
    fields = [field.strip() for field in given["fields"].split(",")] if given.get("fields") else usual
    if issues := [wrong_option(["fields"], groups) for field in fields if field not in groups]:
        raise invalid_data(*issues)
    start = parse_datetime(given.get("fromStartTime"))
    if start is None:
        path = ["fromStartTime"]
        raise invalid_data(wrong_datetime(path) if path[0] in given else wrong_type(path, "string", None))
    conditions = [(key, is_one_of(name, given[name])) for name, key in columns.items() if given.get(name)]
    return Wanted(
        groups=fields,
        limit=page_size(given.get("limit"), LARGEST),
        score_limit=page_size(given.get("scoreLimit"), MOST_SCORES, "scoreLimit"),
        start=start,
        end=moment_in(given, "toStartTime"),
        after=position_in(given["cursor"]) if given.get("cursor") else None,
        conditions=[*conditions, *((columns[one.column], one) for one in filters_in(given, columns))],
    )


def is_one_of(column: str, listed: str) -> Filter:
    return Filter("stringOptions", column, "any of", [name.strip() for name in listed.split(",")])


def filters_in(given: Mapping[str, str], columns: Mapping[str, str]) -> list[Filter]:
    if not given.get("filter"):
        return []
    try:
        raw = json.loads(given["filter"])
    except ValueError:
        raise invalid_request("Invalid JSON in filter parameter") from None
    filters, issues = parse_filters(raw, ["filter"])
    unknown: list[Issue] = [
        wrong_option(["filter", index, "column"], [*columns])
        for index, one in enumerate(filters)
        if one.column not in columns
    ]
    if issues or unknown:
        raise invalid_data(*issues, *unknown)
    return filters


def page_after(
    rows: Sequence[Row], wanted: Wanted, position: Callable[[Row], Position], shown: Callable[[Row], Any]
) -> Answer:
    found = sorted(rows, key=position, reverse=True)
    if wanted.after is not None:
        after = wanted.after
        found = [row for row in found if position(row) < after]
    meta = {"cursor": cursor_at(position(found[wanted.limit - 1]))} if len(found) > wanted.limit else {}
    return Answer(200, {"data": [shown(row) for row in found[: wanted.limit]], "meta": meta})


def cursor_at(position: Position) -> str:
    names = ("lastTime", "lastTraceId", "lastId", "lastExperimentId")
    text = json.dumps({"v": 1, **dict(zip(names, position, strict=True))})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position_in(cursor: str) -> Position:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return found["lastTime"], found["lastTraceId"], found["lastId"], found["lastExperimentId"]
    except (ValueError, KeyError, TypeError):
        raise invalid_request("Invalid cursor format") from None


def text_of(row: Observation, key: str) -> str:
    return str(row.attributes.get(key, ""))


def is_item(row: Observation) -> bool:
    return text_of(row, Key.EXPERIMENT_ITEM_ROOT_OBSERVATION_ID) == row.id and bool(
        text_of(row, Key.EXPERIMENT_ITEM_ID)
    )


def end_of(rows: Sequence[Observation]) -> datetime:
    return max(row.end or row.start for row in rows)


def first_text(rows: Sequence[Observation], key: str) -> str | None:
    return next((text for row in rows if (text := text_of(row, key))), None)


def object_in(text: str | None) -> dict[str, Any] | None:
    value = readable(text) if text else None
    return value if isinstance(value, dict) else None


def shown_experiment(
    own_id: str, rows: Sequence[Observation], wanted: Wanted, scores: Sequence[Score], project: str
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "id": own_id,
        "name": first_text(rows, Key.EXPERIMENT_NAME) or "",
        "description": first_text(rows, Key.EXPERIMENT_DESCRIPTION),
        "startTime": iso(min(row.start for row in rows)),
        "endTime": iso(end_of(rows)),
        "itemCount": len({(row.trace_id, row.id) for row in rows if is_item(row)}),
        "datasetId": first_text(rows, Key.EXPERIMENT_DATASET_ID),
    }
    if "metadata" in wanted.groups:
        result["metadata"] = object_in(first_text(rows, Key.EXPERIMENT_METADATA))
    return result | shown_scores(wanted, scores, project)


def shown_item(row: Observation, wanted: Wanted, scores: Sequence[Score], project: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "id": row.id,
        "traceId": row.trace_id,
        "startTime": iso(row.start),
        "endTime": iso(row.end),
        "level": row.level,
        "environment": row.environment,
        "experimentId": text_of(row, Key.EXPERIMENT_ID),
        "experimentName": text_of(row, Key.EXPERIMENT_NAME),
        "experimentItemId": text_of(row, Key.EXPERIMENT_ITEM_ID),
    }
    if "dataset" in wanted.groups:
        version = parse_datetime(text_of(row, Key.EXPERIMENT_ITEM_VERSION))
        dataset = text_of(row, Key.EXPERIMENT_DATASET_ID) or None
        result |= {"experimentDatasetId": dataset, "experimentItemVersion": iso(version)}
    if "io" in wanted.groups:
        expected = text_of(row, Key.EXPERIMENT_ITEM_EXPECTED_OUTPUT) or None
        result |= {"input": row.input, "output": row.output, "expectedOutput": expected}
    if "metadata" in wanted.groups:
        result["metadata"] = {key: readable(value) for key, value in row.metadata.items()}
    if "itemMetadata" in wanted.groups:
        result["experimentItemMetadata"] = object_in(text_of(row, Key.EXPERIMENT_ITEM_METADATA))
    if "experimentMetadata" in wanted.groups:
        result |= {
            "experimentMetadata": object_in(text_of(row, Key.EXPERIMENT_METADATA)),
            "experimentDescription": text_of(row, Key.EXPERIMENT_DESCRIPTION) or None,
        }
    return result | shown_scores(wanted, scores, project)


def shown_scores(wanted: Wanted, scores: Sequence[Score], project: str) -> dict[str, Any]:
    if "scores" not in wanted.groups:
        return {}
    return {"scores": [shown_score(score, project, ["subject"]) for score in scores[: wanted.score_limit]]}
