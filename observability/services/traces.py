"""Traces: written down with the result they tell of, sent to Langfuse later, each once."""

import hashlib
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings
from django.db import connection

from observability.langfuse.client import LangfuseUnavailable, langfuse_configured
from observability.langfuse.sdk import sdk_load
from observability.langfuse.spans import ObservationPayload, TracePayload, spans_of
from observability.langfuse.traces import Sending, Sent, spans_send
from observability.masking import mask, mask_labels
from observability.models import Channel, Trace
from observability.services.channels import channel_is_open, channel_succeeded, channel_take, channel_troubled
from observability.services.deliveries import LEASE, SENDING, ExportOutcome, connection_release
from observability.services.prices import TokenUsage
from observability.services.sightings import spans_seen

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger(__name__)

LONGEST = 200  # characters; Langfuse drops longer user ids, sessions, tags and metadata values
# What a trace says of itself on each of its spans.
ABOUT = ("name", "user_id", "session_id", "tags", "metadata", "environment", "release")
BATCH_TRACES = 50
BATCH_CHARACTERS = 3_000_000
# What was sent may take half a minute to be visible in Langfuse; before that, asking for it proves nothing.
SETTLING = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationRecord:
    """One step of a trace. `key` is unique in the trace, `parent` is the key of the step around it; cost in USD."""

    key: str
    name: str
    started_at: datetime
    ended_at: datetime
    parent: str | None = None
    type: Literal["span", "generation"] = "span"
    completion_started_at: datetime | None = None
    level: Literal["DEBUG", "DEFAULT", "WARNING", "ERROR"] = "DEFAULT"
    status_message: str = ""
    input: Any = None
    output: Any = None
    model: str = ""
    model_parameters: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)
    cost: Mapping[str, Decimal] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # The prompt of Langfuse's that a generation was made with; empty for one of our own.
    prompt_name: str = ""
    prompt_version: int | None = None
    # The experiment that it is an item of: see services/experiments.py.
    experiment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRecord:
    """One trace: `seed` makes its id, the root observation comes first.

    With a `part` it holds only observations that came after the trace was written down; their parents may be in it.
    """

    seed: str
    name: str
    user_id: str
    observations: Sequence[ObservationRecord]
    part: str = ""
    session_id: str = ""
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


def trace_id_for(seed: str) -> str:
    """The trace id that Langfuse's SDK makes from the same seed: 32 hexadecimal characters."""
    return hashlib.sha256(seed.encode()).hexdigest()[:32]


def span_id_for(seed: str, key: str) -> str:
    """The id of the observation `key` in the trace of this seed: 16 hexadecimal characters."""
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()[:16]


def usage_details(usage: TokenUsage) -> dict[str, int]:
    """Token counts under the names that Langfuse prices for Claude, no token under two names."""
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_read_input_tokens": usage.cache_read,
        "input_cache_creation_5m": usage.cache_write_5m,
        "input_cache_creation_1h": usage.cache_write_1h,
    }


def trace_record(record: TraceRecord) -> Trace | None:
    """Write a trace down in the caller's transaction; None when Langfuse is not configured.

    The same seed and part again change nothing: the first record stays.
    """
    if not langfuse_configured():
        return None
    payload = _payload(record)
    if record.part:
        payload.update(_told(trace_id_for(record.seed)))
    trace = Trace(
        trace_id=trace_id_for(record.seed),
        part=record.part,
        user_id=payload["user_id"],
        started_at=record.observations[0].started_at,
        payload=payload,
    )
    return trace if _insert(trace) else Trace.objects.get(trace_id=trace.trace_id, part=trace.part)


def _insert(trace: Trace) -> bool:
    """Write the row, as bulk_create with ignore_conflicts does; whether it was written is what that does not tell."""
    values = [field.get_db_prep_save(field.pre_save(trace, add=True), connection) for field in _fields()]
    with connection.cursor() as cursor:
        cursor.execute(_insertion(), values)
        trace._state.adding, trace._state.db = False, connection.alias
        return bool(cursor.rowcount == 1)


@cache
def _insertion() -> str:
    columns = ", ".join(connection.ops.quote_name(field.column) for field in _fields())
    places = ", ".join("%s" for _ in _fields())
    table = connection.ops.quote_name(Trace._meta.db_table)
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608  # names of the model


def _fields() -> Sequence[Any]:
    return Trace._meta.concrete_fields


