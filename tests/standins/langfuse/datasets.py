"""Datasets: POST, GET by name and list of /api/public/v2/datasets."""

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # jsonschema ships no types
from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]  # as above

from tests.standins.langfuse.answers import (
    Answer,
    Issue,
    custom,
    invalid_data,
    invalid_request,
    js_type,
    not_found,
    wrong_type,
)
from tests.standins.langfuse.numbered_pages import numbered_page
from tests.standins.langfuse.records import iso, milliseconds, moment_of

SCHEMAS = ("inputSchema", "expectedOutputSchema")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """`schemas` holds a JSON Schema, or None, under each name of SCHEMAS."""

    id: str
    name: str
    description: str | None
    metadata: Any
    schemas: Mapping[str, Any]
    created: datetime
    updated: datetime


class Datasets:
    """Names are unique in the project; safe to use from several threads under `lock`.

    Unlike spans and scores these are written at once: no queue loses them and reads show them without lag.
    """

    def __init__(self, project: str) -> None:
        self.project = project
        self.lock = threading.RLock()
        self._datasets: dict[str, Dataset] = {}
        self._last = moment_of(0)

    def now(self) -> datetime:
        """Whole milliseconds that never repeat, so that no two versions share their time."""
        present = moment_of(milliseconds(datetime.now(UTC)))
        self._last = max(present, self._last + timedelta(milliseconds=1))
        return self._last

    def find(self, name: str) -> Dataset | None:
        return self._datasets.get(name)

    def named(self, name: str) -> Dataset:
        """Refused with 404 when it is not there."""
        found = self.find(name)
        if found is None:
            raise not_found("Dataset not found")
        return found

    def name_of(self, dataset_id: str) -> str:
        return next(dataset.name for dataset in self._datasets.values() if dataset.id == dataset_id)

    def checked(self, body: object) -> dict[str, Any]:
        """The body of a POST when its form is right."""
        found = checked_object(body, texts=("name",), optional_texts=("description",))
        if not found["name"]:
            raise invalid_request("Dataset name not valid. Too small: expected string to have >=1 characters")
        for field in SCHEMAS:
            if found.get(field) is not None:
                check_schema(field, found[field])
        return found

    def put(self, body: Mapping[str, Any]) -> Dataset:
        """Create it, or change what is given of the one with that name."""
        now, old = self.now(), self.find(body["name"])
        given = {field: body[field] for field in SCHEMAS if field in body}
        if old is None:
            new = Dataset(
                id=str(uuid.uuid4()),
                name=body["name"],
                description=body.get("description"),
                metadata=body.get("metadata"),
                schemas=dict.fromkeys(SCHEMAS) | given,
                created=now,
                updated=now,
            )
        else:
            new = replace(
                old,
                description=old.description if body.get("description") is None else body["description"],
                metadata=old.metadata if body.get("metadata") is None else body["metadata"],
                schemas={**old.schemas, **given},
                updated=now,
            )
        self._datasets[new.name] = new
        return new

    def shown(self, dataset: Dataset) -> dict[str, Any]:
        return {
            "id": dataset.id,
            "projectId": self.project,
            "name": dataset.name,
            "description": dataset.description,
            "metadata": dataset.metadata,
            **dataset.schemas,
            "createdAt": iso(dataset.created),
            "updatedAt": iso(dataset.updated),
        }

    def get(self, name: str) -> Answer:
        with self.lock:
            return Answer(200, self.shown(self.named(name)))

    def page(self, query: Mapping[str, list[str]]) -> Answer:
        """Newest first."""
        with self.lock:
            rows = sorted(self._datasets.values(), key=lambda dataset: dataset.created, reverse=True)
            return numbered_page(rows, query, self.shown)


def checked_object(
    body: object,
    *,
    texts: Sequence[str],
    optional_texts: Iterable[str],
    known: Iterable[str] | None = None,
) -> dict[str, Any]:
    """A JSON object whose `texts` are strings and whose `optional_texts` are strings, null or absent.

    known: all names it may have; None: any.
    """
    if not isinstance(body, dict):
        raise invalid_data(wrong_type([], "object", body))
    issues: list[Issue] = [
        # JavaScript tells null from absent, where the name is there
        {**wrong_type([name], "string", body.get(name)), "message": expected_text(body, name)}
        for name in [*texts, *(name for name in optional_texts if body.get(name) is not None)]
        if not isinstance(body.get(name), str)
    ]
    if known is not None and (unknown := [name for name in body if name not in {*known}]):
        message = f"Unrecognized key: {', '.join(unknown)}"
        issues.append({"code": "unrecognized_keys", "keys": unknown, "path": [], "message": message})
    if issues:
        raise invalid_data(*issues)
    return body


def expected_text(body: Mapping[str, Any], name: str) -> str:
    received = "null" if name in body and body[name] is None else js_type(body.get(name))
    return f"Invalid input: expected string, received {received}"


def check_schema(field: str, schema: object) -> None:
    if not isinstance(schema, dict):
        raise invalid_data(wrong_type([field], "record", schema))
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError:
        raise invalid_data(custom([field], "Must be a valid JSON Schema")) from None


def violations(dataset: Dataset, item_input: Any, expected_output: Any) -> list[str]:
    """What the dataset's schemas do not accept of an item, one sentence per field."""
    labels = {"inputSchema": ("Input", item_input), "expectedOutputSchema": ("Expected output", expected_output)}
    found = []
    for field, (label, value) in labels.items():
        if dataset.schemas[field] is not None:
            errors = [error.message for error in Draft7Validator(dataset.schemas[field]).iter_errors(value)]
            if errors:
                found.append(f"{label} validation failed: {', '.join(errors)}")
    return found
