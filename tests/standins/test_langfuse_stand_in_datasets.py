"""The stand-in's datasets and their items, written and read by the unmodified SDK."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from langfuse import Langfuse
from langfuse.api import DatasetStatus, NotFoundError
from langfuse.api.commons.errors.error import Error
from langfuse.api.core import ApiError

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import ONCE, client_of, own_key, sdk_of, trace_id

NAME = "golden/questions & answers"
QUESTION = {"question": "How many customers?"}
SCHEMA = {"type": "object", "required": ["question"]}


@pytest.fixture
def lf() -> Iterator[LangfuseStandIn]:
    with LangfuseStandIn(public_key=own_key()) as stand_in:
        yield stand_in


@pytest.fixture
def client(lf: LangfuseStandIn) -> Iterator[Langfuse]:
    with sdk_of(lf) as client:
        yield client


def refusal(lf: LangfuseStandIn, method: str, path: str, **more: Any) -> tuple[int, str]:
    answer = httpx.request(method, f"{lf.base_url}/api/public/{path}", auth=(lf.public_key, lf.secret_key), **more)
    body = answer.json()
    told = body["error"][0]["message"] if isinstance(body.get("error"), list) else body["message"]
    return answer.status_code, told


def test_a_dataset_is_found_by_its_name_with_what_was_given(lf: LangfuseStandIn, client: Langfuse) -> None:
    made = client.create_dataset(name=NAME, description="checked by hand", metadata={"team": "sales"})
    found = client.get_dataset(NAME)
    assert (found.id, found.name, found.project_id) == (made.id, NAME, lf.project.id)
    assert (found.description, found.metadata) == ("checked by hand", {"team": "sales"})
    assert (found.items, found.created_at) == ([], made.created_at)


def test_the_same_name_again_changes_only_what_is_given(client: Langfuse) -> None:
    first = client.create_dataset(name=NAME, description="one", metadata={"n": 1})
    again = client.create_dataset(name=NAME, metadata={"n": 2})
    assert (again.id, again.description, again.metadata) == (first.id, "one", {"n": 2})
    assert again.created_at == first.created_at < again.updated_at
    assert client.api.datasets.list().meta.total_items == 1


def test_datasets_are_listed_in_pages_with_the_newest_first(client: Langfuse) -> None:
    for number in range(5):
        client.create_dataset(name=f"set {number}")
    pages = [client.api.datasets.list(page=page, limit=2) for page in (1, 2, 3, 4)]
    assert [[row.name for row in page.data] for page in pages] == [
        ["set 4", "set 3"],
        ["set 2", "set 1"],
        ["set 0"],
        [],
    ]
    assert [(page.meta.page, page.meta.limit) for page in pages] == [(1, 2), (2, 2), (3, 2), (4, 2)]
    assert {(page.meta.total_items, page.meta.total_pages) for page in pages} == {(5, 3)}


def test_items_are_created_changed_by_id_listed_and_deleted(lf: LangfuseStandIn, client: Langfuse) -> None:
    client.create_dataset(name=NAME)
    first = client.create_dataset_item(dataset_name=NAME, input=QUESTION, expected_output="SELECT 1", id="q1")
    client.create_dataset_item(dataset_name=NAME, input={"question": "Else?"}, source_trace_id=trace_id("q"))
    changed = client.create_dataset_item(dataset_name=NAME, id="q1", expected_output="SELECT 2", metadata={"level": 1})
    assert (changed.input, changed.expected_output, changed.metadata) == (QUESTION, "SELECT 2", {"level": 1})
    assert (changed.status, changed.dataset_name, changed.media_references) == (DatasetStatus.ACTIVE, NAME, [])
    assert changed.created_at == first.created_at < changed.updated_at
    api = client_of(lf)
    assert api.dataset_items.get("q1") == changed
    assert [item.input for item in client.get_dataset(NAME).items] == [{"question": "Else?"}, QUESTION]
    assert [item.input for item in api.dataset_items.list(source_trace_id=trace_id("q")).data] == [
        {"question": "Else?"}
    ]
    assert api.dataset_items.delete("q1").message == "Dataset item successfully deleted"
    assert [item.input for item in client.get_dataset(NAME).items] == [{"question": "Else?"}]
    for call in (api.dataset_items.get, api.dataset_items.delete):
        with pytest.raises(NotFoundError):
            call("q1")


def test_the_sdk_reads_all_pages_of_a_dataset(lf: LangfuseStandIn, client: Langfuse) -> None:
    client.create_dataset(name=NAME)
    for number in range(7):
        client.create_dataset_item(dataset_name=NAME, input=number)
    assert [item.input for item in client.get_dataset(NAME, fetch_items_page_size=3).items] == [6, 5, 4, 3, 2, 1, 0]
    assert [request.query["page"] for request in lf.requests[-3:]] == [["1"], ["2"], ["3"]]


def test_an_archived_item_is_no_longer_listed(client: Langfuse) -> None:
    client.create_dataset(name=NAME)
    client.create_dataset_item(dataset_name=NAME, input=1, id="q1")
    client.create_dataset_item(dataset_name=NAME, id="q1", status=cast("DatasetStatus", DatasetStatus.ARCHIVED))
    assert client.get_dataset(NAME).items == []
    assert client.api.dataset_items.get("q1").status is DatasetStatus.ARCHIVED


def test_a_version_shows_the_items_as_they_were(client: Langfuse) -> None:
    client.create_dataset(name=NAME)
    kept = client.create_dataset_item(dataset_name=NAME, input=1, id="kept")
    gone = client.create_dataset_item(dataset_name=NAME, input=2, id="gone")
    changed = client.create_dataset_item(dataset_name=NAME, input=10, id="kept")
    client.api.dataset_items.delete("gone")

    def inputs(**version: Any) -> list[Any]:
        return [item.input for item in client.get_dataset(NAME, **version).items]

    assert inputs(version=kept.updated_at - timedelta(milliseconds=1)) == []
    assert inputs(version=kept.updated_at) == [1]
    assert inputs(version=gone.updated_at) == [2, 1]
    assert inputs(version=changed.updated_at) == [2, 10]
    assert inputs() == [10]


def test_items_are_held_against_the_schemas_of_their_dataset(client: Langfuse) -> None:
    client.create_dataset(name=NAME, input_schema=SCHEMA, expected_output_schema={"type": "string"})
    client.create_dataset_item(dataset_name=NAME, input=QUESTION, expected_output="SELECT 1")
    with pytest.raises(Error) as refused:
        client.create_dataset_item(dataset_name=NAME, input={}, expected_output=1)
    assert refused.value.status_code == 400
    told = refused.value.body["message"]
    assert told.startswith("Dataset item validation failed: Input validation failed: ")
    assert "; Expected output validation failed: " in told
    with pytest.raises(Error) as too_late:
        client.create_dataset(name=NAME, input_schema={"type": "array"})
    assert too_late.value.body["message"].startswith("Schema validation failed for 1 item(s). ")
    assert client.get_dataset(NAME).input_schema == SCHEMA


def test_an_id_belongs_to_one_dataset_of_the_project(client: Langfuse) -> None:
    for name in ("one", "two"):
        client.create_dataset(name=name)
    client.create_dataset_item(dataset_name="one", input=1, id="q1")
    with pytest.raises(NotFoundError) as refused:
        client.create_dataset_item(dataset_name="two", input=1, id="q1")
    assert refused.value.body["message"] == "The dataset item with id q1 already exists in a dataset other than two"


def test_an_unknown_dataset_is_404(lf: LangfuseStandIn, client: Langfuse) -> None:
    with pytest.raises(NotFoundError):
        client.get_dataset("nothing")
    with pytest.raises(NotFoundError) as refused:
        client.create_dataset_item(dataset_name="nothing", input=1)
    assert refused.value.body["message"] == f"Dataset nothing not found for project {lf.project.id}"
    assert refusal(lf, "GET", "dataset-items", params={"datasetName": "nothing"}) == (404, "Dataset not found")


@pytest.mark.parametrize(
    ("method", "path", "more", "told"),
    [
        ("POST", "v2/datasets", {"json": {}}, "expected string, received undefined"),
        ("POST", "v2/datasets", {"json": {"name": None}}, "expected string, received null"),
        ("POST", "v2/datasets", {"json": {"name": ""}}, "Dataset name not valid."),
        ("POST", "v2/datasets", {"json": []}, "expected object, received array"),
        ("POST", "v2/datasets", {"content": b"{"}, "expected object"),
        ("POST", "v2/datasets", {"json": {"name": "a", "inputSchema": {"type": 5}}}, "Must be a valid JSON Schema"),
        ("POST", "dataset-items", {"json": {"input": 1}}, "expected string, received undefined"),
        ("POST", "dataset-items", {"json": {"datasetName": "a", "status": "OLD"}}, '"ACTIVE"|"ARCHIVED"'),
        ("POST", "dataset-items", {"json": {"datasetName": "a", "id": 5}}, "expected string, received number"),
        ("POST", "dataset-items", {"json": {"datasetName": "a", "id": "x" * 256}}, "<=255 characters"),
        ("GET", "dataset-items", {"params": {"version": "2026-01-01T00:00:00Z"}}, "datasetName is required"),
        ("GET", "dataset-items", {"params": {"version": "yesterday", "datasetName": "a"}}, "Invalid ISO datetime"),
        ("GET", "v2/datasets", {"params": {"limit": 101}}, "expected number to be <=100"),
        ("GET", "v2/datasets", {"params": {"page": 0}}, "expected number to be >=1"),
        ("GET", "v2/datasets", {"params": {"page": "x"}}, "expected number, received string"),
    ],
)
def test_what_the_server_does_not_accept_is_400(
    lf: LangfuseStandIn, method: str, path: str, more: dict[str, Any], told: str
) -> None:
    status, words = refusal(lf, method, path, **more)
    assert (status, told in words) == (400, True), words


def test_faults_meet_datasets_as_they_meet_everything_else(lf: LangfuseStandIn) -> None:
    api = client_of(lf)
    lf.fail(status=503, path="/api/public/v2/datasets")
    with pytest.raises(ApiError) as refused:
        api.datasets.create(name=NAME, request_options=ONCE)
    assert (refused.value.status_code, api.datasets.list().data) == (503, [])
    lf.cut_answer(path="/api/public/v2/datasets")
    with pytest.raises(httpx.RemoteProtocolError):
        api.datasets.create(name=NAME, request_options=ONCE)
    assert [row.name for row in api.datasets.list().data] == [NAME]
