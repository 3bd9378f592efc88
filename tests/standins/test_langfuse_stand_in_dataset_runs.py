"""The stand-in's dataset runs. SDK 5 has no calls for them, so plain HTTP it is."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import client_of, own_key, sdk_of, send, span_id, text2sql_trace, trace_id

RUNS = "/api/public/datasets/gold%2Fen/runs"
ITEMS = "/api/public/dataset-run-items"


@pytest.fixture
def lf() -> Iterator[LangfuseStandIn]:
    """A server that still stores runs, with a dataset of two items."""
    with LangfuseStandIn(write_mode="dual") as stand_in:
        fill(stand_in)
        yield stand_in


@pytest.fixture
def http(lf: LangfuseStandIn) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lf.base_url, auth=(lf.public_key, lf.secret_key)) as client:
        yield client


def fill(lf: LangfuseStandIn) -> None:
    api = client_of(lf)
    api.datasets.create(name="gold/en")
    for item in ("q1", "q2"):
        api.dataset_items.create(dataset_name="gold/en", input=item, id=item)


def link(http: httpx.Client, item: str = "q1", run: str = "run 1", **more: Any) -> httpx.Response:
    body = {"runName": run, "datasetItemId": item, "traceId": trace_id(item), **more}
    return http.post(ITEMS, json={name: value for name, value in body.items() if value is not None})


def test_a_run_is_created_by_its_first_item_and_read_with_all(lf: LangfuseStandIn, http: httpx.Client) -> None:
    first = link(http, runDescription="both", metadata={"model": "m"}).json()
    second = link(http, "q2", runDescription="other", observationId=span_id("q2")).json()
    assert first["datasetRunId"] == second["datasetRunId"]
    run = http.get(f"{RUNS}/run%201").json()
    assert (run["id"], run["name"], run["datasetName"]) == (first["datasetRunId"], "run 1", "gold/en")
    assert (run["description"], run["metadata"]) == ("both", {"model": "m"})
    assert run["datasetRunItems"] == [second, first]
    query = {"datasetId": run["datasetId"], "runName": "run 1"}
    assert http.get(ITEMS, params=query).json()["data"] == [second, first]
    page = http.get(ITEMS, params={**query, "limit": 1, "page": 2}).json()
    assert (page["data"], page["meta"]["totalPages"]) == ([first], 2)


def test_runs_are_listed_with_the_newest_first_and_deleted_with_their_items(http: httpx.Client) -> None:
    link(http)
    dataset_run = link(http, run="run 2").json()
    listed = http.get(RUNS).json()
    assert [run["name"] for run in listed["data"]] == ["run 2", "run 1"]
    assert listed["data"][0]["id"] == dataset_run["datasetRunId"]
    assert http.delete(f"{RUNS}/run%202").json() == {"message": "Dataset run successfully deleted"}
    assert [run["name"] for run in http.get(RUNS).json()["data"]] == ["run 1"]
    query = {"datasetId": listed["data"][0]["datasetId"], "runName": "run 2"}
    assert http.get(ITEMS, params=query).status_code == 404
    assert http.delete(f"{RUNS}/run%202").status_code == 404


def test_a_deleted_dataset_item_takes_its_run_items_along(lf: LangfuseStandIn, http: httpx.Client) -> None:
    link(http, "q1")
    link(http, "q2")
    client_of(lf).dataset_items.delete("q1")
    assert [item["datasetItemId"] for item in http.get(f"{RUNS}/run%201").json()["datasetRunItems"]] == ["q2"]


def test_the_trace_is_found_by_the_observation_and_the_version_is_noted(
    lf: LangfuseStandIn, http: httpx.Client
) -> None:
    send(lf, text2sql_trace("q"))
    made = link(http, traceId=None, observationId=span_id("q:1"), datasetVersion="2999-01-01T00:00:00Z")
    assert made.json()["traceId"] == trace_id("q")
    assert http.get(f"{RUNS}/run%201").json()["metadata"] == {"dataset_version": "2999-01-01T00:00:00.000Z"}


def test_the_time_of_a_run_item_may_be_given(http: httpx.Client) -> None:
    assert link(http, createdAt="2026-01-02T03:04:05Z").json()["createdAt"] == "2026-01-02T03:04:05.000Z"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"datasetItemId": "q1", "runName": None}, 400, "received undefined"),
        ({"datasetItemId": None}, 400, "received undefined"),
        ({"traceId": None}, 400, "observationId or traceId must be provided"),
        ({"color": "red"}, 400, "Unrecognized key: color"),
        ({"datasetVersion": "new"}, 400, "Invalid ISO datetime"),
        ({"datasetItemId": "q3"}, 404, "Dataset item not found"),
        ({"datasetVersion": "2020-01-01T00:00:00Z"}, 404, "Dataset item not found"),
        ({"traceId": None, "observationId": "x"}, 404, "Observation not found"),
    ],
)
def test_a_wrong_run_item_is_refused(http: httpx.Client, body: dict[str, Any], status: int, told: str) -> None:
    refused = link(http, **body)
    assert (refused.status_code, told in refused.text) == (status, True), refused.text
    assert http.get(RUNS).json()["data"] == []


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/api/public/datasets/none/runs", 404, "Dataset not found"),
        (f"{RUNS}/none", 404, "Dataset run not found"),
        (f"{ITEMS}?datasetId=none&runName=none", 404, "Dataset run not found for the given project and dataset id"),
        (ITEMS, 400, "Invalid request data"),
    ],
)
def test_a_run_that_is_not_there_is_404(http: httpx.Client, path: str, status: int, told: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["message"]) == (status, told)


def test_without_stored_runs_an_item_is_answered_with_the_experiment_the_sdk_would_make() -> None:
    with LangfuseStandIn(public_key=own_key()) as lf:
        fill(lf)
        http = httpx.Client(base_url=lf.base_url, auth=(lf.public_key, lf.secret_key))
        made = link(http)
        with sdk_of(lf) as client:
            task: Any = lambda **_: "SELECT 1"  # noqa: E731  the SDK wants a function of any keywords
            result = client.get_dataset("gold/en").run_experiment(name="e", run_name="run 1", task=task)
        assert made.json()["datasetRunId"] == result.experiment_id
        for method, path in [("GET", RUNS), ("GET", f"{RUNS}/run%201"), ("DELETE", f"{RUNS}/run%201"), ("GET", ITEMS)]:
            refused = http.request(method, path)
            assert (refused.status_code, "events_only mode" in refused.json()["message"]) == (404, True)


def test_v1_reads_that_a_server_in_dual_mode_has_are_not_invented(http: httpx.Client) -> None:
    assert http.get("/api/public/traces").status_code == 501
