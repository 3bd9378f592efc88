"""Scores: what POST /api/public/scores accepts, and GET /api/public/v3/scores."""

import base64
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.standins.langfuse.answers import (
    Answer,
    Issue,
    custom,
    invalid_data,
    too_big,
    too_small,
    wrong_datetime,
    wrong_option,
    wrong_type,
)
from tests.standins.langfuse.filters import parse_datetime
from tests.standins.langfuse.metrics import plain_number
from tests.standins.langfuse.prices import is_number
from tests.standins.langfuse.records import Score, environment_name, iso, milliseconds
from tests.standins.langfuse.store import Store

DATA_TYPES = ("NUMERIC", "CATEGORICAL", "BOOLEAN", "CORRECTION", "TEXT")
TARGETS = ("traceId", "sessionId", "datasetRunId")
ONE_TARGET = (
    "Provide exactly one of the following: traceId (with optional observationId), sessionId or datasetRunId. "
    "ObservationId requires traceId."
)
GROUPS = ("details", "subject", "annotation")
LISTS = {"id", "name", "source", "dataType", "environment", "configId", "traceId", "sessionId", "observationId"}
PARAMETERS = LISTS | {"limit", "cursor", "fields", "fromTimestamp", "toTimestamp"}


def post_scores(store: Store, body: object, *, takes_list: bool) -> Answer:
    """Servers from 4.59.0 on take a list (202, or 207 when some are rejected), 4.16 takes one object (200)."""
    if not takes_list:
        if not isinstance(body, dict):
            raise invalid_data(*[wrong_type([], "object", body)] * 2)
        if issues := score_issues(body):
            raise invalid_data(*issues)
        score = score_of(body)
        store.put_scores([score])
        return Answer(200, {"id": score.id})
    if not isinstance(body, list):
        raise invalid_data(wrong_type([], "array", body))
    if not body:
        raise invalid_data(custom([], "Too small: expected array to have >=1 items"))
    faults = [score_issues(item) for item in body]
    store.put_scores([score_of(item) for item, found in zip(body, faults, strict=True) if not found])
    errors = [{"message": "; ".join(issue["message"] for issue in found)} for found in faults if found]
    if not errors:
        return Answer(202, {"message": "Accepted"})
    return Answer(207, {"accepted": len(body) - len(errors), "rejected": len(errors), "errors": errors})


def score_issues(body: object) -> list[Issue]:
    if not isinstance(body, dict):
        return [wrong_type([], "object", body)]
    issues: list[Issue] = []
    if not isinstance(body.get("name"), str) or not body["name"]:
        issues.append(wrong_type(["name"], "string", body.get("name")))
    given = [name for name in TARGETS if body.get(name)]
    if len(given) != 1 or (body.get("observationId") and given != ["traceId"]):
        issues.append(custom([*TARGETS, "observationId"], ONE_TARGET))
    if body.get("timestamp") is not None and parse_datetime(body["timestamp"]) is None:
        issues.append(wrong_datetime(["timestamp"]))
    return issues + value_issues(body.get("dataType"), body.get("value"))


def value_issues(kind: object, value: object) -> list[Issue]:
    match kind:
        case None:
            return [] if is_number(value) or isinstance(value, str) else [wrong_type(["value"], "number", value)]
        case "NUMERIC" | "BOOLEAN" if not is_number(value):
            return [wrong_type(["value"], "number", value)]
        case "BOOLEAN" if value not in (0, 1):
            message = "Value must be a number equal to either 0 or 1 for data type BOOLEAN"
            return [custom(["value"], message)]
        case "CATEGORICAL" | "CORRECTION" | "TEXT" if not isinstance(value, str):
            return [wrong_type(["value"], "string", value)]
        case "TEXT" if not 1 <= len(str(value)) <= 500:
            return [custom(["value"], "Too big: expected string to have <=500 characters")]
        case _:
            return [] if kind in DATA_TYPES else [wrong_option(["dataType"], DATA_TYPES)]


def score_of(body: Mapping[str, Any]) -> Score:
    now = datetime.now(UTC)
    value = body["value"]
    return Score(
        id=body.get("id") or str(uuid.uuid4()),
        name=body["name"],
        value=value,
        data_type=body.get("dataType") or ("CATEGORICAL" if isinstance(value, str) else "NUMERIC"),
        trace_id=body.get("traceId") or "",
        observation_id=body.get("observationId") or "",
        session_id=body.get("sessionId") or "",
        dataset_run_id=body.get("datasetRunId") or "",
        comment=body.get("comment"),
        metadata=body.get("metadata") or {},
        environment=environment_name(body.get("environment") or ""),
        config_id=body.get("configId"),
        source="API",
        timestamp=parse_datetime(body.get("timestamp")) or now,
        created=now.replace(microsecond=0),
        updated=now,
        arrived=time.monotonic(),
    )


