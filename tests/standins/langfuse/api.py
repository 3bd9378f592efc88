"""The routes: one request in, one answer out."""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.standins.langfuse.answers import Answer, RefusedError, invalid_data, not_imitated, wrong_type
from tests.standins.langfuse.dataset_items import DatasetItems
from tests.standins.langfuse.dataset_runs import DatasetRuns
from tests.standins.langfuse.datasets import Datasets
from tests.standins.langfuse.experiments import get_experiment_items, get_experiments
from tests.standins.langfuse.metrics import metrics_of
from tests.standins.langfuse.pages import get_observations
from tests.standins.langfuse.prompts import PATH as PROMPTS
from tests.standins.langfuse.prompts import Prompts
from tests.standins.langfuse.query import parse_query
from tests.standins.langfuse.records import iso, milliseconds
from tests.standins.langfuse.scores import get_scores, post_scores
from tests.standins.langfuse.spans import observations_of
from tests.standins.langfuse.store import Store

VERSIONS = {"4.16": "4.16.0", "4.59": "4.59.0", "cloud": "4.59.0"}
TRACES = "/api/public/otel/v1/traces"
V1 = ("metrics", "metrics/daily", "traces", "sessions", "observations", "v2/scores")
EVENTS_ONLY = (
    "This endpoint is not available on deployments running in Langfuse v4 events_only mode. "
    "Learn more about Langfuse v4 at: https://langfuse.com/docs/v4"
)


@dataclass(frozen=True)
class Project:
    """The project that the keys belong to."""

    id: str = "standin-project"
    name: str = "text2sql"
    organization_id: str = "standin-org"
    organization_name: str = "Stand-in"


@dataclass(frozen=True)
class Incoming:
    """A request as the routes see it: the body is unpacked, header names are lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


class Api:
    """Answers requests out of a store, the way the given server version does."""

    def __init__(self, store: Store, project: Project, public_key: str, secret_key: str, version: str) -> None:
        self.store = store
        self.project = project
        self.public_key = public_key
        self.secret_key = secret_key
        self.version = version
        self.write_mode = "events_only"
        self.quote_64_bit = False
        self.prompts = Prompts()
        self.datasets = Datasets(project.id)
        self.dataset_items = DatasetItems(self.datasets)
        self.dataset_runs = DatasetRuns(self.datasets, self.dataset_items, store.trace_of)

    def forgetful(self) -> "Api":
        """The same API, for one request: it answers as usual and loses what goes through the server's queue."""
        other = copy(self)
        other.store = Store(0.0, 0.0, None)
        return other

    def answer(self, request: Incoming) -> Answer:
        try:
            return self._routed(request)
        except RefusedError as refused:
            return refused.answer

    def _routed(self, request: Incoming) -> Answer:
        path = request.path
        template, names = route_of(path)
        handler = HANDLERS.get((request.method, template))
        if handler is None and template:
            return Answer(405, {"message": "Method not allowed", "error": "MethodNotAllowedError"})
        if path == "/api/public/health":
            return self.health()
        self._authorize(request.headers.get("authorization"))
        if handler is not None:
            return handler(self, request, names)
        if path.startswith(PROMPTS):
            return self.prompts.answer(request.method, path, request.query)
        return unknown_route(path, self.write_mode)

    def health(self) -> Answer:
        return Answer(200, {"status": "OK", "version": VERSIONS[self.version]})

    def delete_dataset_item(self, item_id: str) -> Answer:
        answer = self.dataset_items.delete(item_id)
        self.dataset_runs.forget_item(item_id)
        return answer

    def require_dual_mode(self) -> None:
        if self.write_mode != "dual":
            raise RefusedError(Answer(404, {"message": EVENTS_ONLY}))

    def stored_runs(self) -> DatasetRuns:
        """The runs, in the write mode that still has them."""
        self.require_dual_mode()
        return self.dataset_runs

    def _authorize(self, header: str | None) -> None:
        if header is None:
            raise RefusedError(Answer(401, {"message": "No authorization header"}))
        expected = base64.b64encode(f"{self.public_key}:{self.secret_key}".encode()).decode()
        if header != f"Basic {expected}":
            message = "Invalid credentials. Confirm that you've configured the correct host."
            raise RefusedError(Answer(401, {"message": message}))

    def projects(self) -> Answer:
        owner = {"id": self.project.organization_id, "name": self.project.organization_name}
        project = {"id": self.project.id, "name": self.project.name, "organization": owner, "metadata": {}}
        return Answer(200, {"data": [project]})

    def take_spans(self, request: Incoming) -> Answer:
        now = datetime.now(UTC)
        try:
            batch = ExportTraceServiceRequest.FromString(request.body)
        except DecodeError:
            return Answer(400, {"message": "Failed to parse OTel Protobuf Trace"})
        sdk = request.headers.get("x-langfuse-sdk-version", "")
        encodes_metadata = sdk.split(".")[0].isdecimal() and int(sdk.split(".")[0]) >= 5
        decode = encodes_metadata and self.version != "4.16"
        self.store.insert(observations_of(batch, decode_metadata=decode, now=now))
        return Answer(200, self._job(request, now))

    def _job(self, request: Incoming, now: datetime) -> dict[str, Any]:
        """200 means: the batch lies in the queue."""
        scope = {"projectId": self.project.id, "accessLevel": "project"}
        file = {"fileKey": f"events/otel/{self.project.id}/{uuid.uuid4()}.json", "publicKey": self.public_key}
        payload = {
            "data": file,
            "authCheck": {"validKey": True, "scope": {**scope, "orgId": self.project.organization_id}},
            "sdkName": request.headers.get("x-langfuse-sdk-name", ""),
            "sdkVersion": request.headers.get("x-langfuse-sdk-version", ""),
            "ingestionVersion": request.headers.get("x-langfuse-ingestion-version", ""),
        }
        name = "otel-ingestion-job"
        data = {"id": str(uuid.uuid4()), "timestamp": iso(now), "name": name, "payload": payload}
        queue = "bull:otel-ingestion-queue"
        return {"name": name, "data": data, "timestamp": milliseconds(now), "queueQualifiedName": queue}

    def metrics(self, request: Incoming) -> Answer:
        query = parse_query(request.query.get("query", [None])[-1])
        rows, scores = self.store.visible_rows(), self.store.visible_scores()
        return Answer(200, {"data": metrics_of(query, rows, scores, quote_64_bit=self.quote_64_bit)})


