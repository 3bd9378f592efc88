"""The Langfuse stand-in gives the answers that were recorded from a real server.

The recordings hold no span bodies, so the rows behind an answer are rebuilt from the answer: for metrics, per
group, as many observations as were counted, with latencies that have the recorded percentile. Times of
storage and the id of a price tier are not compared. Not replayed: POST /api/public/ingestion (SDK 4 only).
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from langfuse import LangfuseOtelSpanAttributes as Key
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tests.standins.langfuse import LangfuseStandIn, Project
from tests.standins.langfuse_sender import MODEL, send, span, span_id, trace_id

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "langfuse"
METRICS, EXCHANGES = FOLDER / "metrics_recorded.txt", FOLDER / "http_recorded.jsonl"
pytestmark = pytest.mark.skipif(
    not (METRICS.exists() and EXCHANGES.exists()), reason="the recordings in ../shared/data/langfuse are missing"
)
DAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOT_COMPARED = {"createdAt", "updatedAt", "usagePricingTierId"}
ATTRIBUTES = {
    "userId": Key.TRACE_USER_ID,
    "traceName": Key.TRACE_NAME,
    "providedModelName": Key.OBSERVATION_MODEL,
    "level": Key.OBSERVATION_LEVEL,
    "tags": Key.TRACE_TAGS,
}


@dataclass(frozen=True)
class Recorded:
    """A metrics query and its answer; `lines` lacks what was cut off in a long answer."""

    title: str
    query: dict[str, Any]
    status: int
    body: Any
    lines: list[dict[str, Any]]
    is_cut: bool


@cache
def recorded_metrics() -> dict[str, Recorded]:
    found = {}
    for block in METRICS.read_text().split("## ")[1:] if METRICS.exists() else []:
        title, *rest = block.strip().splitlines()
        if len(rest) < 2:
            continue
        status, text = rest[1].split(" ", 1)
        body, is_cut = None, False
        try:
            body = json.loads(text)
        except ValueError:
            is_cut = True
            body = json.loads(text[: text.rindex("}, {") + 1] + "]}")
        lines = body["data"] if status == "200" else []
        found[title] = Recorded(title, json.loads(rest[0]), int(status), body, lines, is_cut)
    return found


@cache
def exchanges() -> list[dict[str, Any]]:
    return [json.loads(line) for line in EXCHANGES.read_text().splitlines()]


def titles(status: int, view: str) -> list[str]:
    return [
        title
        for title, recorded in recorded_metrics().items()
        if recorded.status == status and (status != 200 or recorded.query["view"] == view)
    ]


def asked(lf: LangfuseStandIn, query: Mapping[str, Any]) -> httpx.Response:
    return httpx.get(
        f"{lf.base_url}/api/public/v2/metrics",
        params={"query": json.dumps(query)},
        auth=(lf.public_key, lf.secret_key),
    )


def assert_same_lines(answered: list[dict[str, Any]], recorded: list[dict[str, Any]], first: str) -> None:
    """The same lines in the same order, which is open between lines that are equal in the first metric."""
    assert [line[first] for line in answered] == [line[first] for line in recorded]
    assert sorted(map(json.dumps, answered)) == sorted(map(json.dumps, recorded))


def latencies(count: int, p95: float) -> list[int]:
    """Milliseconds of `count` observations whose 95th percentile is exactly that number."""
    position = 0.95 * (count - 1)
    right = position - math.floor(position)
    left = math.floor(position) + 1 - position
    for upper in range(2000):
        lower = round((p95 - upper * right) / left)
        if 0 <= lower <= upper and lower * left + upper * right == p95:
            return [lower] * (math.floor(position) + 1) + [upper] * (count - math.floor(position) - 1)
    raise AssertionError(f"no latencies give {p95} for {count}")


def spans_behind(query: Mapping[str, Any], line: Mapping[str, Any], seed: str) -> Iterator[ReadableSpan]:
    """Roots of type GENERATION; all the cost and all the tokens lie on the first."""
    if not line["count_count"]:
        return
    attributes: dict[str, Any] = {Key.OBSERVATION_TYPE: "generation", f"{Key.OBSERVATION_METADATA}.channel": "slack"}
    attributes |= {name: line[field] for field, name in ATTRIBUTES.items() if line.get(field) is not None}
    for condition in query["filters"]:
        if condition["column"] == "userId":
            attributes[Key.TRACE_USER_ID] = condition["value"]
    usage = {name: line.get(f"sum_{name}Tokens", 0) for name in ("input", "output", "total")}
    for index, latency in enumerate(latencies(line["count_count"], line["p95_latency"])):
        cost = {"total": 0.0 if index else float(line["sum_totalCost"])}
        own = {
            **attributes,
            Key.OBSERVATION_COST_DETAILS: json.dumps(cost),
            Key.OBSERVATION_USAGE_DETAILS: json.dumps({} if index else usage),
        }
        key = f"{seed}:{index}"
        lasts = timedelta(milliseconds=latency)
        yield span(trace_id(key), span_id(key), line.get("name", "some"), own, start=DAY, lasts=lasts)


@pytest.mark.parametrize("title", titles(400, ""))
def test_a_recorded_refusal_is_given_again(title: str) -> None:
    recorded = recorded_metrics()[title]
    with LangfuseStandIn() as lf:
        answer = asked(lf, recorded.query)
    assert (answer.status_code, answer.json()) == (400, recorded.body)


@pytest.mark.parametrize("title", titles(200, "observations"))
def test_recorded_metrics_are_given_again(title: str) -> None:
    recorded = recorded_metrics()[title]
    with LangfuseStandIn() as lf:
        for index, line in enumerate(recorded.lines):
            spans = list(spans_behind(recorded.query, line, f"{title}:{index}"))
            assert not spans or send(lf, spans, sdk="4.18.0")
        answer = asked(lf, recorded.query)
    assert answer.status_code == 200
    assert_same_lines(answer.json()["data"], recorded.lines, "sum_totalCost")


def scores_behind() -> Iterator[dict[str, Any]]:
    """All scores of the recorded server, out of what it answered by user and by name."""
    metrics = recorded_metrics()
    by_name = {line["name"]: line for line in metrics["scores-numeric by name"].lines}
    booleans = {line["name"] for line in metrics["scores-boolean by name"].lines}
    groups = [dict(line) for line in metrics["scores-numeric by userId top-n"].lines]
    for name, line in by_name.items():
        rest = line["count_count"] - sum(group["count_count"] for group in groups if group["name"] == name)
        if rest:
            groups.append({"userId": None, "name": name, "count_count": rest, "avg_value": line["avg_value"]})
    for group in groups:
        ones = round(group["avg_value"] * group["count_count"])
        for index in range(group["count_count"]):
            value = float(index < ones) if group["count_count"] > 1 else group["avg_value"]
            user = group["userId"]
            yield {
                "id": f"{user}:{group['name']}:{index}",
                "name": group["name"],
                "value": value,
                "dataType": "BOOLEAN" if group["name"] in booleans else "NUMERIC",
                "timestamp": DAY.isoformat(),
                "traceId": trace_id(str(user)),
                "user": user,
            }


def test_recorded_metrics_of_scores_are_given_again() -> None:
    scores = list(scores_behind())
    users = {score.pop("user") for score in scores} - {None}
    with LangfuseStandIn() as lf:
        send(lf, [span(trace_id(user), span_id(user), "root", {"user.id": user}, start=DAY) for user in users])
        auth = (lf.public_key, lf.secret_key)
        assert httpx.post(f"{lf.base_url}/api/public/scores", json=scores, auth=auth).status_code == 202
        for title in titles(200, "scores-numeric") + titles(200, "scores-boolean"):
            recorded = recorded_metrics()[title]
            answer = asked(lf, recorded.query)
            assert not recorded.is_cut
            assert_same_lines(answer.json()["data"], recorded.lines, "count_count")


def span_behind(observation: Mapping[str, Any], sdk: str) -> ReadableSpan:
    """The span that became this observation of GET /api/public/v2/observations."""
    metadata = observation.get("metadata", {})
    attributes: dict[str, Any] = {
        Key.OBSERVATION_TYPE: observation["type"].lower(),
        Key.TRACE_USER_ID: observation["userId"],
        Key.TRACE_SESSION_ID: observation["sessionId"],
    }
    attributes |= {
        f"{Key.OBSERVATION_METADATA}.{key}": value
        for key, value in metadata.items()
        if not key.startswith(("scope.", "resourceAttributes."))
    }
    if observation["type"] == "GENERATION":
        usage = observation.get("usageDetails", {"input": 1000, "output": 200})
        attributes |= {Key.OBSERVATION_MODEL: MODEL, Key.OBSERVATION_USAGE_DETAILS: json.dumps(usage)}
    start = datetime.fromisoformat(observation["startTime"])
    return span(
        observation["traceId"],
        observation["id"],
        observation["name"],
        attributes,
        parent=observation["parentObservationId"] or "",
        start=start,
        lasts=datetime.fromisoformat(observation["endTime"]) - start,
        resource=parts_of(metadata, "resourceAttributes.") or {"service.name": "unknown_service:python"},
        scope=InstrumentationScope("langfuse-sdk", sdk, attributes=parts_of(metadata, "scope.attributes.")),
    )


def parts_of(metadata: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items() if key not in NOT_COMPARED}
    return [comparable(item) for item in value] if isinstance(value, list) else value


def full_rows() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """SDK version and observations of each recorded trace."""
    for exchange in exchanges():
        if exchange["path"].startswith("/api/public/v2/observations"):
            rows = json.loads(exchange["resp_body"])["data"]
            if rows:
                yield exchange["req_headers"]["X-Langfuse-Sdk-Version"], rows


def is_early(exchange: Mapping[str, Any]) -> bool:
    """Asked before the server showed what it had taken: the same request got another answer later."""
    later = [other for other in exchanges() if other["path"] == exchange["path"] and other["method"] == "GET"]
    return bool(comparable(json.loads(later[-1]["resp_body"])) != comparable(json.loads(exchange["resp_body"])))


@pytest.fixture
def replayed() -> Iterator[LangfuseStandIn]:
    """A stand-in with the keys and the project of the recorded server, and its two traces."""
    (project,) = json.loads(exchanges()[0]["resp_body"])["data"]
    owner = project["organization"]
    public_key = exchanges()[0]["req_headers"]["X-Langfuse-Public-Key"]
    own = Project(project["id"], project["name"], owner["id"], owner["name"])
    with LangfuseStandIn(project=own, public_key=public_key) as lf:
        for sdk, rows in full_rows():
            assert send(lf, [span_behind(row, sdk) for row in rows], sdk=sdk)
        yield lf


def test_recorded_exchanges_are_answered_again(replayed: LangfuseStandIn) -> None:
    count = 0
    with httpx.Client(base_url=replayed.base_url, auth=(replayed.public_key, replayed.secret_key)) as http:
        for exchange in exchanges():
            if exchange["path"].endswith(("/otel/v1/traces", "/ingestion")):
                continue
            lag = 3600 if exchange["method"] == "GET" and is_early(exchange) else 0
            replayed.store.visible_after = replayed.store.scores_visible_after = lag
            content = exchange["req_body"].encode()
            answer = http.request(exchange["method"], exchange["path"], content=content)
            assert answer.status_code == exchange["status"], exchange["path"]
            # As texts, because to Python true is 1.
            answered, expected = (
                json.dumps(comparable(body), sort_keys=True)
                for body in (answer.json(), json.loads(exchange["resp_body"]))
            )
            assert answered == expected, exchange["path"]
            assert answer.headers["content-type"] == exchange["resp_headers"]["Content-Type"]
            count += 1
    assert count == len(exchanges()) - 3


def test_a_batch_is_answered_with_the_recorded_job() -> None:
    recorded = [exchange for exchange in exchanges() if exchange["path"].endswith("/otel/v1/traces")]
    for exchange in recorded:
        names = ("content-type", "x-langfuse-sdk-name", "x-langfuse-sdk-version", "x-langfuse-ingestion-version")
        headers = {name: value for name, value in exchange["req_headers"].items() if name.lower() in names}
        expected = json.loads(exchange["resp_body"])
        scope = expected["data"]["payload"]["authCheck"]["scope"]
        project = Project(scope["projectId"], "", scope["orgId"], "")
        key = expected["data"]["payload"]["data"]["publicKey"]
        with LangfuseStandIn(project=project, public_key=key) as lf:
            path = f"{lf.base_url}{exchange['path']}"
            answer = httpx.post(path, headers=headers, auth=(lf.public_key, lf.secret_key))
        assert answer.status_code == exchange["status"] == 200
        job = answer.json()
        for body in (job, expected):
            del body["data"]["payload"]["data"]["fileKey"]
        assert job["data"]["payload"] == expected["data"]["payload"]
        assert (job["name"], job["queueQualifiedName"]) == (expected["name"], expected["queueQualifiedName"])


def test_a_v1_endpoint_is_refused_as_recorded() -> None:
    line = next(line for line in METRICS.read_text().splitlines() if line.startswith("## v1 metrics"))
    with LangfuseStandIn() as lf:
        answer = httpx.get(f"{lf.base_url}/api/public/metrics", auth=(lf.public_key, lf.secret_key))
    assert f"({answer.status_code}, {answer.json()})" in line
