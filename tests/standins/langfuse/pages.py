"""GET /api/public/v2/observations: filters, field groups and cursor paging."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.standins.langfuse.answers import Answer, invalid_data, invalid_request, wrong_option
from tests.standins.langfuse.filters import Filter, parse_filters
from tests.standins.langfuse.metrics import plain_number
from tests.standins.langfuse.records import Observation, iso, milliseconds
from tests.standins.langfuse.scores import moment_in, page_size
from tests.standins.langfuse.views import cost, tokens

GROUPS = (
    "core",
    "basic",
    "time",
    "io",
    "metadata",
    "model",
    "usage",
    "prompt",
    "metrics",
    "trace_context",
)
COLUMNS: dict[str, Callable[[Observation], Any]] = {
    "id": lambda o: o.id,
    "type": lambda o: o.type,
    "name": lambda o: o.name,
    "traceId": lambda o: o.trace_id,
    "parentObservationId": lambda o: o.parent_id,
    "startTime": lambda o: o.start,
    "endTime": lambda o: o.end,
    "environment": lambda o: o.environment,
    "level": lambda o: o.level,
    "statusMessage": lambda o: o.status_message,
    "version": lambda o: o.version,
    "userId": lambda o: o.user_id,
    "sessionId": lambda o: o.session_id,
    "isRootObservation": lambda o: o.is_root,
    "traceName": lambda o: o.trace_name,
    "traceTags": lambda o: o.tags,
    "tags": lambda o: o.tags,
    "latency": lambda o: seconds(o.latency_ms),
    "inputTokens": lambda o: tokens(o, "input"),
    "outputTokens": lambda o: tokens(o, "output"),
    "totalTokens": lambda o: o.usage.get("total", 0),
    "tokens": lambda o: o.usage.get("total", 0),
    "inputCost": lambda o: float(cost(o, "input")),
    "outputCost": lambda o: float(cost(o, "output")),
    "totalCost": lambda o: float(o.total_cost),
    "model": lambda o: o.model,
    "providedModelName": lambda o: o.model,
    "promptName": lambda o: o.prompt_name,
    "promptVersion": lambda o: o.prompt_version,
    "input": lambda o: o.input or "",
    "output": lambda o: o.output or "",
}
SIMPLE = ("name", "userId", "sessionId", "type", "traceId", "level", "parentObservationId", "version")
LONGEST_METADATA = 200


def get_observations(rows: Sequence[Observation], project: str, query: Mapping[str, list[str]]) -> Answer:
    """Newest first. A row that was stored twice is shown twice, except across a page boundary.

    `toStartTime` is exclusive, unlike the end of the window in metrics.
    """
    given = {name: values[-1] for name, values in query.items()}
    groups = [group.strip() for group in given.get("fields", "core,basic").split(",")]
    if issues := [wrong_option(["fields"], GROUPS) for group in groups if group not in GROUPS]:
        raise invalid_data(*issues)
    if given.get("parseIoAsJson") == "true":
        raise invalid_request("parseIoAsJson is no longer supported. Input and output are raw strings.")
    limit = page_size(given.get("limit"), 1000)
    conditions = conditions_of(query)
    found = [row for row in rows if all(passes(row, condition) for condition in conditions)]
    found = [row for row in found if is_in_window(row, given, conditions)]
    found.sort(key=position_of, reverse=True)
    if cursor := given.get("cursor"):
        after = tuple(json.loads(base64.b64decode(cursor)))
        found = [row for row in found if position_of(row) < after]
    meta = {}
    if len(found) > limit:
        last = json.dumps(position_of(found[limit - 1]))
        meta["cursor"] = base64.b64encode(last.encode()).decode()
    full = [key for key in given.get("expandMetadata", "").split(",") if key]
    data = [shown(row, project, groups, full) for row in found[:limit]]
    return Answer(200, {"data": data, "meta": meta})


def conditions_of(query: Mapping[str, list[str]]) -> list[Filter]:
    """The `filter` parameter wins over a plain parameter for the same column."""
    conditions: list[Filter] = []
    if "filter" in query:
        try:
            raw = json.loads(query["filter"][-1])
        except ValueError:
            raise invalid_request("Invalid JSON in filter parameter") from None
        conditions, issues = parse_filters(raw, ["filter"])
        if issues:
            raise invalid_data(*issues)
    for condition in conditions:
        if condition.column not in COLUMNS and condition.column != "metadata":
            raise invalid_request(f"Column {condition.column} does not match a UI / CH table mapping.")
    taken = {condition.column for condition in conditions}
    conditions += [
        Filter("string", name, "=", query[name][-1]) for name in SIMPLE if name in query and name not in taken
    ]
    if "isRootObservation" in query and "isRootObservation" not in taken:
        conditions.append(Filter("boolean", "isRootObservation", "=", query["isRootObservation"][-1] == "true"))
    if "environment" in query and "environment" not in taken:
        conditions.append(Filter("stringOptions", "environment", "any of", query["environment"]))
    return conditions


def passes(row: Observation, condition: Filter) -> bool:
    if condition.column == "metadata":
        return condition.matches(row.metadata.get(condition.key, ""))
    return condition.matches(COLUMNS[condition.column](row))


def is_in_window(row: Observation, given: Mapping[str, str], conditions: list[Filter]) -> bool:
    if any(condition.column == "startTime" for condition in conditions):
        return True
    start, end = moment_in(given, "fromStartTime"), moment_in(given, "toStartTime")
    return (start is None or row.start >= start) and (end is None or row.start < end)


def position_of(row: Observation) -> tuple[int, str, str]:
    return milliseconds(row.start), row.trace_id, row.id


def shown(row: Observation, project: str, groups: Sequence[str], full_metadata: Sequence[str]) -> dict[str, Any]:
    """The JSON of one observation. Prices and the model's id are null: the stand-in has no model table."""
    result: dict[str, Any] = {
        "id": row.id,
        "traceId": row.trace_id,
        "startTime": iso(row.start),
        "endTime": iso(row.end),
        "projectId": project,
        "parentObservationId": row.parent_id or None,
        "type": row.type,
    }
    if "basic" in groups:
        result |= basic_fields(row)
    if "time" in groups:
        created = iso(row.received)
        result |= {
            "completionStartTime": iso(row.completion_start),
            "createdAt": created,
            "updatedAt": created,
        }
    if "io" in groups:
        result |= {"input": row.input, "output": row.output}
    if "metadata" in groups:
        result["metadata"] = {
            key: readable(value if key in full_metadata else value[:LONGEST_METADATA])
            for key, value in row.metadata.items()
        }
    if "model" in groups:
        result |= {
            "model": row.model or None,
            "providedModelName": row.model or None,
            "internalModelId": None,
            "modelParameters": row.model_parameters or None,
        }
    if "usage" in groups:
        result |= usage_fields(row)
    if "prompt" in groups:
        names = {"promptName": row.prompt_name or None, "promptVersion": row.prompt_version}
        result |= {"promptId": None, **names}
    if "trace_context" in groups:
        result |= {"tags": list(row.tags), "release": row.release, "traceName": row.trace_name}
    first = None if row.completion_start is None else milliseconds(row.completion_start)
    result |= {
        "latency": seconds(row.latency_ms),
        "timeToFirstToken": None if first is None else seconds(first - milliseconds(row.start)),
    }
    return result | dict.fromkeys(("modelId", "inputPrice", "outputPrice", "totalPrice"))


