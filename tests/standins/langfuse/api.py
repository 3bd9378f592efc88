"""The routes: one request in, one answer out."""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.standins.langfuse.answers import Answer, RefusedError, invalid_data, wrong_type
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
METHODS = {
    "/api/public/health": ("GET",),
    "/api/public/projects": ("GET",),
    TRACES: ("POST",),
    "/api/public/scores": ("GET", "POST"),
    "/api/public/v2/metrics": ("GET",),
    "/api/public/v2/observations": ("GET",),
    "/api/public/v3/scores": ("GET",),
}


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
        self.quote_64_bit = False
        self.prompts = Prompts()

    def forgetful(self) -> "Api":
        """The same API, for one request: it answers as usual and stores nothing."""
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
        if path in METHODS and request.method not in METHODS[path]:
            return Answer(405, {"message": "Method not allowed", "error": "MethodNotAllowedError"})
        if path == "/api/public/health":
            return Answer(200, {"status": "OK", "version": VERSIONS[self.version]})
        self._authorize(request.headers.get("authorization"))
        match request.method, path:
            case "GET", "/api/public/projects":
                return self._projects()
            case "POST", "/api/public/otel/v1/traces":
                return self._take_spans(request)
            case "POST", "/api/public/scores":
                body = json_of(request.body)
                return post_scores(self.store, body, takes_list=self.version != "4.16")
            case "GET", "/api/public/v2/metrics":
                return self._metrics(request)
            case "GET", "/api/public/v2/observations":
                return get_observations(self.store.visible_rows(), self.project.id, request.query)
            case "GET", "/api/public/v3/scores":
                return get_scores(self.store.visible_scores(), self.project.id, request.query)
            case method, _ if path.startswith(PROMPTS):
                return self.prompts.answer(method, path, request.query)
            case _:
                return unknown_route(path)

    def _authorize(self, header: str | None) -> None:
        if header is None:
            raise RefusedError(Answer(401, {"message": "No authorization header"}))
        expected = base64.b64encode(f"{self.public_key}:{self.secret_key}".encode()).decode()
        if header != f"Basic {expected}":
            message = "Invalid credentials. Confirm that you've configured the correct host."
            raise RefusedError(Answer(401, {"message": message}))

    def _projects(self) -> Answer:
        owner = {"id": self.project.organization_id, "name": self.project.organization_name}
        project = {"id": self.project.id, "name": self.project.name, "organization": owner, "metadata": {}}
        return Answer(200, {"data": [project]})

    def _take_spans(self, request: Incoming) -> Answer:
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

    def _metrics(self, request: Incoming) -> Answer:
        query = parse_query(request.query.get("query", [None])[-1])
        rows, scores = self.store.visible_rows(), self.store.visible_scores()
        return Answer(200, {"data": metrics_of(query, rows, scores, quote_64_bit=self.quote_64_bit)})


def unknown_route(path: str) -> Answer:
    """v1 reads are switched off in the server's default mode."""
    name = path.removeprefix("/api/public/")
    if name in V1 or name == "scores" or name.startswith(("traces/", "sessions/")):
        return Answer(404, {"message": EVENTS_ONLY})
    return Answer(404, {"message": "Not Found"})


def json_of(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, binascii.Error):
        raise invalid_data(wrong_type([], "object", body.decode(errors="replace"))) from None
