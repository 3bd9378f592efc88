"""Every answer of the Langfuse stand-in is as the OpenAPI file says, or as a real server was recorded."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from langfuse import Evaluation

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse.api import HANDLERS
from tests.standins.langfuse.server import Request, body_of
from tests.standins.langfuse_sender import own_key, sdk_of, send, text2sql_trace, trace_id
from tests.standins.openapi import Exceptions, Exchange, OpenAPI

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "langfuse"
OPENAPI, RECORDED = FOLDER / "openapi.yml", FOLDER / "http_recorded.jsonl"
pytestmark = pytest.mark.skipif(
    not (OPENAPI.exists() and RECORDED.exists()),
    reason="the OpenAPI file and the recordings in ../shared/data/langfuse are missing",
)
USAGE = ("inputCost", "inputUsage", "outputCost", "outputUsage", "totalUsage", "usagePricingTierId")
JOB = (
    "attemptsMade",
    "attemptsStarted",
    "data",
    "id",
    "name",
    "opts",
    "priority",
    "progress",
    "queueQualifiedName",
    "returnvalue",
    "stacktrace",
    "stalledCounter",
    "timestamp",
)
# Where the recorded server itself disagrees with the file: the recordings win.
SEEN = Exceptions(
    statuses={("POST", "/api/public/scores", 202): "the file knows one score (200), servers take lists since 4.59"},
    fields={
        **{("ObservationV2", name): "sent with the group `usage`, absent from the file" for name in USAGE},
        **{("OtelTraceResponse", name): "the file says empty, the server sends its queue's job" for name in JOB},
    },
)
# Where there is no recording, with the source that is believed instead of the file.
BELIEVED = Exceptions(
    paths={
        ("GET", "/api/public/scores"): "the file dropped it; the server's code answers 404 in events_only mode",
        ("GET", "/api/public/metrics/daily"): "never in the file; called on a real server, it answered 404",
    },
    statuses={
        ("POST", "/api/public/scores", 207): "SDK 5 has the type CreateScoreBatchResults for it",
        ("*", "*", 422): "a query that took too long: withMiddlewares in the server's code",
        ("*", "*", 429): "rate limits of Langfuse Cloud: RateLimitService in the server's code",
        ("*", "*", 500): "the server's fault, which the file leaves out everywhere",
        ("*", "*", 502): "said by a proxy in front of it",
        ("*", "*", 503): "said by a proxy in front of it",
        ("*", "*", 501): "the stand-in's own word for what it does not imitate",
    },
    fields={("ObservationV2", "model"): "SDK 5 reads the group `model` by this name, the file has providedModelName"},
)
NEVER_200 = {("GET", "/api/public/scores"), ("DELETE", "/api/public/v2/prompts/{promptName}")}
BOTH = Exceptions(
    paths={**SEEN.paths, **BELIEVED.paths},
    statuses={**SEEN.statuses, **BELIEVED.statuses},
    fields={**SEEN.fields, **BELIEVED.fields},
)
SINCE = {"fromStartTime": "2020-01-01T00:00:00Z"}
METRICS: dict[str, Any] = {
    "view": "observations",
    "dimensions": [{"field": "userId"}],
    "metrics": [{"measure": "totalCost", "aggregation": "sum"}, {"measure": "latency", "aggregation": "p95"}],
    "filters": [],
    "fromTimestamp": "2026-08-10T00:00:00Z",
    "toTimestamp": "2026-08-11T00:00:00Z",
    "orderBy": [{"field": "sum_totalCost", "direction": "desc"}],
    "config": {"row_limit": 100},
}
OBSERVATION_GROUPS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
ITEM_GROUPS = "core,dataset,io,metadata,itemMetadata,experimentMetadata,scores"


@cache
def api(exceptions_are: str = "both") -> OpenAPI:
    return OpenAPI(OPENAPI, {"both": BOTH, "none": Exceptions(), "seen": SEEN}[exceptions_are])


def answered(requests: Iterable[Request]) -> list[Exchange]:
    """What the stand-in sent."""
    found = []
    for request in requests:
        assert request.answer is not None
        raw = body_of(request.answer)
        kind = request.answer.headers.get("Content-Type", "application/json").split(";")[0]
        body = json.loads(raw) if raw else None
        found.append(Exchange(request.method, request.path, request.answer.status, body, kind))
    return found


def http_of(lf: LangfuseStandIn) -> httpx.Client:
    return httpx.Client(base_url=f"{lf.base_url}/api/public", auth=(lf.public_key, lf.secret_key))


def some_scores() -> list[dict[str, Any]]:
    values = {"NUMERIC": 0.5, "BOOLEAN": 1, "CATEGORICAL": "good", "TEXT": "well done", "CORRECTION": "SELECT 2"}
    trace = {"traceId": trace_id("q")}
    targets: list[dict[str, Any]] = [
        trace,
        {**trace, "observationId": "a" * 16},
        {"sessionId": "s-1"},
        {"datasetRunId": "run"},
        {**trace, "comment": "so so", "metadata": {"by": "ada"}},
    ]
    return [
        {"id": kind, "name": kind.lower(), "value": value, "dataType": kind, **target}
        for (kind, value), target in zip(values.items(), targets, strict=True)
    ]


def visit_traces(lf: LangfuseStandIn, http: httpx.Client) -> None:
    assert send(lf, text2sql_trace("q"))
    assert send(lf, text2sql_trace("error", error="boom", usage={}, cost={}))
    assert send(lf, text2sql_trace("inferred", cost={}))
    http.post("/otel/v1/traces", content=b"no protobuf")
    http.get("/health")
    http.get("/projects")
    observations: tuple[dict[str, Any], ...] = (
        {},
        {"fields": OBSERVATION_GROUPS},
        {"limit": 1},
        {"filter": "["},
        {"fields": "prices"},
        {"limit": 1001},
    )
    for query in observations:
        http.get("/v2/observations", params=query)
    metrics = (
        METRICS,
        {**METRICS, "dimensions": [], "timeDimension": {"granularity": "hour"}},
        {**METRICS, "view": "traces"},
        {**METRICS, "config": {}},
    )
    for query in metrics:
        http.get("/v2/metrics", params={"query": json.dumps(query)})
    for path in ("metrics", "metrics/daily", "traces", "traces/x", "sessions", "sessions/x", "observations"):
        http.get(f"/{path}")
    http.get("/v2/scores")
    http.get("/scores")


def visit_scores(lf: LangfuseStandIn, http: httpx.Client, *, as_list: bool) -> None:
    scores = some_scores()
    bad = {**scores[1], "value": 2}
    for body in [scores, [scores[0], bad], [], scores[0]] if as_list else [*scores, bad, scores]:
        http.post("/scores", json=body)
    queries: tuple[dict[str, Any], ...] = (
        {},
        {"fields": "details,subject,annotation"},
        {"limit": 1},
        {"dataType": "BOOLEAN,NUMERIC"},
        {"userId": "x"},
        {"limit": 101},
    )
    for query in queries:
        http.get("/v3/scores", params=query)
    for view in ("scores-numeric", "scores-boolean"):
        query = {**METRICS, "view": view, "dimensions": [{"field": "name"}], "orderBy": []}
        metrics = [{"measure": "count", "aggregation": "count"}, {"measure": "value", "aggregation": "avg"}]
        http.get("/v2/metrics", params={"query": json.dumps({**query, "metrics": metrics})})


def visit_prompts(lf: LangfuseStandIn, http: httpx.Client) -> None:
    lf.put_prompt("rules", "Answer in SQL.", ["production"])
    lf.put_prompt("a/chat", [{"role": "system", "content": "Answer in SQL."}], ["production", "staging"])
    for path in ("rules", "a%2Fchat", "a%2Fchat?label=staging", "rules?version=9", "rules?version=x", "none"):
        http.get(f"/v2/prompts/{path}")
    http.delete("/v2/prompts/rules")


def visit_datasets(http: httpx.Client) -> None:
    schema = {"type": "object"}
    datasets: tuple[dict[str, Any], ...] = (
        {"name": "a/b"},
        {"name": "c", "description": "d", "metadata": [1], "inputSchema": schema, "expectedOutputSchema": schema},
        {},
    )
    for body in datasets:
        http.post("/v2/datasets", json=body)
    for path in ("", "?limit=1&page=2", "?limit=101", "/a%2Fb", "/c", "/none"):
        http.get(f"/v2/datasets{path}")
    items: tuple[dict[str, Any], ...] = (
        {"datasetName": "a/b"},
        {"datasetName": "a/b", "id": "q1", "input": {"q": 1}, "expectedOutput": "SELECT 1", "sourceTraceId": "t"},
        {"datasetName": "a/b", "id": "q2", "status": "ARCHIVED", "metadata": {}, "sourceObservationId": "o"},
        {"datasetName": "c", "input": 1},
        {"datasetName": "none"},
        {},
    )
    for body in items:
        http.post("/dataset-items", json=body)
    for path in ("", "?datasetName=a%2Fb&version=2999-01-01T00:00:00Z", "?version=x", "/q1", "/q2", "/none"):
        http.get(f"/dataset-items{path}")


def visit_runs(http: httpx.Client) -> None:
    for body in ({"runName": "r 1", "datasetItemId": "q1", "traceId": "t"}, {"runName": "r 1"}):
        http.post("/dataset-run-items", json=body)
    http.post("/dataset-run-items", json={"runName": "r", "datasetItemId": "none", "traceId": "t"})
    dataset = http.get("/v2/datasets/a%2Fb").json()["id"]
    for path in (
        f"dataset-run-items?datasetId={dataset}&runName=r%201",
        "dataset-run-items",
        "dataset-run-items?datasetId=x&runName=y",
        "datasets/a%2Fb/runs",
        "datasets/none/runs",
        "datasets/a%2Fb/runs/r%201",
        "datasets/a%2Fb/runs/none",
    ):
        http.get(f"/{path}")
    for path in ("datasets/a%2Fb/runs/r%201", "datasets/a%2Fb/runs/none", "dataset-items/q1", "dataset-items/none"):
        http.delete(f"/{path}")


def visit_experiments(lf: LangfuseStandIn, http: httpx.Client) -> None:
    done: dict[str, Any] = {
        "task": lambda **_: {"sql": "SELECT 1"},
        "evaluators": [lambda **_: Evaluation(name="right", value=True, data_type="BOOLEAN")],
        "run_evaluators": [lambda **_: Evaluation(name="share", value=1.0)],
    }
    local: Any = [{"input": "q"}]
    with sdk_of(lf) as client:
        client.get_dataset("a/b").run_experiment(name="on items", metadata={"model": "m"}, description="d", **done)
        client.run_experiment(name="local", data=local, **done)
    for path, groups in {"experiments": "core,metadata,scores", "experiment-items": ITEM_GROUPS}.items():
        for more in ({}, {"fields": groups}, {"limit": 1}, {"fields": "x"}, {"cursor": "x"}, {"scoreLimit": 51}):
            http.get(f"/{path}", params={**SINCE, **more})
        http.get(f"/{path}")


def visit_all(lf: LangfuseStandIn, *, scores_as_list: bool = True) -> None:
    with http_of(lf) as http:
        visit_traces(lf, http)
        visit_scores(lf, http, as_list=scores_as_list)
        visit_prompts(lf, http)
        visit_datasets(http)
        if scores_as_list:  # the SDK that runs experiments sends lists
            visit_experiments(lf, http)
        visit_runs(http)


@pytest.mark.parametrize("version", ["4.16", "4.59", "cloud"])
@pytest.mark.parametrize("write_mode", ["events_only", "dual"])
def test_every_answer_is_as_the_file_says(version: Any, write_mode: Any) -> None:
    with LangfuseStandIn(version=version, write_mode=write_mode, public_key=own_key()) as lf:
        visit_all(lf, scores_as_list=version != "4.16")
    assert api().faults(answered(lf.requests)) == []


def test_every_endpoint_of_the_stand_in_is_visited_and_answers_well_and_ill() -> None:
    well: set[tuple[str, str | None]] = set()
    ill: set[tuple[str, str | None]] = set()
    with LangfuseStandIn(write_mode="dual", public_key=own_key()) as lf:
        visit_all(lf)
    for exchange in answered(lf.requests):
        (well if exchange.status < 300 else ill).add((exchange.method, api().template_of(exchange.path)))
    assert HANDLERS.keys() - well == NEVER_200
    without_refusal = {("GET", "/api/public/health"), ("GET", "/api/public/projects")}  # but for what all refuse
    assert HANDLERS.keys() - ill == without_refusal


def test_no_exception_without_a_recording_has_become_idle() -> None:
    with LangfuseStandIn(public_key=own_key()) as lf:
        visit_all(lf)
    faults = api("seen").faults(answered(lf.requests))
    for method, path in BELIEVED.paths:
        assert [fault for fault in faults if fault.startswith(f"{method} {path} ") and "no such" in fault]
    for method, template, status in BELIEVED.statuses:
        if method != "*":
            assert f"{method} {template} {status}: no such status" in faults
    assert [name for _, name in BELIEVED.fields if f"'{name}'" not in "\n".join(faults)] == []


def test_every_endpoint_of_the_stand_in_is_in_the_file() -> None:
    excepted = {operation for operation in BELIEVED.paths if operation in HANDLERS}
    assert HANDLERS.keys() - api().operations == excepted


@pytest.mark.parametrize(("method", "template"), HANDLERS)
def test_every_endpoint_wants_keys_and_its_own_methods(method: str, template: str) -> None:
    path = template.format(promptName="p", datasetName="d", runName="r", id="i")
    with LangfuseStandIn() as lf:
        url = f"{lf.base_url}{path}"
        open_to_all = template.endswith("/health")
        assert httpx.request(method, url).status_code == (200 if open_to_all else 401)
        wrong = httpx.request(method, url, auth=(lf.public_key, "sk-lf-wrong"))
        assert wrong.status_code == (200 if open_to_all else 401)
        assert httpx.patch(url, auth=(lf.public_key, lf.secret_key)).status_code == 405
    assert api().faults(answered(lf.requests)) == []


@pytest.mark.parametrize("status", [400, 401, 422, 429, 500, 502, 503])
def test_injected_failures_are_answers_that_the_server_or_its_proxy_gives(status: int) -> None:
    with LangfuseStandIn() as lf, http_of(lf) as http:
        lf.fail(next=None, status=status, retry_after=1)
        for path in ("/projects", "/v2/metrics", "/v2/datasets"):
            assert http.get(path).status_code == status
    assert api().faults(answered(lf.requests)) == []


@pytest.mark.parametrize("kind", ["html", "shape", "type"])
def test_garbage_is_no_answer_that_the_file_knows(kind: Any) -> None:
    with LangfuseStandIn() as lf, http_of(lf) as http:
        lf.garbage(kind)
        answer = http.get("/projects")
    media_type = answer.headers["content-type"].split(";")[0]
    body = answer.json() if kind == "shape" else answer.text
    assert api().faults([Exchange("GET", "/api/public/projects", 200, body, media_type)])


def recorded() -> list[Exchange]:
    found = []
    for line in RECORDED.read_text().splitlines():
        exchange = json.loads(line)
        path, kind = exchange["path"].split("?")[0], exchange["resp_headers"]["Content-Type"].split(";")[0]
        body = json.loads(exchange["resp_body"])
        found.append(Exchange(exchange["method"], path, exchange["status"], body, kind))
    return found


def test_the_recorded_server_needs_all_exceptions_that_are_said_to_be_recorded_and_no_other() -> None:
    assert api("seen").faults(recorded()) == []
    faults = "\n".join(api("none").faults(recorded()))
    assert [name for _, name in SEEN.fields if f"'{name}'" not in faults] == []
    for method, template, status in SEEN.statuses:
        assert f"{method} {template} {status}: no such status" in faults
