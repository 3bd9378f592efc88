"""A stored trace becomes OpenTelemetry spans with Langfuse's attributes: the same row, the same spans, for ever.

Langfuse keeps one row per trace id, span id and start to the millisecond, so all three come from the stored payload
and nothing is read from a clock. Pure: no database, no network, no settings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class ObservationPayload(TypedDict):
    id: str
    parent_id: str | None
    type: str
    name: str
    started_ms: int
    ended_ms: int
    completion_started_ms: int | None
    level: str
    status_message: str
    input: Any
    output: Any
    model: str
    model_parameters: dict[str, Any]
    usage: dict[str, int]
    cost: dict[str, str]
    metadata: dict[str, Any]
    prompt_name: NotRequired[str]  # rows of earlier versions have neither
    prompt_version: NotRequired[int | None]
    experiment: NotRequired[dict[str, str]]  # only of an experiment's items


class TracePayload(TypedDict):
    """What the column Trace.payload holds; times in whole milliseconds since 1970, money as decimal strings."""

    name: str
    user_id: str
    session_id: str
    tags: list[str]
    metadata: dict[str, Any]
    environment: str
    release: NotRequired[str]  # rows of earlier versions have none
    observations: list[ObservationPayload]


def spans_of(trace_id: str, payload: TracePayload) -> list[ReadableSpan]:
    """The spans of one trace, each complete in itself: user, session, tags and name are on every one."""
    import langfuse  # noqa: PLC0415  # only an exporting process pays for these imports
    from langfuse import LangfuseOtelSpanAttributes as Names  # noqa: PLC0415  # as above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415  # as above
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415  # as above
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415  # as above

    release = {Names.RELEASE: payload["release"]} if payload.get("release") else {}
    resource = Resource({"service.name": "text2sql", Names.ENVIRONMENT: payload["environment"], **release})
    scope = InstrumentationScope("langfuse-sdk", langfuse.__version__)
    on_every_span = {
        Names.TRACE_NAME: payload["name"],
        Names.TRACE_USER_ID: payload["user_id"],
        Names.TRACE_SESSION_ID: payload["session_id"],
        Names.TRACE_TAGS: payload["tags"],
    }
    on_every_span = {name: value for name, value in on_every_span.items() if value} | release

    def context(span_id: str) -> SpanContext:
        return SpanContext(
            int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )

    return [
        ReadableSpan(
            name=one["name"],
            context=context(one["id"]),
            parent=context(one["parent_id"]) if one["parent_id"] else None,
            resource=resource,
            kind=SpanKind.INTERNAL,
            attributes=on_every_span | _attributes(one, payload["metadata"]) | _experiment(one),
            start_time=one["started_ms"] * 1_000_000,
            end_time=one["ended_ms"] * 1_000_000,
            instrumentation_scope=scope,
            status=Status(StatusCode.ERROR, one["status_message"])
            if one["level"] == "ERROR"
            else Status(StatusCode.UNSET),
        )
        for one in payload["observations"]
    ]


def _attributes(one: ObservationPayload, trace_metadata: dict[str, Any]) -> dict[str, Any]:
    # The very functions Langfuse's SDK calls: they know how each value is encoded.
    from langfuse._client.attributes import (  # noqa: PLC0415  # see spans_of
        create_generation_attributes,
        create_span_attributes,
    )

    common: dict[str, Any] = {
        "input": one["input"],
        "output": one["output"],
        "level": one["level"],
        "status_message": one["status_message"] or None,
        "metadata": trace_metadata | one["metadata"],
    }
    if one["type"] != "generation":
        return create_span_attributes(**common)
    first_token = one["completion_started_ms"]
    return _prompt_link(one) | create_generation_attributes(
        **common,
        model=one["model"],
        model_parameters=one["model_parameters"] or None,
        completion_start_time=datetime.fromtimestamp(first_token / 1000, UTC) if first_token else None,
        usage_details=one["usage"],
        # Floats only here, on the wire: Langfuse stores a Decimal as 0.
        cost_details={name: float(usd) for name, usd in one["cost"].items()},
    )


def _experiment(one: ObservationPayload) -> dict[str, Any]:
    """What makes an observation an item of an experiment: the names are Langfuse's, without their common prefix."""
    from langfuse import LangfuseOtelSpanAttributes as Names  # noqa: PLC0415  # see spans_of

    told = one.get("experiment")
    if not told:
        return {}
    root = {Names.EXPERIMENT_ITEM_ROOT_OBSERVATION_ID: one["id"]}
    return root | {getattr(Names, f"EXPERIMENT_{name.upper()}"): text for name, text in told.items()}


def _prompt_link(one: ObservationPayload) -> dict[str, Any]:
    from langfuse import LangfuseOtelSpanAttributes as Names  # noqa: PLC0415  # see spans_of

    name, version = one.get("prompt_name"), one.get("prompt_version")
    return {Names.OBSERVATION_PROMPT_NAME: name, Names.OBSERVATION_PROMPT_VERSION: version} if name and version else {}
