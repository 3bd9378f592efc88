"""Spans and scores for the Langfuse stand-in, sent by the unmodified OTLP exporter and SDK client."""

import base64
import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import langfuse
from langfuse import LangfuseOtelSpanAttributes as Key
from langfuse._client.attributes import create_generation_attributes, create_span_attributes
from langfuse.api import LangfuseAPI
from langfuse.api.scores.types import CreateScoreRequest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from tests.standins.langfuse import LangfuseStandIn

NOON = datetime(2026, 8, 10, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MODEL = "claude-sonnet-4-5-20250929"
ONCE: Any = {"max_retries": 0}


def trace_id(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:32]


def span_id(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


def exporter_to(lf: LangfuseStandIn, *, gzip: bool = True, timeout: float = 2, sdk: str = "") -> OTLPSpanExporter:
    """`sdk`: the version of the SDK that the headers claim, the installed one unless told."""
    keys = base64.b64encode(f"{lf.public_key}:{lf.secret_key}".encode()).decode()
    return OTLPSpanExporter(
        endpoint=f"{lf.base_url}/api/public/otel/v1/traces",
        timeout=timeout,
        compression=Compression.Gzip if gzip else Compression.NoCompression,
        headers={
            "Authorization": f"Basic {keys}",
            "x-langfuse-sdk-name": "python",
            "x-langfuse-sdk-version": sdk or langfuse.__version__,
            "x-langfuse-public-key": lf.public_key,
            "x-langfuse-ingestion-version": "4",
        },
    )


def client_of(lf: LangfuseStandIn, *, secret_key: str = "", timeout: float = 2) -> LangfuseAPI:
    return LangfuseAPI(
        base_url=lf.base_url,
        username=lf.public_key,
        password=secret_key or lf.secret_key,
        timeout=timeout,
    )


def own_key() -> str:
    """A public key for a stand-in of one test: the SDK keeps one client per key as long as the process runs."""
    return f"pk-lf-{uuid.uuid4()}"


@contextmanager
def sdk_of(lf: LangfuseStandIn) -> Iterator[langfuse.Langfuse]:
    """The whole SDK, with its threads; all is sent when it is left. `lf` needs a key of its own."""
    client = langfuse.Langfuse(
        public_key=lf.public_key,
        secret_key=lf.secret_key,
        base_url=lf.base_url,
        tracer_provider=TracerProvider(),
    )
    try:
        yield client
    finally:
        client.shutdown()


def span(
    trace: str,
    own_id: str,
    name: str,
    attributes: Mapping[str, Any],
    *,
    parent: str = "",
    start: datetime = NOON,
    lasts: timedelta = timedelta(milliseconds=400),
    error: str = "",
    resource: Mapping[str, str] | None = None,
    scope: InstrumentationScope | None = None,
) -> ReadableSpan:
    def context(number: str) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(trace, 16), int(number, 16), is_remote=False, trace_flags=flags)

    def nanoseconds(moment: datetime) -> int:
        return (moment - EPOCH) // timedelta(microseconds=1) * 1000

    return ReadableSpan(
        name=name,
        context=context(own_id),
        parent=context(parent) if parent else None,
        resource=Resource(dict(resource or {"service.name": "django", Key.ENVIRONMENT: "production"})),
        attributes=dict(attributes),
        start_time=nanoseconds(start),
        end_time=nanoseconds(start + lasts),
        instrumentation_scope=scope or InstrumentationScope("langfuse-sdk", langfuse.__version__),
        status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.UNSET),
    )


def text2sql_trace(
    seed: str,
    *,
    user: str = "team-a",
    start: datetime = NOON,
    cost: Mapping[str, Any] | None = None,
    usage: Mapping[str, Any] | None = None,
    model: str = MODEL,
    error: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> list[ReadableSpan]:
    """A root and its generation, both with the user on them; 0.0125 USD unless told."""
    trace = trace_id(seed)
    root, generation = span_id(f"{seed}:0"), span_id(f"{seed}:1")
    shared: dict[str, Any] = {
        Key.TRACE_SESSION_ID: "s-1",
        Key.TRACE_NAME: "text2sql_generation",
        Key.TRACE_TAGS: ["text2sql"],
    }
    if user:
        shared[Key.TRACE_USER_ID] = user
    meta = dict(metadata or {"channel": "slack", "n": 3})
    outer = create_span_attributes(metadata=meta, input={"question": "?"}, output={"sql": "SELECT 1"})
    inner = create_generation_attributes(
        model=model,
        usage_details=dict(usage if usage is not None else {"input": 1000, "output": 200}),
        cost_details=dict(cost if cost is not None else {"total": 0.0125}),
        metadata=meta,
        output="SELECT 1",
    )
    return [
        span(trace, generation, "generate_sql", {**shared, **inner}, parent=root, start=start, error=error),
        span(trace, root, "text2sql_generation", {**shared, **outer}, start=start, error=error),
    ]


def send(lf: LangfuseStandIn, spans: Sequence[ReadableSpan], *, timeout: float = 2, sdk: str = "") -> bool:
    """Whether the exporter says that the server took them."""
    exporter = exporter_to(lf, timeout=timeout, sdk=sdk)
    try:
        return exporter.export(spans) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()


def score(own_id: str, value: Any, kind: Any = "BOOLEAN", **more: Any) -> CreateScoreRequest:
    more = {"trace_id": trace_id("q"), "timestamp": NOON, **more}
    return CreateScoreRequest(id=own_id, name="sql_execution_success", value=value, data_type=kind, **more)


def post(lf: LangfuseStandIn, *scores: CreateScoreRequest) -> Any:
    return client_of(lf).scores.create(request=list(scores), request_options=ONCE)
