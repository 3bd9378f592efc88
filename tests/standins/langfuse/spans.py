"""OTLP spans become observations, by the server's rules."""

import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from langfuse import LangfuseOtelSpanAttributes as Key
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.standins.langfuse.prices import cost_of, usage_of
from tests.standins.langfuse.records import Observation, environment_name, moment_of

METADATA = (f"{Key.TRACE_METADATA}.", f"{Key.OBSERVATION_METADATA}.")


def observations_of(
    request: ExportTraceServiceRequest, *, decode_metadata: bool, now: datetime
) -> Iterator[Observation]:
    """One observation per span. Span events, and with them stack traces, are not stored.

    `decode_metadata`: newer servers decode the JSON that SDK 5 makes of each metadata value, 4.16 stores the
    JSON itself.
    """
    for group in request.resource_spans:
        resource = attributes_of(group.resource.attributes)
        for scoped in group.scope_spans:
            shared = shared_metadata(resource, scoped.scope)
            for span in scoped.spans:
                attributes = attributes_of(span.attributes)
                metadata = own_metadata(attributes, decode=decode_metadata) | shared
                yield observation_of(span, attributes, resource, metadata, now)


def observation_of(
    span: Span,
    attributes: dict[str, object],
    resource: dict[str, object],
    metadata: dict[str, str],
    now: datetime,
) -> Observation:
    def text(key: str) -> str:
        return str(attributes.get(key, resource.get(key, "")))

    parent = span.parent_span_id.hex()
    is_root = not parent or bool(attributes.get(Key.IS_APP_ROOT)) or bool(attributes.get(Key.AS_ROOT))
    failed = span.status.code == Status.STATUS_CODE_ERROR
    usage = usage_of(attributes.get(Key.OBSERVATION_USAGE_DETAILS))
    cost, inferred = cost_of(attributes.get(Key.OBSERVATION_COST_DETAILS), usage, text(Key.OBSERVATION_MODEL))
    version = attributes.get(Key.OBSERVATION_PROMPT_VERSION)
    return Observation(
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=parent,
        is_root=is_root,
        type=text(Key.OBSERVATION_TYPE).upper() or "SPAN",
        name=span.name,
        start=moment_of(span.start_time_unix_nano // 1_000_000),
        end=moment_of(span.end_time_unix_nano // 1_000_000) if span.end_time_unix_nano else None,
        completion_start=completion_start_of(attributes.get(Key.OBSERVATION_COMPLETION_START_TIME)),
        level=text(Key.OBSERVATION_LEVEL) or ("ERROR" if failed else "DEFAULT"),
        status_message=text(Key.OBSERVATION_STATUS_MESSAGE) or span.status.message,
        environment=environment_name(text(Key.ENVIRONMENT)),
        version=text(Key.VERSION),
        release=text(Key.RELEASE),
        user_id=text(Key.TRACE_USER_ID),
        session_id=text(Key.TRACE_SESSION_ID),
        trace_name=text(Key.TRACE_NAME) or (span.name if is_root else ""),
        tags=tags_of(attributes.get(Key.TRACE_TAGS)),
        public=bool(attributes.get(Key.TRACE_PUBLIC)),
        model=text(Key.OBSERVATION_MODEL),
        model_parameters=text(Key.OBSERVATION_MODEL_PARAMETERS),
        input=optional_text(attributes.get(Key.OBSERVATION_INPUT)),
        output=optional_text(attributes.get(Key.OBSERVATION_OUTPUT)),
        metadata=metadata,
        prompt_name=text(Key.OBSERVATION_PROMPT_NAME),
        prompt_version=version if isinstance(version, int) else None,
        usage=usage,
        cost=cost,
        cost_is_inferred=inferred,
        attributes=attributes,
        resource=resource,
        received=now,
        arrived=time.monotonic(),
    )


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def value_of(value: AnyValue) -> object:
    match value.WhichOneof("value"):
        case "array_value":
            return [value_of(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values)
        case None:
            return None
        case kind:
            plain: object = getattr(value, kind)
            return plain


def own_metadata(attributes: dict[str, object], *, decode: bool) -> dict[str, str]:
    metadata = {}
    for key, value in attributes.items():
        for prefix in METADATA:
            if key.startswith(prefix):
                text = value if isinstance(value, str) else json.dumps(value)
                metadata[key.removeprefix(prefix)] = decoded(text) if decode else text
    return metadata


def decoded(text: str) -> str:
    """A JSON string loses its quotes; every other JSON value stays the text it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def shared_metadata(resource: dict[str, object], scope: InstrumentationScope) -> dict[str, str]:
    """The server also files what the whole batch says about itself under each observation's metadata."""
    named = {
        **{f"scope.attributes.{key}": value for key, value in attributes_of(scope.attributes).items()},
        "scope.version": scope.version,
        "scope.name": scope.name,
        **{f"resourceAttributes.{key}": value for key, value in resource.items()},
    }
    return {key: str(value) for key, value in named.items() if value != ""}


def tags_of(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()


def completion_start_of(value: object) -> datetime | None:
    """SDKs send it as ISO text, JSON-encoded or not."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(decoded(value)).astimezone(UTC)
    except ValueError:
        return None


def optional_text(value: object) -> str | None:
    return None if value is None else str(value)