def basic_fields(row: Observation) -> dict[str, Any]:
    return {
        "name": row.name,
        "level": row.level,
        "statusMessage": row.status_message,
        "version": row.version,
        "environment": row.environment,
        "userId": row.user_id or None,
        "sessionId": row.session_id or None,
        "isRootObservation": row.is_root,
        "bookmarked": False,
        "public": row.public,
    }


def usage_fields(row: Observation) -> dict[str, Any]:
    def part(name: str) -> int | float | None:
        found = [amount for key, amount in row.cost.items() if key.startswith(name)]
        return plain_number(sum(found)) if found else None

    return {
        "usageDetails": row.usage,
        "inputUsage": sum(count for key, count in row.usage.items() if key.startswith("input")),
        "outputUsage": sum(count for key, count in row.usage.items() if key.startswith("output")),
        "totalUsage": row.usage.get("total", 0),
        "costDetails": {key: plain_number(amount) for key, amount in row.cost.items()},
        "inputCost": part("input"),
        "outputCost": part("output"),
        "totalCost": plain_number(row.total_cost),
        "usagePricingTierId": "standard" if row.cost_is_inferred else None,
        "usagePricingTierName": "Standard" if row.cost_is_inferred else None,
    }


def readable(text: str) -> Any:
    """Metadata is decoded on reading, whether it was stored as JSON or bare."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def seconds(ms: int | None) -> int | float | None:
    return None if ms is None else plain_number(ms / 1000)
