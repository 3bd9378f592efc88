"""Dataset items: /api/public/dataset-items, with the versions that each change leaves behind."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tests.standins.langfuse.answers import (
    Answer,
    custom,
    invalid_data,
    invalid_request,
    not_found,
    wrong_datetime,
    wrong_option,
)
from tests.standins.langfuse.datasets import SCHEMAS, Dataset, Datasets, checked_object, violations
from tests.standins.langfuse.filters import parse_datetime
from tests.standins.langfuse.numbered_pages import numbered_page
from tests.standins.langfuse.records import iso

STATUSES = ("ACTIVE", "ARCHIVED")
LONGEST_ID = 255
KEPT = ("input", "expectedOutput", "metadata", "sourceTraceId", "sourceObservationId", "status")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One version of a dataset item; `fields` holds what KEPT names. A deletion is a version as well."""

    id: str
    dataset_id: str
    fields: Mapping[str, Any]
    created: datetime
    updated: datetime  # the version holds from here on
    is_deleted: bool = False


class DatasetItems:
    """Ids are unique in the project, across its datasets."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets
        self._versions: dict[str, list[Item]] = {}

    def find(self, item_id: str, at: datetime | None = None) -> Item | None:
        """The item as it is, or as it was."""
        past = [item for item in self._versions.get(item_id, []) if at is None or item.updated <= at]
        return past[-1] if past and not past[-1].is_deleted else None

    def post_dataset(self, body: object) -> Answer:
        """A dataset's schemas are checked against the items it already has."""
        with self._datasets.lock:
            given = self._datasets.checked(body)
            old = self._datasets.find(given["name"])
            if old and any(field in given for field in SCHEMAS):
                new = replace(old, schemas={**old.schemas, **{name: given[name] for name in SCHEMAS if name in given}})
                items = [item.fields for item in self._items_of(new, None)]
                found = [violations(new, fields["input"], fields["expectedOutput"]) for fields in items]
                if errors := [sentences for sentences in found if sentences]:
                    told = f"Schema validation failed for {len(errors)} item(s). Details: {json.dumps(errors)}"
                    raise invalid_request(told)
            return Answer(200, self._datasets.shown(self._datasets.put(given)))

    def post(self, body: object) -> Answer:
        """Create an item, or change what is given (and not null) of the one with that id."""
        given = checked_item(body)
        with self._datasets.lock:
            dataset = self._datasets.find(given["datasetName"])
            if dataset is None:
                told = f"Dataset {given['datasetName']} not found for project {self._datasets.project}"
                raise not_found(told)
            item_id = given.get("id") or str(uuid.uuid4())
            old = self.find(item_id)
            if old and old.dataset_id != dataset.id:
                told = f"The dataset item with id {item_id} already exists in a dataset other than {dataset.name}"
                raise not_found(told)
            fields = {**dict.fromkeys(KEPT), "status": "ACTIVE", **(old.fields if old else {})}
            fields |= {name: given[name] for name in KEPT if given.get(name) is not None}
            if found := violations(dataset, fields["input"], fields["expectedOutput"]):
                raise invalid_request(f"Dataset item validation failed: {'; '.join(found)}")
            now = self._datasets.now()
            created = old.created if old else now
            item = Item(id=item_id, dataset_id=dataset.id, fields=fields, created=created, updated=now)
            self._versions.setdefault(item_id, []).append(item)
            return Answer(200, self._shown(item))

    def get(self, item_id: str) -> Answer:
        with self._datasets.lock:
            item = self.find(item_id)
            if item is None:
                raise not_found("Dataset item not found")
            return Answer(200, self._shown(item))

    def delete(self, item_id: str) -> Answer:
        """Versions from before stay readable by time."""
        with self._datasets.lock:
            item = self.find(item_id)
            if item is None:
                told = f"Dataset item with id {item_id} not found for project {self._datasets.project}"
                raise not_found(told)
            self._versions[item_id].append(replace(item, updated=self._datasets.now(), is_deleted=True))
            return Answer(200, {"message": "Dataset item successfully deleted"})

    def page(self, query: Mapping[str, list[str]]) -> Answer:
        """Active items, newest first; `version` shows them as they were then."""
        given = {name: values[-1] for name, values in query.items()}
        at = parse_datetime(given.get("version"))
        if "version" in given and at is None:
            raise invalid_data(wrong_datetime(["version"]))
        if at and not given.get("datasetName"):
            message = "datasetName is required when version parameter is provided"
            raise invalid_data(custom(["datasetName"], message))
        sources = {name: given[name] for name in ("sourceTraceId", "sourceObservationId") if name in given}
        with self._datasets.lock:
            dataset = self._datasets.named(given["datasetName"]) if given.get("datasetName") else None
            rows = [
                item
                for item in self._items_of(dataset, at)
                if item.fields["status"] == "ACTIVE" and sources.items() <= self._sources_of(item).items()
            ]
            return numbered_page(rows, query, self._shown)

    def _items_of(self, dataset: Dataset | None, at: datetime | None) -> list[Item]:
        items = [item for item_id in self._versions if (item := self.find(item_id, at)) is not None]
        items = [item for item in items if dataset is None or item.dataset_id == dataset.id]
        return sorted(items, key=lambda item: item.created, reverse=True)

    @staticmethod
    def _sources_of(item: Item) -> dict[str, Any]:
        return {name: item.fields[name] for name in ("sourceTraceId", "sourceObservationId")}

    def _shown(self, item: Item) -> dict[str, Any]:
        """Media references are always empty: media upload is not imitated."""
        return {
            "id": item.id,
            **item.fields,
            "datasetId": item.dataset_id,
            "datasetName": self._datasets.name_of(item.dataset_id),
            "createdAt": iso(item.created),
            "updatedAt": iso(item.updated),
            "mediaReferences": [],
        }


def checked_item(body: object) -> dict[str, Any]:
    given = checked_object(body, texts=("datasetName",), optional_texts=("id", "sourceTraceId", "sourceObservationId"))
    if given.get("status") is not None and given["status"] not in STATUSES:
        raise invalid_data(wrong_option(["status"], STATUSES))
    if len(given.get("id") or "") > LONGEST_ID:
        message = f"Too big: expected string to have <={LONGEST_ID} characters"
        raise invalid_data(custom(["id"], message))
    return given