def _told(trace_id: str) -> TracePayload:
    """What the trace itself has told, if that is still here: a part that said otherwise would overwrite it."""
    names = [f"payload__{name}" for name in ABOUT]
    told = Trace.objects.filter(trace_id=trace_id, part="").values_list(*names).first() or [None] * len(ABOUT)
    known = zip(ABOUT, told, strict=True)
    return {name: value for name, value in known if value is not None}  # type: ignore[return-value]  # some of its keys


def _payload(record: TraceRecord) -> TracePayload:
    session_id, *tags = _labels([record.session_id, *record.tags])
    return {
        "name": _short(record.name),
        "user_id": _short(record.user_id),
        "session_id": session_id,
        "tags": tags,
        "metadata": _metadata(record.metadata),
        "environment": settings.LANGFUSE_ENVIRONMENT,
        "release": _short(settings.LANGFUSE_RELEASE),
        "observations": [_observation(record.seed, one) for one in record.observations],
    }


def _observation(seed: str, one: ObservationRecord) -> ObservationPayload:
    usage, cost = dict(one.usage), dict(one.cost)
    if one.type == "generation":
        # Langfuse guesses what is missing: it counts tokens itself, and takes a cost without `total` as 0.
        usage = usage or {"input": 0, "output": 0}
        cost.setdefault("total", sum(cost.values(), Decimal(0)))
    status_message, told_in, told_out = mask([_storable(text) for text in (one.status_message, one.input, one.output)])
    payload: ObservationPayload = {
        "id": span_id_for(seed, one.key),
        "parent_id": None if one.parent is None else span_id_for(seed, one.parent),
        "type": one.type,
        "name": _short(one.name),
        "started_ms": _ms(one.started_at),
        "ended_ms": max(_ms(one.ended_at), _ms(one.started_at)),
        "completion_started_ms": None if one.completion_started_at is None else _ms(one.completion_started_at),
        "level": one.level,
        "status_message": status_message,
        "input": told_in,
        "output": told_out,
        "model": one.model,
        "model_parameters": _storable(one.model_parameters),
        "usage": usage,
        "cost": {name: str(usd) for name, usd in cost.items()},
        "metadata": _metadata(one.metadata),
        "prompt_name": one.prompt_name,
        "prompt_version": one.prompt_version,
    }
    if one.experiment:
        payload["experiment"] = _experiment(one.experiment)
    return payload


def _experiment(told: Mapping[str, str]) -> dict[str, str]:
    expected = mask(_storable(told.get("item_expected_output", "")))
    return {name: _storable(text) for name, text in told.items()} | {"item_expected_output": expected}


