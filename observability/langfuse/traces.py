"""Spans to Langfuse and back: one synchronous call whose outcome is seen, and the question what has arrived."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

import httpx

from observability.langfuse.client import (
    answer_told,
    langfuse_api,
    langfuse_asked,
    langfuse_config,
    langfuse_http,
    retry_after_of,
    trouble_told,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

# 100 ids make a request of about 4,000 characters: below nginx's usual 8k line and Node's 16k head.
IDS_PER_QUESTION = 100
PAGE = 1000


class Sent(Enum):
    TAKEN = auto()
    REJECTED = auto()  # something in this batch is bad: the same batch would be rejected again
    NOT_TAKEN = auto()  # surely not stored: refused, busy, or our keys or address are wrong
    UNKNOWN = auto()  # timed out, cut, failed inside, or answered by something else: it may be stored


@dataclass(frozen=True, slots=True)
class Sending:
    sent: Sent
    error: str = ""
    retry_after: timedelta = timedelta(0)


def spans_send(spans: Sequence[ReadableSpan]) -> Sending:
    """Send spans in one request, once. Never raises for what the network or Langfuse does.

    opentelemetry's own exporter tries again by itself and tells only success or failure; what matters here is the
    difference between "surely not stored" and "perhaps stored", since a trace stored twice is charged twice.
    """
    import langfuse  # noqa: PLC0415  # only an exporting process pays for these imports
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: PLC0415  # as above

    try:
        answer = langfuse_http().post(
            "/api/public/otel/v1/traces",
            content=gzip.compress(encode_spans(spans).SerializeToString(), compresslevel=6),
            headers={
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "gzip",
                "x-langfuse-sdk-name": "python",
                "x-langfuse-sdk-version": langfuse.__version__,
                "x-langfuse-public-key": langfuse_config().public_key,
                "x-langfuse-ingestion-version": "4",  # without it traces show up ten minutes late
            },
        )
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as never_left:
        return Sending(Sent.NOT_TAKEN, trouble_told(never_left))
    except httpx.HTTPError as unclear:
        return Sending(Sent.UNKNOWN, trouble_told(unclear))
    return _judged(answer)


def _judged(answer: httpx.Response) -> Sending:
    error, retry_after = answer_told(answer.status_code, answer.text), retry_after_of(answer.headers)
    match answer.status_code:
        case code if 200 <= code < 300 and _is_langfuse(answer):
            return Sending(Sent.TAKEN)
        case 400 | 413:
            return Sending(Sent.REJECTED, error)
        case 429 | 503:
            return Sending(Sent.NOT_TAKEN, error, retry_after)
        case code if 200 <= code < 300 or code >= 500:
            return Sending(Sent.UNKNOWN, error, retry_after)
        case _:
            return Sending(Sent.NOT_TAKEN, error, retry_after)


def _is_langfuse(answer: httpx.Response) -> bool:
    """An OTLP answer is a JSON object, protobuf or empty; anything else was said by something in between."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if not answer.content or kind == "application/x-protobuf":
        return True
    try:
        return kind == "application/json" and isinstance(answer.json(), dict)
    except ValueError:
        return False


def observations_stored(trace_ids: Sequence[str], *, starts_at: datetime, ends_at: datetime) -> set[tuple[str, str]]:
    """The (trace id, span id) pairs that Langfuse has of these traces. Raises LangfuseUnavailable.

    The times bound the observations' starts, `ends_at` exclusive. What was sent within the last half minute may not
    be visible yet.
    """
    stored: set[tuple[str, str]] = set()
    for first in range(0, len(trace_ids), IDS_PER_QUESTION):
        stored.update(_stored_of(trace_ids[first : first + IDS_PER_QUESTION], starts_at, ends_at))
    return stored


def _stored_of(trace_ids: Sequence[str], starts_at: datetime, ends_at: datetime) -> Iterable[tuple[str, str]]:
    wanted = [{"column": "traceId", "type": "stringOptions", "operator": "any of", "value": list(trace_ids)}]
    cursor: str | None = None
    while True:
        with langfuse_asked():
            page = langfuse_api().observations.get_many(
                fields="core",
                filter=json.dumps(wanted, separators=(",", ":")),
                from_start_time=starts_at,
                to_start_time=ends_at,
                limit=PAGE,
                cursor=cursor,
                request_options={"max_retries": 0},
            )
        yield from ((one.trace_id, one.id) for one in page.data if one.trace_id)
        cursor = page.meta.cursor
        if not cursor:
            return