def unknown_route(path: str, write_mode: str) -> Answer:
    """v1 reads are switched off in the server's default mode."""
    name = path.removeprefix("/api/public/")
    if name not in V1 and name != "scores" and not name.startswith(("traces/", "sessions/")):
        return Answer(404, {"message": "Not Found"})
    if write_mode == "dual":
        raise not_imitated("v1 reads")
    return Answer(404, {"message": EVENTS_ONLY})


def json_of(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, binascii.Error):
        raise invalid_data(wrong_type([], "object", body.decode(errors="replace"))) from None


# Every endpoint, under the path that the OpenAPI file has for it.
HANDLERS: dict[tuple[str, str], Callable[[Api, Incoming, list[str]], Answer]] = {
    ("GET", "/api/public/health"): lambda api, *_: api.health(),
    ("GET", "/api/public/projects"): lambda api, *_: api.projects(),
    ("POST", TRACES): lambda api, request, _: api.take_spans(request),
    ("POST", "/api/public/scores"): lambda api, request, _: post_scores(
        api.store, json_of(request.body), takes_list=api.version != "4.16"
    ),
    ("GET", "/api/public/scores"): lambda api, request, _: unknown_route(request.path, api.write_mode),
    ("GET", "/api/public/v2/metrics"): lambda api, request, _: api.metrics(request),
    ("GET", "/api/public/v2/observations"): lambda api, request, _: get_observations(
        api.store.visible_rows(), api.project.id, request.query
    ),
    ("GET", "/api/public/v3/scores"): lambda api, request, _: get_scores(
        api.store.visible_scores(), api.project.id, request.query
    ),
    ("GET", "/api/public/v2/datasets"): lambda api, request, _: api.datasets.page(request.query),
    ("POST", "/api/public/v2/datasets"): lambda api, request, _: api.dataset_items.post_dataset(json_of(request.body)),
    ("GET", "/api/public/v2/datasets/{datasetName}"): lambda api, _, names: api.datasets.get(*names),
    ("GET", "/api/public/dataset-items"): lambda api, request, _: api.dataset_items.page(request.query),
    ("POST", "/api/public/dataset-items"): lambda api, request, _: api.dataset_items.post(json_of(request.body)),
    ("GET", "/api/public/dataset-items/{id}"): lambda api, _, names: api.dataset_items.get(*names),
    ("DELETE", "/api/public/dataset-items/{id}"): lambda api, _, names: api.delete_dataset_item(*names),
    ("GET", "/api/public/dataset-run-items"): lambda api, request, _: api.stored_runs().page_of_items(request.query),
    ("POST", "/api/public/dataset-run-items"): lambda api, request, _: api.dataset_runs.post_item(
        json_of(request.body), is_stored=api.write_mode == "dual"
    ),
    ("GET", "/api/public/datasets/{datasetName}/runs"): lambda api, request, names: api.stored_runs().page(
        names[0], request.query
    ),
    ("GET", "/api/public/datasets/{datasetName}/runs/{runName}"): lambda api, _, names: api.stored_runs().get(*names),
    ("DELETE", "/api/public/datasets/{datasetName}/runs/{runName}"): lambda api, _, names: api.stored_runs().delete(
        *names
    ),
    ("GET", "/api/public/experiments"): lambda api, request, _: get_experiments(
        api.store.visible_rows(), api.store.visible_scores(), api.project.id, request.query
    ),
    ("GET", "/api/public/experiment-items"): lambda api, request, _: get_experiment_items(
        api.store.visible_rows(), api.store.visible_scores(), api.project.id, request.query
    ),
    ("GET", f"{PROMPTS}{{promptName}}"): lambda api, request, _: api.prompts.answer(
        request.method, request.path, request.query
    ),
    ("DELETE", f"{PROMPTS}{{promptName}}"): lambda api, request, _: api.prompts.answer(
        request.method, request.path, request.query
    ),
}
PATTERNS = {template: re.compile(re.sub(r"\{\w+\}", "([^/]+)", template)) for _, template in HANDLERS}


def route_of(path: str) -> tuple[str, list[str]]:
    """The template that a path fits, and the names in it; '' when there is none."""
    for template, pattern in PATTERNS.items():
        if found := pattern.fullmatch(path):
            return template, [unquote(name) for name in found.groups()]
    return "", []
