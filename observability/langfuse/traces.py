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

from observability.langfuse.client import LangfuseUnavailable, langfuse_api, langfuse_config, langfuse_http

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

# 100 ids make a request of about 4,000 characters: below nginx's usual 8k line and Node's 16k head.
IDS_PER_QUESTION = 100
PAGE = 1000


class Sent(Enum):
    TAKEN = auto()
    REJECTED = auto()  # something in this batch is bad: the same batch would be rejected again
    NOT_TAKEN = auto()  # surely not stored: refused, busy, or our keys or address are wrong
    UNKNOWN = auto()  # timed out, cut, or failed inside: it may be stored


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
        return Sending(Sent.NOT_TAKEN, _told(never_left))
    except httpx.HTTPError as unclear:
        return Sending(Sent.UNKNOWN, _told(unclear))
    return _judged(answer)


def _judged(answer: httpx.Response) -> Sending:
    error = f"HTTP {answer.status_code}: {answer.text[:500]}"
    match answer.status_code:
        case code if 200 <= code < 300:
            return Sending(Sent.TAKEN)
        case 400 | 413 | 422:
            return Sending(Sent.REJECTED, error)
        case 429 | 503:
            return Sending(Sent.NOT_TAKEN, error, _retry_after(answer))
        case code if code >= 500:
            return Sending(Sent.UNKNOWN, error, _retry_after(answer))
        case _:
            return Sending(Sent.NOT_TAKEN, error)


def _retry_after(answer: httpx.Response) -> timedelta:
    seconds = answer.headers.get("retry-after", "")
    return timedelta(seconds=min(int(seconds), 86_400)) if seconds.isascii() and seconds.isdigit() else timedelta(0)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


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
    from langfuse.api.core import ApiError  # noqa: PLC0415  # only an exporting process pays for this import

    wanted = [{"column": "traceId", "type": "stringOptions", "operator": "any of", "value": list(trace_ids)}]
    cursor: str | None = None
    while True:
        try:
            page = langfuse_api().observations.get_many(
                fields="core",
                filter=json.dumps(wanted, separators=(",", ":")),
                from_start_time=starts_at,
                to_start_time=ends_at,
                limit=PAGE,
                cursor=cursor,
                request_options={"max_retries": 0},
            )
        except httpx.HTTPError as error:
            raise LangfuseUnavailable(_told(error)) from error
        except ApiError as error:
            raise LangfuseUnavailable(f"HTTP {error.status_code}: {error.body}") from error
        yield from ((one.trace_id, one.id) for one in page.data if one.trace_id)
        cursor = page.meta.cursor
        if not cursor:
            return
