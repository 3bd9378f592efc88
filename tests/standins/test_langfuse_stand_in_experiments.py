"""The stand-in's experiments: run by the unmodified SDK on a dataset and on local data, then read back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from langfuse import Evaluation, Langfuse
from langfuse.api.commons.errors.error import Error
from langfuse.experiment import ExperimentResult

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import client_of, own_key, sdk_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ANSWERS = {"How many?": "SELECT 1", "Who?": "SELECT 2"}
ALL_ITEM_GROUPS = "core,dataset,io,metadata,itemMetadata,experimentMetadata,scores"


@pytest.fixture
def lf() -> Iterator[LangfuseStandIn]:
    with LangfuseStandIn(public_key=own_key()) as stand_in:
        yield stand_in


@pytest.fixture
def client(lf: LangfuseStandIn) -> Iterator[Langfuse]:
    with sdk_of(lf) as client:
        yield client


def answer_question(*, item: Any, **_: Any) -> str:
    return "SELECT 1"


def is_right(*, output: Any, expected_output: Any, **_: Any) -> Evaluation:
    return Evaluation(name="is_right", value=output == expected_output, data_type="BOOLEAN", comment="compared")


def share_right(*, item_results: list[Any], **_: Any) -> Evaluation:
    values = [evaluation.value for result in item_results for evaluation in result.evaluations]
    return Evaluation(name="share_right", value=sum(values) / len(values))


def run(client: Langfuse, run_name: str, **more: Any) -> ExperimentResult:
    client.create_dataset(name="golden")
    for question, sql in ANSWERS.items():
        client.create_dataset_item(
            dataset_name="golden", id=question, input=question, expected_output=sql, metadata={"words": 2}
        )
    return client.get_dataset("golden", **more).run_experiment(
        name="model",
        run_name=run_name,
        description="both questions",
        task=answer_question,
        evaluators=[is_right],
        run_evaluators=[share_right],
        metadata={"model": "m"},
    )


def test_an_experiment_on_a_dataset_is_read_back_with_its_scores(client: Langfuse) -> None:
    result = run(client, "run 1")
    (found,) = client.api.experiments.list(from_start_time=LONG_AGO, fields="core,metadata,scores").data
    assert (found.id, found.name, found.description) == (result.experiment_id, "run 1", "both questions")
    assert (found.item_count, found.metadata) == (2, {"model": "m"})
    assert found.dataset_id == client.get_dataset("golden").id
    assert found.start_time <= found.end_time
    assert found.scores is not None
    assert [(score.name, score.value) for score in found.scores] == [("share_right", 0.5)]


def test_the_items_of_an_experiment_are_read_back_with_all_their_fields(client: Langfuse) -> None:
    result = run(client, "run 1")
    items = client.api.experiments.list_items(from_start_time=LONG_AGO, fields=ALL_ITEM_GROUPS).data
    by_id = {item.experiment_item_id: item for item in items}
    assert by_id.keys() == ANSWERS.keys()
    assert {item.trace_id for item in items} == {item.trace_id for item in result.item_results}
    item = by_id["Who?"]
    assert (item.input, item.output, item.expected_output) == ("Who?", "SELECT 1", "SELECT 2")
    assert (item.experiment_id, item.experiment_name) == (result.experiment_id, "run 1")
    assert (item.experiment_item_metadata, item.experiment_metadata) == ({"words": 2}, {"model": "m"})
    assert (item.environment, item.experiment_description) == ("sdk-experiment", "both questions")
    assert item.experiment_dataset_id == client.get_dataset("golden").id
    assert item.scores is not None
    (score,) = item.scores
    assert (score.name, score.data_type, score.value) == ("is_right", "BOOLEAN", False)


def test_fields_that_are_not_asked_for_are_left_out(lf: LangfuseStandIn, client: Langfuse) -> None:
    run(client, "run 1")
    http = httpx.Client(base_url=lf.base_url, auth=(lf.public_key, lf.secret_key))
    since = {"fromStartTime": LONG_AGO.isoformat()}
    with http:
        (experiment,) = http.get("/api/public/experiments", params=since).json()["data"]
        item = http.get("/api/public/experiment-items", params=since).json()["data"][0]
        bare = http.get("/api/public/experiment-items", params={**since, "fields": "core"}).json()["data"][0]
    assert not experiment.keys() & {"metadata", "scores"}
    assert item.keys() - bare.keys() == {"experimentDatasetId", "experimentItemVersion"}
    assert not item.keys() & {"input", "output", "metadata", "scores"}


def test_the_same_run_again_is_the_same_experiment(client: Langfuse) -> None:
    first, again, other = run(client, "run 1"), run(client, "run 1"), run(client, "run 2")
    assert first.experiment_id == again.experiment_id != other.experiment_id
    found = client.api.experiments.list(from_start_time=LONG_AGO).data
    assert [(one.name, one.item_count) for one in found] == [("run 2", 2), ("run 1", 4)]


def test_the_version_of_the_dataset_stays_with_the_items(client: Langfuse) -> None:
    client.create_dataset(name="golden")
    version = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    run(client, "run 1", version=version)
    items = client.api.experiments.list_items(from_start_time=LONG_AGO).data
    assert [item.experiment_item_version for item in items] == [version, version]


def test_local_data_makes_an_experiment_without_a_dataset(client: Langfuse) -> None:
    data: Any = [{"input": "How many?", "expected_output": "SELECT 1"}]
    result = client.run_experiment(name="local", data=data, task=answer_question, evaluators=[is_right])
    (found,) = client.api.experiments.list(from_start_time=LONG_AGO, id=result.experiment_id).data
    assert (found.dataset_id, found.item_count) == (None, 1)


def test_experiments_and_items_are_filtered(client: Langfuse) -> None:
    run(client, "run 1")
    later = run(client, "run 2")
    api = client.api.experiments
    where = '[{"type": "string", "column": "name", "operator": "ends with", "value": "2"}]'
    for query in ({"name": "run 2,run 3"}, {"id": later.experiment_id}, {"filter": where}):
        assert [one.name for one in api.list(from_start_time=LONG_AGO, **query).data] == ["run 2"]
    assert len(api.list_items(from_start_time=LONG_AGO, experiment_name="run 2").data) == 2
    assert len(api.list_items(from_start_time=LONG_AGO, experiment_item_id="Who?").data) == 2
    assert api.list(from_start_time=LONG_AGO, dataset_id="other").data == []
    assert api.list(from_start_time=LONG_AGO, to_start_time=LONG_AGO + timedelta(days=1)).data == []
    assert api.list(from_start_time=datetime.now(UTC) + timedelta(days=1)).data == []


def test_experiments_and_items_are_paged_with_a_cursor(client: Langfuse) -> None:
    for number in range(3):
        run(client, f"run {number}")
    api = client.api.experiments
    names: list[str] = []
    cursor = None
    while cursor or not names:
        page = api.list(from_start_time=LONG_AGO, limit=2, cursor=cursor)
        names += [one.name for one in page.data]
        cursor = page.meta.cursor
    assert names == ["run 2", "run 1", "run 0"]
    first = api.list_items(from_start_time=LONG_AGO, limit=4)
    second = api.list_items(from_start_time=LONG_AGO, limit=4, cursor=first.meta.cursor)
    assert len({item.id for item in (*first.data, *second.data)}) == 6
    assert second.meta.cursor is None


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({}, "expected string, received undefined"),
        ({"fromStartTime": "yesterday"}, "Invalid ISO datetime"),
        ({"fields": "core,prices"}, "Invalid option"),
        ({"limit": "101"}, "expected number to be <=100"),
        ({"scoreLimit": "51"}, "expected number to be <=50"),
        ({"cursor": "bm90aGluZw"}, "Invalid cursor format"),
        ({"filter": "["}, "Invalid JSON in filter parameter"),
        ({"filter": '[{"type": "string", "column": "cost", "operator": "=", "value": "1"}]'}, "Invalid option"),
    ],
)
@pytest.mark.parametrize("path", ["experiments", "experiment-items"])
def test_a_bad_query_is_refused(lf: LangfuseStandIn, path: str, query: dict[str, str], told: str) -> None:
    params = {"fromStartTime": "2026-01-01T00:00:00Z", **query} if query else {}
    keys = (lf.public_key, lf.secret_key)
    answer = httpx.get(f"{lf.base_url}/api/public/{path}", params=params, auth=keys)
    assert (answer.status_code, told in answer.text) == (400, True), answer.text


def test_the_client_learns_why_a_query_was_refused(lf: LangfuseStandIn) -> None:
    with pytest.raises(Error) as refused:
        client_of(lf).experiments.list(from_start_time=LONG_AGO, cursor="?")
    assert (refused.value.status_code, refused.value.body["message"]) == (400, "Invalid cursor format")