def _ms(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _short(text: str) -> str:
    """The text, or its beginning and a hash of the whole, so that two long ones stay two."""
    text = _storable(text)
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 17]}…{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _labels(texts: Sequence[str]) -> list[str]:
    # Masked before they are shortened: the hash of a card number would tell the number.
    masked = mask_labels({str(place): _storable(text) for place, text in enumerate(texts)})
    return [_short(text) for text in masked.values()]


def _metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    labels = mask_labels({name: _storable(value) for name, value in values.items()})
    return {_short(name): _short(label) if isinstance(label, str) else label for name, label in labels.items()}


def _storable(value: Any) -> Any:
    """The value as JSON that PostgreSQL takes: it refuses NUL, half a surrogate pair and numbers that are none.

    A question may hold any of them, and writing its trace down must not undo the transaction that charges it.
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            if value.isascii() and "\x00" not in value:
                return value
            return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {_storable(str(key)): _storable(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_storable(inner) for inner in value]
        case _:
            return _storable(str(value))


def traces_export(*, limit: int = 200) -> ExportOutcome:
    """Send the traces that are due. Holds neither a transaction nor a connection while it talks to Langfuse.

    A row whose earlier try may have arrived is asked for first, and only what is missing is sent: the same trace
    stored twice counts twice until Langfuse merges it, which has no upper bound.
    """
    if not langfuse_configured():
        return ExportOutcome()
    sdk_load()
    if not channel_is_open(Channel.Name.INGESTION):
        return ExportOutcome()
    traces = Trace.objects.claim(limit=limit, lease=LEASE)
    if not traces:
        return ExportOutcome()
    return _Export(traces).run()


@dataclass(slots=True)
class _Parcel:
    """One trace and the spans of it that are to be sent."""

    trace: Trace
    spans: "list[ReadableSpan]"


class _Export:
    """One run over claimed rows; each row gets its outcome as soon as it is known."""

    def __init__(self, traces: list[Trace]) -> None:
        self.traces = traces
        self.outcome = ExportOutcome(claimed=len(traces))
        self.ends = time.monotonic() + SENDING

    def run(self) -> ExportOutcome:
        parcels = self._missing(self._parcels())
        batches = list(_batches(parcels))[::-1]
        while batches:
            batch = batches.pop()
            taken_at = channel_take(Channel.Name.INGESTION) if time.monotonic() < self.ends else None
            if taken_at is None:
                self._release([parcel.trace for some in [batch, *batches] for parcel in some])
                break
            connection_release()
            sending = spans_send([span for parcel in batch for span in parcel.spans])
            if sending.sent in (Sent.TAKEN, Sent.REJECTED):
                channel_succeeded(Channel.Name.INGESTION, taken_at)
            else:
                channel_troubled(Channel.Name.INGESTION, sending.error, retry_after=sending.retry_after)
            rows = [parcel.trace for parcel in batch]
            match sending.sent:
                case Sent.TAKEN:
                    self._delivered(rows)
                case Sent.REJECTED if len(batch) > 1:  # which of them is it?
                    batches += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
                case Sent.REJECTED:
                    self._failed(rows, sending.error)
                case _:
                    self._postpone(rows, sending)
                    # Not tried, not punished: they come before these when the channel opens again.
                    self._release([parcel.trace for some in batches for parcel in some])
                    break
        return self.outcome

    def _parcels(self) -> list[_Parcel]:
        parcels = []
        for trace in self.traces:
            try:
                parcels.append(_Parcel(trace, spans_of(trace.trace_id, trace.payload)))
            except (LookupError, TypeError, ValueError, ArithmeticError) as unreadable:
                self._failed([trace], f"not a trace: {type(unreadable).__name__}: {unreadable}")
        return parcels

    def _missing(self, parcels: list[_Parcel]) -> list[_Parcel]:
        """The parcels without what Langfuse already has."""
        doubtful = [parcel for parcel in parcels if parcel.trace.maybe_sent]
        if not doubtful:
            return parcels
        certain = [parcel for parcel in parcels if not parcel.trace.maybe_sent]
        rows = [parcel.trace for parcel in doubtful]
        try:
            stored = spans_seen(rows)
        except LangfuseUnavailable as trouble:
            self._note_postponed(rows, str(trouble))
            return certain
        if stored is None:
            self._release(rows)
            return certain
        for parcel in doubtful:
            parcel.spans = [
                span
                for span in parcel.spans
                if span.context and (parcel.trace.trace_id, f"{span.context.span_id:016x}") not in stored
            ]
        self._delivered([parcel.trace for parcel in doubtful if not parcel.spans])
        return [parcel for parcel in parcels if parcel.spans]

    def _delivered(self, rows: list[Trace]) -> None:
        Trace.objects.note_delivered(rows)
        self.outcome.delivered += len(rows)

    def _failed(self, rows: list[Trace], error: str) -> None:
        logger.error("Langfuse rejects trace %s: %s", rows[0].trace_id, error)
        Trace.objects.note_failed(rows, error=error)
        self.outcome.failed += len(rows)
        self.outcome.error = error

    def _release(self, rows: list[Trace]) -> None:
        Trace.objects.release(rows)
        self.outcome.postponed += len(rows)

    def _postpone(self, rows: list[Trace], sending: Sending) -> None:
        unknown = sending.sent is Sent.UNKNOWN
        self._note_postponed(
            rows,
            sending.error,
            maybe_sent=unknown,
            at_least=max(sending.retry_after, SETTLING if unknown else timedelta(0)),
        )

    def _note_postponed(
        self,
        rows: list[Trace],
        error: str,
        *,
        maybe_sent: bool = False,
        at_least: timedelta = timedelta(0),
    ) -> None:
        if rows:
            logger.warning("%d traces wait for Langfuse: %s", len(rows), error)
            Trace.objects.note_postponed(rows, error=error, maybe_sent=maybe_sent, at_least=at_least)
            self.outcome.postponed += len(rows)
            self.outcome.error = error


def _batches(parcels: list[_Parcel]) -> Iterator[list[_Parcel]]:
    batch: list[_Parcel] = []
    characters = 0
    for parcel in parcels:
        size = sum(len(str(value)) for span in parcel.spans for value in (span.attributes or {}).values())
        if batch and (len(batch) >= _together(batch[0]) or characters + size > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(parcel)
        characters += size
    if batch:
        yield batch


def _together(parcel: _Parcel) -> int:
    """How many travel with this one: fewer and fewer after many unclear ends, so that one bad trace ends up alone."""
    doubts = max(parcel.trace.tries - 6, 0) if parcel.trace.maybe_sent else 0
    return max(BATCH_TRACES >> doubts, 1)