def get_scores(scores: Sequence[Score], project: str, query: Mapping[str, list[str]]) -> Answer:
    """Newest first, in pages; an unknown parameter, as userId is here, is refused."""
    unknown = [name for name in query if name not in PARAMETERS]
    if unknown:
        message = f"Unrecognized key: {', '.join(unknown)}"
        raise invalid_data({"code": "unrecognized_keys", "keys": unknown, "path": [], "message": message})
    given = {name: values[-1] for name, values in query.items()}
    groups = [group for group in given.get("fields", "").split(",") if group]
    if issues := [wrong_option(["fields"], GROUPS) for group in groups if group not in GROUPS]:
        raise invalid_data(*issues)
    limit = page_size(given.get("limit"), 100)
    found = [score for score in scores if is_asked_for(score, given)]
    found.sort(key=position_of, reverse=True)
    if cursor := given.get("cursor"):
        after = tuple(json.loads(base64.urlsafe_b64decode(cursor)))
        found = [score for score in found if position_of(score) < after]
    meta: dict[str, object] = {"limit": limit}
    if len(found) > limit:
        last = json.dumps(position_of(found[limit - 1]))
        meta["cursor"] = base64.urlsafe_b64encode(last.encode()).decode()
    data = [shown(score, project, groups) for score in found[:limit]]
    return Answer(200, {"data": data, "meta": meta})


def is_asked_for(score: Score, given: Mapping[str, str]) -> bool:
    values = {
        "id": score.id,
        "name": score.name,
        "source": score.source,
        "dataType": score.data_type,
        "environment": score.environment,
        "configId": score.config_id,
        "traceId": score.trace_id,
        "sessionId": score.session_id,
        "observationId": score.observation_id,
    }
    upper = {"source", "dataType"}
    for name in LISTS & given.keys():
        wanted = given[name].upper() if name in upper else given[name]
        if values[name] not in wanted.split(","):
            return False
    start, end = moment_in(given, "fromTimestamp"), moment_in(given, "toTimestamp")
    return (start is None or score.timestamp >= start) and (end is None or score.timestamp < end)


def position_of(score: Score) -> tuple[int, str]:
    return milliseconds(score.timestamp), score.id


def shown(score: Score, project: str, groups: Sequence[str]) -> dict[str, Any]:
    value: object = score.value
    if not isinstance(score.value, str):
        value = bool(score.value) if score.data_type == "BOOLEAN" else plain_number(score.value)
    result: dict[str, Any] = {
        "id": score.id,
        "projectId": project,
        "name": score.name,
        "source": score.source,
        "timestamp": iso(score.timestamp),
        "environment": score.environment,
        "createdAt": iso(score.created),
        "updatedAt": iso(score.updated),
        "dataType": score.data_type,
        "value": value,
    }
    if "details" in groups:
        result |= {"comment": score.comment, "configId": score.config_id, "metadata": score.metadata}
    if "annotation" in groups:
        result |= {"authorUserId": None, "queueId": None}
    if "subject" in groups:
        result["subject"] = subject_of(score)
    return result


def subject_of(score: Score) -> dict[str, str]:
    if score.observation_id:
        return {"kind": "observation", "id": score.observation_id, "traceId": score.trace_id}
    if score.trace_id:
        return {"kind": "trace", "id": score.trace_id}
    if score.session_id:
        return {"kind": "session", "id": score.session_id}
    return {"kind": "experiment", "id": score.dataset_run_id}


def page_size(text: str | None, maximum: int, name: str = "limit") -> int:
    """Rows per page, 50 unless asked for; more than `maximum` is refused."""
    if text is None:
        return 50
    if not text.isdecimal():
        raise invalid_data(wrong_type([name], "number", text))
    if int(text) > maximum:
        raise invalid_data(too_big([name], maximum))
    if int(text) < 1:
        raise invalid_data(too_small([name], 1))
    return int(text)


def moment_in(given: Mapping[str, str], name: str) -> datetime | None:
    """A date-time parameter; refused without an offset or Z."""
    if name not in given:
        return None
    moment = parse_datetime(given[name])
    if moment is None:
        raise invalid_data(wrong_datetime([name]))
    return moment
