"""What metrics v2 can group by and measure, for each of its views."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.standins.langfuse.records import Observation, Score, milliseconds


@dataclass(frozen=True)
class ScoreRow:
    """A score with the rows it is joined to."""

    score: Score
    root: Observation | None  # only a span without any parent counts, not an app root with a remote one
    observation: Observation | None


Row = Any  # Observation in the view observations, ScoreRow in the others


@dataclass(frozen=True)
class Dimension:
    """`read` gives '' for nothing; it is shown as null where `nullable`. `joins` names a ScoreRow field."""

    read: Callable[[Row], Any]
    nullable: bool = False
    high_cardinality: bool = False
    is_array: bool = False
    joins: str = ""
    imitated: bool = True


@dataclass(frozen=True)
class Measure:
    """`kind` decides which aggregations are valid; `empty` is the sum over no rows."""

    read: Callable[[Row], Any]
    kind: str = "integer"
    empty: int | None = 0
    imitated: bool = True


@dataclass(frozen=True)
class View:
    """Dimensions and measures in the order in which error messages list them."""

    dimensions: Mapping[str, Dimension]
    measures: Mapping[str, Measure]
    data_types: tuple[str, ...] = ()
    time_column: str = "timestamp"


def nothing(_: Row) -> str:
    return ""


def tokens(row: Observation, part: str) -> int:
    return sum(count for key, count in row.usage.items() if part in key.lower())


def cost(row: Observation, part: str) -> Decimal:
    return sum((amount for key, amount in row.cost.items() if part in key.lower()), Decimal(0))


def between_ms(row: Observation, part: str) -> int | None:
    """Milliseconds to the first token ('first') or from it to the end ('streaming')."""
    if row.completion_start is None or row.end is None:
        return None
    first = milliseconds(row.completion_start)
    return first - milliseconds(row.start) if part == "first" else milliseconds(row.end) - first


def per_second(count: int, seconds: int) -> float | None:
    return count / seconds if seconds else None


def tokens_per_second(row: Observation) -> float | None:
    if row.end is None:
        return None
    return per_second(row.usage.get("total", 0), milliseconds(row.end) // 1000 - milliseconds(row.start) // 1000)


def output_tokens_per_second(row: Observation) -> float | None:
    if row.end is None or row.completion_start is None:
        return None
    seconds = milliseconds(row.end) // 1000 - milliseconds(row.completion_start) // 1000
    return per_second(tokens(row, "output"), seconds)


def absent(*, nullable: bool = True, high_cardinality: bool = True) -> Dimension:
    """A name the server knows and the stand-in refuses to group or filter by."""
    return Dimension(nothing, nullable, high_cardinality, imitated=False)


OBSERVATIONS = View(
    dimensions={
        "id": Dimension(lambda o: o.id, high_cardinality=True),
        "traceId": Dimension(lambda o: o.trace_id, high_cardinality=True),
        "environment": Dimension(lambda o: o.environment, nullable=True),
        "parentObservationId": Dimension(lambda o: o.parent_id, nullable=True, high_cardinality=True),
        "isRootObservation": Dimension(lambda o: o.is_root),
        "type": Dimension(lambda o: o.type),
        "name": Dimension(lambda o: o.name),
        "level": Dimension(lambda o: o.level),
        "version": Dimension(lambda o: o.version, nullable=True),
        "userId": Dimension(lambda o: o.user_id, nullable=True, high_cardinality=True),
        "sessionId": Dimension(lambda o: o.session_id, nullable=True, high_cardinality=True),
        "tags": Dimension(lambda o: o.tags, is_array=True),
        "release": Dimension(lambda o: o.release, nullable=True),
        "traceName": Dimension(lambda o: o.trace_name, nullable=True),
        "traceRelease": Dimension(lambda o: o.release, nullable=True),
        "traceVersion": Dimension(lambda o: o.version, nullable=True),
        "providedModelName": Dimension(lambda o: o.model, nullable=True),
        "promptName": Dimension(lambda o: o.prompt_name, nullable=True),
        "promptVersion": Dimension(lambda o: o.prompt_version or "", nullable=True),
        "startTimeMonth": Dimension(lambda o: o.start.strftime("%Y-%m")),
        "toolNames": absent(high_cardinality=False),
        "calledToolNames": absent(high_cardinality=False),
        "costType": absent(high_cardinality=False),
        "usageType": absent(high_cardinality=False),
        "experimentName": absent(),
        "experimentDatasetId": absent(),
        "experimentId": absent(),
    },
    measures={
        "count": Measure(lambda _: 1),
        "traceId": Measure(lambda o: o.trace_id, "string"),
        "uniqueUserIds": Measure(lambda o: o.user_id or None, "string"),
        "uniqueSessionIds": Measure(lambda o: o.session_id or None, "string"),
        "latency": Measure(lambda o: o.latency_ms, empty=None),
        "streamingLatency": Measure(lambda o: between_ms(o, "streaming"), empty=None),
        "inputTokens": Measure(lambda o: tokens(o, "input")),
        "outputTokens": Measure(lambda o: tokens(o, "output")),
        "totalTokens": Measure(lambda o: o.usage.get("total", 0)),
        "outputTokensPerSecond": Measure(output_tokens_per_second, "decimal", None),
        "tokensPerSecond": Measure(tokens_per_second, "decimal", None),
        "inputCost": Measure(lambda o: cost(o, "input"), "decimal"),
        "outputCost": Measure(lambda o: cost(o, "output"), "decimal"),
        "totalCost": Measure(lambda o: o.total_cost, "decimal", None),
        "timeToFirstToken": Measure(lambda o: between_ms(o, "first"), empty=None),
        "countScores": Measure(nothing, imitated=False),
        "toolDefinitions": Measure(nothing, imitated=False),
        "toolCalls": Measure(nothing, imitated=False),
        "costByType": Measure(nothing, "decimal", imitated=False),
        "usageByType": Measure(nothing, imitated=False),
    },
    time_column="start_time",
)

SCORE_DIMENSIONS = {
    "sessionId": Dimension(lambda r: r.score.session_id, nullable=True, high_cardinality=True),
    "datasetRunId": Dimension(lambda r: r.score.dataset_run_id, nullable=True, high_cardinality=True),
    "traceName": Dimension(lambda r: r.root.trace_name, nullable=True, joins="root"),
    "userId": Dimension(lambda r: r.root.user_id, nullable=True, high_cardinality=True, joins="root"),
    "tags": Dimension(lambda r: r.root.tags, is_array=True, joins="root"),
    "traceRelease": Dimension(lambda r: r.root.release, nullable=True, joins="root"),
    "traceVersion": Dimension(lambda r: r.root.version, nullable=True, joins="root"),
    "observationName": Dimension(lambda r: r.observation.name, joins="observation"),
    "observationModelName": Dimension(lambda r: r.observation.model, nullable=True, joins="observation"),
    "observationPromptName": Dimension(lambda r: r.observation.prompt_name, nullable=True, joins="observation"),
    "observationPromptVersion": Dimension(
        lambda r: r.observation.prompt_version or "", nullable=True, joins="observation"
    ),
    "experimentName": absent(),
    "experimentId": absent(),
    "id": Dimension(lambda r: r.score.id, high_cardinality=True),
    "environment": Dimension(lambda r: r.score.environment),
    "name": Dimension(lambda r: r.score.name),
    "source": Dimension(lambda r: r.score.source),
    "dataType": Dimension(lambda r: r.score.data_type),
    "traceId": Dimension(lambda r: r.score.trace_id, nullable=True, high_cardinality=True),
    "configId": Dimension(lambda r: r.score.config_id or "", nullable=True),
    "timestampMonth": Dimension(lambda r: r.score.timestamp.strftime("%Y-%m")),
    "timestampDay": Dimension(lambda r: r.score.timestamp.strftime("%Y-%m-%d")),
    "observationId": Dimension(lambda r: r.score.observation_id, nullable=True, high_cardinality=True),
}
SCORE_MEASURES = {
    "count": Measure(lambda _: 1),
    "value": Measure(lambda r: r.score.value, "number"),
}
VIEWS = {
    "observations": OBSERVATIONS,
    "scores-numeric": View(
        {**SCORE_DIMENSIONS, "value": Dimension(lambda r: r.score.value)},
        SCORE_MEASURES,
        ("NUMERIC", "BOOLEAN"),
    ),
    "scores-categorical": View(
        {**SCORE_DIMENSIONS, "stringValue": Dimension(lambda r: r.score.value)},
        {"count": SCORE_MEASURES["count"]},
        ("CATEGORICAL", "TEXT"),
    ),
    "scores-boolean": View(
        {**SCORE_DIMENSIONS, "booleanValue": Dimension(lambda r: bool(r.score.value))},
        SCORE_MEASURES,
        ("BOOLEAN",),
    ),
}
