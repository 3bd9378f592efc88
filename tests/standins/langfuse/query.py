"""The query of metrics v2: its schema, and the rules the server adds to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.standins.langfuse.answers import (
    Answer,
    Issue,
    RefusedError,
    custom,
    invalid_data,
    invalid_request,
    not_imitated,
    too_big,
    too_small,
    wrong_datetime,
    wrong_option,
    wrong_type,
)
from tests.standins.langfuse.filters import Filter, parse_datetime, parse_filters
from tests.standins.langfuse.views import VIEWS, View

AGGREGATIONS = ("sum", "avg", "count", "max", "min", "p50", "p75", "p90", "p95", "p99", "histogram", "uniq")
GRANULARITIES = ("auto", "minute", "hour", "day", "week", "month")


@dataclass(frozen=True)
class Query:
    """An accepted query. `start` and `end` are both inside the window."""

    view: View
    dimensions: list[str]
    metrics: list[tuple[str, str]]  # measure, aggregation
    filters: list[Filter]
    granularity: str | None
    start: datetime
    end: datetime
    order: list[tuple[str, str]]  # output name, direction
    row_limit: int


def parse_query(text: str | None) -> Query:
    """Raises RefusedError with the 400 of the server."""
    if text is None:
        raise invalid_data(wrong_type(["query"], "string", None))
    try:
        raw = json.loads(text)
    except ValueError:
        raise RefusedError(Answer(400, {"message": "Invalid JSON in query parameter"})) from None
    if not isinstance(raw, dict):
        raise invalid_data(wrong_type(["query"], "object", raw))
    filters, issues = parse_filters(raw.get("filters", []), ["query", "filters"])
    issues = [*shape_issues(raw), *issues, *window_issues(raw), *config_issues(raw.get("config"))]
    if issues:
        raise invalid_data(*issues)
    query = Query(
        view=VIEWS[raw["view"]],
        dimensions=[item["field"] for item in raw.get("dimensions", [])],
        metrics=[(item["measure"], item["aggregation"]) for item in raw["metrics"]],
        filters=filters,
        granularity=(raw.get("timeDimension") or {}).get("granularity"),
        start=datetime.fromisoformat(raw["fromTimestamp"]),
        end=datetime.fromisoformat(raw["toTimestamp"]),
        order=[(item["field"], item["direction"]) for item in raw.get("orderBy") or []],
        row_limit=(raw.get("config") or {}).get("row_limit", 100),
    )
    check_cardinality(query, has_limit="row_limit" in (raw.get("config") or {}))
    check_names(query)
    return query


def shape_issues(raw: dict[str, Any]) -> list[Issue]:
    issues: list[Issue] = []
    if raw.get("view") not in VIEWS:
        issues.append(wrong_option(["query", "view"], list(VIEWS)))
    issues += list_issues(raw.get("dimensions", []), "dimensions", {"field": None})
    issues += list_issues(raw.get("metrics"), "metrics", {"measure": None, "aggregation": AGGREGATIONS})
    orders = {"field": None, "direction": ("asc", "desc")}
    issues += list_issues(raw.get("orderBy") or [], "orderBy", orders)
    bucket = raw.get("timeDimension")
    if bucket is not None and not isinstance(bucket, dict):
        issues.append(wrong_type(["query", "timeDimension"], "object", bucket))
    elif bucket is not None and bucket.get("granularity") not in GRANULARITIES:
        issues.append(wrong_option(["query", "timeDimension", "granularity"], GRANULARITIES))
    return issues


def list_issues(value: object, name: str, fields: Mapping[str, tuple[str, ...] | None]) -> list[Issue]:
    """A list of objects whose fields are texts, some of them out of a fixed choice."""
    if not isinstance(value, list):
        return [wrong_type(["query", name], "array", value)]
    issues: list[Issue] = []
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            issues.append(wrong_type(["query", name, index], "object", item))
            continue
        for field, options in fields.items():
            path: list[str | int] = ["query", name, index, field]
            if options is None and not isinstance(item.get(field), str):
                issues.append(wrong_type(path, "string", item.get(field)))
            elif options is not None and item.get(field) not in options:
                issues.append(wrong_option(path, options))
    return issues


def window_issues(raw: dict[str, Any]) -> list[Issue]:
    """Both ends are ISO date-times with an offset or Z; a bare date is not enough."""
    ends = {name: parse_datetime(raw.get(name)) for name in ("fromTimestamp", "toTimestamp")}
    issues = [wrong_datetime(["query", name]) for name, moment in ends.items() if moment is None]
    start, end = ends.values()
    if start and end and start >= end:
        issues.append(custom(["query"], "fromTimestamp must be before toTimestamp"))
    return issues


def config_issues(config: object) -> list[Issue]:
    if config is None:
        return []
    if not isinstance(config, dict):
        return [wrong_type(["query", "config"], "object", config)]
    issues: list[Issue] = []
    for name, maximum in (("row_limit", 1000), ("bins", 100)):
        value = config.get(name)
        path = ["query", "config", name]
        if value is None:
            continue
        if type(value) is not int:
            issues.append(wrong_type(path, "int", value))
        elif value > maximum:
            issues.append(too_big(path, maximum))
        elif value < 1:
            issues.append(too_small(path, 1))
    return issues


def check_cardinality(query: Query, *, has_limit: bool) -> None:
    """Grouping by user, trace and the like needs a limit and a descending measure, and no time axis."""
    known = query.view.dimensions
    high = [name for name in query.dimensions if name in known and known[name].high_cardinality]
    if not high:
        return
    named = f"High cardinality dimension(s) '{', '.join(high)}'"
    if query.granularity:
        raise invalid_request(
            f"{named} cannot be used with timeDimension. Time series queries with high cardinality "
            "dimensions produce unbounded result sets."
        )
    falling = [field for field, direction in query.order if direction == "desc"]
    if not has_limit or not falling:
        raise invalid_request(
            f"{named} require both 'config.row_limit' and 'orderBy' with direction 'desc' on a measure field."
        )
    measures = [measure for measure, _ in query.metrics]
    wrong = [field for field in falling if not any(field == name or field.endswith(f"_{name}") for name in measures)]
    if wrong:
        verb = "is" if len(wrong) == 1 else "are"
        raise invalid_request(
            f"{named} require 'orderBy' with direction 'desc' on a measure field. "
            f"'{', '.join(wrong)}' {verb} not a measure in this query."
        )


def check_names(query: Query) -> None:
    dimensions, measures = query.view.dimensions, query.view.measures
    for name in query.dimensions:
        if name not in dimensions:
            raise invalid_request(f"Invalid dimension {name}. Must be one of {','.join(dimensions)}")
    for name, aggregation in query.metrics:
        if name not in measures:
            raise invalid_request(f"Invalid metric {name}. Must be one of {','.join(measures)}")
        if measures[name].kind == "string" and aggregation not in ("count", "uniq"):
            raise invalid_request(
                f'Aggregation "{aggregation}" is not valid for measure "{name}" (type: string). '
                "Valid aggregations: count, uniq"
            )
    for condition in query.filters:
        check_filter(condition, query.view)
    outputs = {f"{aggregation}_{measure}" for measure, aggregation in query.metrics}
    outputs |= {*query.dimensions, *(["time_dimension"] if query.granularity else [])}
    for field, _ in query.order:
        if field not in outputs:
            raise invalid_request(f"Invalid orderBy field: {field}. Must be one of the dimension or metric fields.")
    check_imitated(query)


def check_filter(condition: Filter, view: View) -> None:
    dimension = view.dimensions.get(condition.column)
    if dimension and dimension.is_array and condition.type == "string":
        raise invalid_request(
            f"Invalid filter for field '{condition.column}': Array fields require type 'arrayOptions', not "
            "'string'. Use operators like 'any of', 'all of', or 'none of' with an array of values."
        )
    if condition.column == "metadata" and condition.type != "stringObject":
        raise invalid_request(
            "Invalid filter for field 'metadata': Metadata filters require type 'stringObject' with a 'key' "
            f"property, not '{condition.type}'. Example: "
            '{"column": "metadata", "type": "stringObject", "key": "environment", "operator": "=", '
            '"value": "production"}'
        )
    by_name = condition.column.endswith("Name")  # scoreName and the like fall back to name
    if not dimension and condition.column not in ("metadata", view.time_column) and not by_name:
        raise invalid_request(
            f"Invalid filter column {condition.column}. "
            f"Must be one of {','.join(view.dimensions)} or {view.time_column}"
        )


def check_imitated(query: Query) -> None:
    used = [*query.dimensions, *(condition.column for condition in query.filters)]
    for name in used:
        if name in query.view.dimensions and not query.view.dimensions[name].imitated:
            raise not_imitated(f"the dimension {name}")
    for name, aggregation in query.metrics:
        if not query.view.measures[name].imitated or aggregation == "histogram":
            raise not_imitated(f"{aggregation} of {name}")
    if query.granularity in ("week", "month", "auto"):
        raise not_imitated(f"the granularity {query.granularity}")
