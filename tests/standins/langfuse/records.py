"""What the stand-in has stored: observations (one per OTLP span), traces and scores."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """A stored span. Times are UTC floored to the millisecond; missing texts are ''; money is USD."""

    trace_id: str
    id: str
    parent_id: str
    is_root: bool
    type: str
    name: str
    start: datetime
    end: datetime | None
    completion_start: datetime | None
    level: str
    status_message: str
    environment: str
    version: str
    release: str
    user_id: str
    session_id: str
    trace_name: str
    tags: tuple[str, ...]
    public: bool
    model: str
    model_parameters: str
    input: str | None
    output: str | None
    metadata: dict[str, str]
    prompt_name: str
    prompt_version: int | None
    usage: dict[str, int]
    cost: dict[str, Decimal]
    cost_is_inferred: bool
    attributes: dict[str, object]  # as they came on the wire, decoded
    resource: dict[str, object]
    received: datetime
    arrived: float  # time.monotonic()

    @property
    def total_cost(self) -> Decimal:
        return self.cost.get("total", Decimal(0))

    @property
    def latency_ms(self) -> int | None:
        return None if self.end is None else milliseconds(self.end) - milliseconds(self.start)

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """The server's sorting key: rows that share it become one when their parts are merged."""
        month, minute = self.start.strftime("%Y-%m"), self.start.strftime("%dT%H:%M")
        return month, minute, self.trace_id, self.id, milliseconds(self.start)


@dataclass(frozen=True)
class Trace:
    """One trace as it stands after a merge: the last sent row of each key."""

    id: str
    root: Observation | None
    observations: list[Observation]  # by start time

    def named(self, name: str) -> Observation:
        """The only observation of that name. Raises LookupError when there is none, or more than one."""
        found = [observation for observation in self.observations if observation.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} observations named {name!r} in trace {self.id}")
        return found[0]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A stored score. `value` is what was sent: a number for NUMERIC and BOOLEAN, otherwise a text."""

    id: str
    name: str
    value: float | str
    data_type: str
    trace_id: str
    observation_id: str
    session_id: str
    dataset_run_id: str
    comment: str | None
    metadata: dict[str, object]
    environment: str
    config_id: str | None
    source: str
    timestamp: datetime
    created: datetime
    updated: datetime
    arrived: float  # time.monotonic()


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, floored."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def moment_of(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def iso(moment: datetime | None) -> str | None:
    """The way JavaScript prints a Date: UTC, three decimals, Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def environment_name(given: str) -> str:
    """The server changes bad names in silence: 'Prod' is stored as 'prod', 'langfuse-x' as 'x'."""
    name = re.sub(r"[^a-z0-9_-]", "-", re.sub(r"^(langfuse-?)+", "", given.lower()))[:40]
    return name or "default"
