"""Dataset runs and their items: what servers kept before experiments took their place.

In the write mode `events_only` they are no longer stored: a run item is answered with the id that the experiment
of that name has, everything else with 404. In the mode `dual` they are stored and read.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.standins.langfuse.answers import Answer, custom, invalid_data, not_found, wrong_datetime, wrong_type
from tests.standins.langfuse.dataset_items import DatasetItems
from tests.standins.langfuse.datasets import Datasets, checked_object
from tests.standins.langfuse.filters import parse_datetime
from tests.standins.langfuse.numbered_pages import numbered_page
from tests.standins.langfuse.records import iso

TEXTS = ("runName", "datasetItemId")
OPTIONAL_TEXTS = ("runDescription", "observationId", "traceId", "datasetVersion", "createdAt")
KNOWN = (*TEXTS, *OPTIONAL_TEXTS, "metadata")


@dataclass(frozen=True, kw_only=True)
class Run:
    id: str
    name: str
    description: str | None
    metadata: Mapping[str, Any]
    dataset_id: str
    created: datetime


@dataclass(frozen=True, kw_only=True)
class RunItem:
    id: str
    run: Run
    item_id: str
    trace_id: str
    observation_id: str | None
    created: datetime


class DatasetRuns:
    """`trace_of` finds the trace of an observation, None when it is not there."""

    def __init__(self, datasets: Datasets, items: DatasetItems, trace_of: Callable[[str], str | None]) -> None:
        self._datasets = datasets
        self._items = items
        self._trace_of = trace_of
        self._runs: dict[tuple[str, str], Run] = {}
        self._run_items: list[RunItem] = []

    def post_item(self, body: object, *, is_stored: bool) -> Answer:
        """A run is created by its first item; later items leave its description and metadata as they are."""
        given = checked_run_item(body)
        at = parse_datetime(given.get("datasetVersion"))
        with self._datasets.lock:
            item = self._items.find(given["datasetItemId"], at)
            if item is None or item.fields["status"] != "ACTIVE":
                raise not_found("Dataset item not found")
            trace_id = given.get("traceId") or self._trace_of(given["observationId"])
            if trace_id is None:
                raise not_found("Observation not found")
            created = parse_datetime(given.get("createdAt")) or self._datasets.now()
            run = self._runs.get((item.dataset_id, given["runName"])) or Run(
                id=self._run_id(item.dataset_id, given["runName"], is_stored=is_stored),
                name=given["runName"],
                description=given.get("runDescription"),
                metadata=run_metadata(given.get("metadata"), at),
                dataset_id=item.dataset_id,
                created=created,
            )
            run_item = RunItem(
                id=str(uuid.uuid4()),
                run=run,
                item_id=item.id,
                trace_id=trace_id,
                observation_id=given.get("observationId"),
                created=created,
            )
            if is_stored:
                self._runs[run.dataset_id, run.name] = run
                self._run_items.append(run_item)
            return Answer(200, shown_item(run_item))

    def page_of_items(self, query: Mapping[str, list[str]]) -> Answer:
        given = {name: values[-1] for name, values in query.items()}
        if issues := [wrong_type([name], "string", None) for name in ("datasetId", "runName") if name not in given]:
            raise invalid_data(*issues)
        with self._datasets.lock:
            run = self._runs.get((given["datasetId"], given["runName"]))
            if run is None:
                raise not_found("Dataset run not found for the given project and dataset id")
            return numbered_page(self._items_of(run), query, shown_item)

    def page(self, dataset_name: str, query: Mapping[str, list[str]]) -> Answer:
        """Newest first."""
        with self._datasets.lock:
            dataset = self._datasets.named(dataset_name)
            runs = [run for run in self._runs.values() if run.dataset_id == dataset.id]
            runs.sort(key=lambda run: run.created, reverse=True)
            return numbered_page(runs, query, self._shown)

    def get(self, dataset_name: str, run_name: str) -> Answer:
        with self._datasets.lock:
            run = self._named(dataset_name, run_name)
            items = [shown_item(item) for item in self._items_of(run)]
            return Answer(200, {**self._shown(run), "datasetRunItems": items})

    def delete(self, dataset_name: str, run_name: str) -> Answer:
        """The run and all its items."""
        with self._datasets.lock:
            run = self._named(dataset_name, run_name)
            del self._runs[run.dataset_id, run.name]
            self._run_items = [item for item in self._run_items if item.run.id != run.id]
            return Answer(200, {"message": "Dataset run successfully deleted"})

    def forget_item(self, item_id: str) -> None:
        """A deleted dataset item takes its run items along."""
        with self._datasets.lock:
            self._run_items = [item for item in self._run_items if item.item_id != item_id]

    def _run_id(self, dataset_id: str, name: str, *, is_stored: bool) -> str:
        if is_stored:
            return str(uuid.uuid4())
        return experiment_id(self._datasets.project, dataset_id, name)

    def _named(self, dataset_name: str, run_name: str) -> Run:
        dataset = self._datasets.find(dataset_name)
        run = self._runs.get((dataset.id, run_name)) if dataset else None
        if run is None:
            raise not_found("Dataset run not found")
        return run

    def _items_of(self, run: Run) -> list[RunItem]:
        items = [item for item in self._run_items if item.run.id == run.id]
        return sorted(items, key=lambda item: item.created, reverse=True)

    def _shown(self, run: Run) -> dict[str, Any]:
        return {
            "id": run.id,
            "name": run.name,
            "description": run.description,
            "metadata": run.metadata,
            "datasetId": run.dataset_id,
            "datasetName": self._datasets.name_of(run.dataset_id),
            "createdAt": iso(run.created),
            "updatedAt": iso(run.created),
        }


def experiment_id(project: str, dataset_id: str, run_name: str) -> str:
    """The id that the SDK gives to the experiment of that name on that dataset."""
    parts = ["langfuse-experiment-v1", project, dataset_id, run_name]
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def checked_run_item(body: object) -> dict[str, Any]:
    given = checked_object(body, texts=TEXTS, optional_texts=OPTIONAL_TEXTS, known=KNOWN)
    for name in ("datasetVersion", "createdAt"):
        if given.get(name) is not None and parse_datetime(given[name]) is None:
            raise invalid_data(wrong_datetime([name]))
    if not given.get("observationId") and not given.get("traceId"):
        raise invalid_data(custom(["observationId", "traceId"], "observationId or traceId must be provided"))
    return given


def run_metadata(given: object, at: datetime | None) -> dict[str, Any]:
    """Always an object: a bare value is put under the key `metadata`."""
    metadata = given if isinstance(given, dict) else {} if given is None else {"metadata": given}
    return {**metadata, "dataset_version": iso(at)} if at else dict(metadata)


def shown_item(item: RunItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "datasetRunId": item.run.id,
        "datasetRunName": item.run.name,
        "datasetItemId": item.item_id,
        "traceId": item.trace_id,
        "observationId": item.observation_id,
        "createdAt": iso(item.created),
        "updatedAt": iso(item.created),
    }
