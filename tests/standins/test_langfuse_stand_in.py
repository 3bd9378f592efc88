"""The Langfuse stand-in, driven by the unmodified SDK client and OTLP exporter."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from langfuse import Langfuse
from langfuse.api import NotFoundError, UnauthorizedError
from langfuse.api.commons.errors.error import Error
from langfuse.api.scores.types import CreateScoreBatchResults
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import (
    MODEL,
    NOON,
    ONCE,
    client_of,
    exporter_to,
    post,
    score,
    send,
    span,
    span_id,
    text2sql_trace,
    trace_id,
)

DAY = ("2026-08-10T00:00:00.000Z", "2026-08-10T23:59:59.999Z")
TOTALS = [("count", "count"), ("totalCost", "sum")]


@pytest.fixture
def lf() -> Iterator[LangfuseStandIn]:
    with LangfuseStandIn() as stand_in:
        yield stand_in


def ask(lf: LangfuseStandIn, metrics: list[tuple[str, str]] = TOTALS, **query: Any) -> list[dict[str, Any]]:
    whole = {
        "view": "observations",
        "dimensions": [],
        "metrics": [{"measure": measure, "aggregation": how} for measure, how in metrics],
        "filters": [],
        "fromTimestamp": DAY[0],
        "toTimestamp": DAY[1],
        **query,
    }
    return list(client_of(lf).metrics.metrics(query=json.dumps(whole), request_options=ONCE).data)


def by_user(field: str = "sum_totalCost") -> dict[str, Any]:
    order = [{"field": field, "direction": "desc"}]
    return {"dimensions": [{"field": "userId"}], "orderBy": order, "config": {"row_limit": 1000}}


def where(column: str, operator: str, value: Any, kind: str = "string", **more: str) -> dict[str, Any]:
    return {"column": column, "operator": operator, "value": value, "type": kind, **more}


@pytest.mark.parametrize("gzip", [True, False])
def test_spans_are_stored_with_their_ids_times_and_attributes(lf: LangfuseStandIn, *, gzip: bool) -> None:
    sent = text2sql_trace("q", start=NOON + timedelta(microseconds=432_712), error="ValueError: boom")
    assert exporter_to(lf, gzip=gzip).export(sent) is SpanExportResult.SUCCESS
    trace = lf.traces()[trace_id("q")]
    generation = trace.named("generate_sql")
    assert trace.root is not None
    assert (trace.root.id, generation.parent_id) == (span_id("q:0"), span_id("q:0"))
    assert generation.start == NOON + timedelta(milliseconds=432)
    assert (generation.user_id, generation.session_id, generation.tags) == ("team-a", "s-1", ("text2sql",))
    assert (generation.level, generation.status_message) == ("ERROR", "ValueError: boom")
    assert (generation.environment, generation.model) == ("production", MODEL)
    assert generation.usage == {"input": 1000, "output": 200, "total": 1200}
    assert generation.total_cost == Decimal("0.0125")
    assert generation.metadata["channel"] == "slack"
    (request,) = lf.requests
    assert request.headers.get("content-encoding") == ("gzip" if gzip else None)
    assert len(request.body.resource_spans[0].scope_spans[0].spans) == 2
    assert request.status == 200


def test_the_live_sdk_delivers_a_trace_and_its_score(lf: LangfuseStandIn) -> None:
    client = Langfuse(public_key=lf.public_key, secret_key=lf.secret_key, base_url=lf.base_url)
    assert client.auth_check()
    with client.start_as_current_observation(as_type="span", name="root") as root:
        root.score_trace(name="user_feedback", value=1, data_type="BOOLEAN")
        with client.start_as_current_observation(as_type="generation", name="generate_sql", model=MODEL) as gen:
            gen.update(usage_details={"input": 1000, "output": 200})
    client.flush()
    client.shutdown()
    (trace,) = lf.traces().values()
    assert trace.named("generate_sql").total_cost == Decimal("0.006")
    assert trace.root is not None
    assert [(item.name, item.trace_id) for item in lf.scores()] == [("user_feedback", trace.id)]


@pytest.mark.parametrize(
    ("usage", "cost", "model", "total"),
    [
        ({"input": 1000, "output": 200}, {}, MODEL, "0.006"),
        (
            {
                "input_tokens": 1000,
                "output_tokens": 200,
                "cache_creation_input_tokens": 4000,
                "cache_read_input_tokens": 10000,
            },
            {},
            MODEL,
            "0.023999999999",
        ),
        ({"input": 1000, "output": 200}, {}, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "0.006"),
        ({"input": 1000, "output": 200.7}, {}, MODEL, "0.003"),
        ({"input": 1000, "output": -5}, {}, MODEL, "0.003"),
        ({"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}, {}, MODEL, "0.006"),
        ({"cache_creation_input_tokens": 4000, "input_cache_creation_5m": 4000}, {}, MODEL, "0.03"),
        ({"input": 1000}, {}, "my-local-model", "0"),
        ({"input": 1000}, {"total": 0.25}, "my-local-model", "0.25"),
        ({"input": 1000}, {"input": 0.1, "output": 0.2, "total": 0.5}, MODEL, "0.5"),
        ({"input": 1000}, {"input": 0.1, "output": 0.2}, MODEL, "0.300000000000"),
        ({"input": 1000}, {"input": 0.1, "output": 0.2, "cache_read_input_tokens": 0.3}, MODEL, "0"),
        ({"input": 1000}, {"total": Decimal("0.1")}, MODEL, "0"),
        ({"input": 1000}, {"total": 0.0}, MODEL, "0"),
    ],
)
def test_cost_is_given_or_inferred_as_the_server_does(
    lf: LangfuseStandIn, usage: dict[str, Any], cost: dict[str, Any], model: str, total: str
) -> None:
    send(lf, text2sql_trace("q", usage=usage, cost=cost, model=model))
    assert lf.cost_by_user(NOON, NOON) == {"team-a": Decimal(total)}
    assert ask(lf, **by_user())[0]["sum_totalCost"] == float(total)


def test_a_batch_sent_twice_counts_twice_until_a_merge(lf: LangfuseStandIn) -> None:
    for amount in (0.01, 0.03):
        send(lf, text2sql_trace("q", cost={"total": amount}))
    assert ask(lf) == [{"count_count": 4, "sum_totalCost": 0.04}]
    assert len(lf.observations()) == 4
    lf.merge()
    assert ask(lf) == [{"count_count": 2, "sum_totalCost": 0.03}]
    send(lf, text2sql_trace("q", start=NOON + timedelta(milliseconds=1)))
    lf.merge()
    assert len(lf.observations()) == 4


def test_parts_merge_by_themselves_when_enough_lie_in_the_month() -> None:
    with LangfuseStandIn(merge_at_parts=3) as lf:
        for _ in range(2):
            send(lf, text2sql_trace("q"))
        assert len(lf.observations()) == 4
        send(lf, text2sql_trace("other"))
        assert len(lf.observations()) == 4
        assert set(lf.traces()) == {trace_id("q"), trace_id("other")}


@pytest.mark.parametrize(("version", "bare"), [("4.16", 0), ("4.59", 1), ("cloud", 1)])
def test_metadata_keeps_its_quotes_on_4_16_only(version: Any, bare: int) -> None:
    with LangfuseStandIn(version=version) as lf:
        send(lf, text2sql_trace("q")[:1])
        for value, count in (("slack", bare), ('"slack"', 1 - bare)):
            condition = where("metadata", "=", value, "stringObject", key="channel")
            assert ask(lf, [("count", "count")], filters=[condition]) == [{"count_count": count}]
        (row,) = client_of(lf).observations.get_many(fields="core,metadata").data
        assert row.metadata is not None
        assert (row.metadata["channel"], row.metadata["n"]) == ("slack", 3)


def test_what_was_accepted_shows_when_the_lag_is_over() -> None:
    with LangfuseStandIn(visible_after=60, scores_visible_after=60) as lf:
        send(lf, text2sql_trace("q"))
        post(lf, score("a", 1))
        assert ask(lf) == [{"count_count": 0, "sum_totalCost": None}]
        assert client_of(lf).observations.get_many().data == []
        assert client_of(lf).scores.get_many().data == []
        assert len(lf.traces()) == len(lf.scores()) == 1
        lf.store.visible_after = lf.store.scores_visible_after = 0
        assert ask(lf) == [{"count_count": 2, "sum_totalCost": 0.0125}]
        assert len(client_of(lf).scores.get_many().data) == 1


def test_metrics_group_by_user_with_null_for_nobody(lf: LangfuseStandIn) -> None:
    for seed, user in (("a", "sales"), ("b", "sales"), ("c", "")):
        send(lf, text2sql_trace(seed, user=user))
    metrics = [("totalCost", "sum"), ("latency", "p95"), ("traceId", "uniq"), ("inputTokens", "sum")]
    lines = ask(lf, metrics, filters=[where("type", "=", "GENERATION")], **by_user())
    assert lines == [
        {"userId": "sales", "sum_totalCost": 0.025, "p95_latency": 400, "uniq_traceId": 2, "sum_inputTokens": 2000},
        {"userId": None, "sum_totalCost": 0.0125, "p95_latency": 400, "uniq_traceId": 1, "sum_inputTokens": 1000},
    ]


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (where("userId", "any of", ["sales", "hr"], "stringOptions"), 4),
        (where("userId", "none of", ["sales"], "stringOptions"), 2),
        (where("userId", "starts with", "sa"), 2),
        (where("tags", "any of", ["text2sql", "x"], "arrayOptions"), 4),
        (where("tags", "all of", ["text2sql", "x"], "arrayOptions"), 0),
        (where("tags", "none of", ["text2sql"], "arrayOptions"), 0),
        (where("isRootObservation", "=", value=True, kind="boolean"), 2),
        (where("parentObservationId", "is null", "", "null"), 2),
        (where("environment", "=", "production"), 4),
        (where("traceName", "contains", "sql"), 4),
    ],
)
def test_metrics_filter_by_every_kind(lf: LangfuseStandIn, condition: dict[str, Any], count: int) -> None:
    for user in ("sales", "hr"):
        send(lf, text2sql_trace(user, user=user))
    assert ask(lf, [("count", "count")], filters=[condition]) == [{"count_count": count}]


def test_the_window_of_metrics_includes_both_ends_and_that_of_observations_does_not(lf: LangfuseStandIn) -> None:
    last = datetime(2026, 8, 10, 23, 59, 59, 999_600, tzinfo=UTC)
    send(lf, text2sql_trace("q", start=last))
    assert ask(lf)[0]["count_count"] == 2
    assert ask(lf, toTimestamp="2026-08-10T23:59:59.998Z")[0]["count_count"] == 0
    assert (
        ask(lf, fromTimestamp="2026-08-11T05:44:59.999+05:45", toTimestamp="2026-08-11T23:00Z")[0]["count_count"] == 2
    )
    midnight = last.replace(microsecond=999_000)
    get = client_of(lf).observations.get_many
    assert get(from_start_time=NOON, to_start_time=midnight).data == []
    assert len(get(from_start_time=NOON, to_start_time=midnight + timedelta(milliseconds=1)).data) == 2


def test_empty_hours_are_filled_and_days_are_not_doubled(lf: LangfuseStandIn) -> None:
    send(lf, text2sql_trace("q"))
    hours = ask(lf, dimensions=[{"field": "level"}], timeDimension={"granularity": "hour"})
    assert len(hours) == 23  # the hour in which the window ends is not filled
    assert hours[0] == {
        "level": "",
        "time_dimension": "2026-08-10T00:00:00Z",
        "count_count": 0,
        "sum_totalCost": None,
    }
    assert hours[12]["level"] == "DEFAULT"
    days = ask(lf, timeDimension={"granularity": "day"})
    assert days == [{"time_dimension": "2026-08-10", "count_count": 2, "sum_totalCost": 0.0125}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"dimensions": [{"field": "userId"}]}, "require both 'config.row_limit' and 'orderBy'"),
        ({**by_user(), "timeDimension": {"granularity": "day"}}, "cannot be used with timeDimension"),
        (by_user("totalCost"), "Invalid orderBy field: totalCost."),
        (by_user("userId"), "'userId' is not a measure in this query."),
        ({"dimensions": [{"field": "color"}]}, "Invalid dimension color. Must be one of id,traceId,"),
        ({"metrics": [("price", "sum")]}, "Invalid metric price. Must be one of count,"),
        ({"filters": [where("color", "=", "red")]}, "Invalid filter column color. Must be one of id,"),
        ({"filters": [where("tags", "=", "a")]}, "Array fields require type 'arrayOptions'"),
        ({"filters": [where("metadata", "=", "a")]}, "Metadata filters require type 'stringObject'"),
        ({"config": {"row_limit": 5000}}, "Too big: expected number to be <=1000"),
        ({"fromTimestamp": "2026-08-10"}, "Invalid ISO datetime"),
        ({"fromTimestamp": "2026-08-10T00:00:00+0545"}, "Invalid ISO datetime"),
        ({"toTimestamp": DAY[0]}, "fromTimestamp must be before toTimestamp"),
        ({"view": "traces"}, 'expected one of "observations"|"scores-numeric"'),
        ({"filters": [where("userId", ">", "a")]}, "Invalid option: expected one of"),
    ],
)
def test_bad_queries_are_refused_with_the_servers_words(
    lf: LangfuseStandIn, query: dict[str, Any], message: str
) -> None:
    with pytest.raises(Error) as refused:
        ask(lf, **query)
    assert refused.value.status_code == 400
    assert message in json.dumps(refused.value.body, ensure_ascii=False).replace('\\"', '"')


def test_64_bit_integers_may_come_as_texts() -> None:
    with LangfuseStandIn(quote_64_bit=True) as lf:
        send(lf, text2sql_trace("q"))
        assert ask(lf, [*TOTALS, ("inputTokens", "sum"), ("latency", "p95")]) == [
            {"count_count": "2", "sum_totalCost": 0.0125, "sum_inputTokens": "1000", "p95_latency": 400}
        ]


def test_observations_are_paged_with_a_cursor(lf: LangfuseStandIn) -> None:
    for number in range(5):
        send(lf, text2sql_trace(str(number), start=NOON + timedelta(seconds=number)))
    get = client_of(lf).observations.get_many
    page = get(is_root_observation=True, limit=2, fields="core")
    found = [row.trace_id for row in page.data]
    while page.meta.cursor:
        page = get(is_root_observation=True, limit=2, fields="core", cursor=page.meta.cursor)
        found += [row.trace_id for row in page.data]
    assert found == [trace_id(str(number)) for number in (4, 3, 2, 1, 0)]
    wanted = where("traceId", "any of", [trace_id("1"), trace_id("7")], "stringOptions")
    assert {row.trace_id for row in get(filter=json.dumps([wanted])).data} == {trace_id("1")}
    for refused in ({"limit": 1001}, {"filter": json.dumps([where("nonsense", "=", "x")])}):
        with pytest.raises(Error):
            get(**refused)


def test_scores_are_accepted_rejected_and_replaced_by_id(lf: LangfuseStandIn) -> None:
    send(lf, text2sql_trace("q"))
    assert post(lf, score("a", 1), score("b", 0)).message == "Accepted"
    mixed = post(lf, score("a", 0, timestamp=NOON + timedelta(days=1)), score("c", 2), score("d", 1, trace_id=None))
    assert isinstance(mixed, CreateScoreBatchResults)
    assert (mixed.accepted, mixed.rejected, len(mixed.errors)) == (1, 2, 2)
    assert [(item.id, item.value, item.timestamp) for item in lf.scores()] == [("a", 0, NOON), ("b", 0, NOON)]
    assert post(lf, score("e", 1, environment="Prod"), score("f", 0.5, "NUMERIC", environment="langfuse-x"))
    assert [item.environment for item in lf.scores()] == ["default", "default", "prod", "x"]
    average = [("count", "count"), ("value", "avg")]
    assert ask(lf, average, view="scores-boolean") == [{"count_count": 3, "avg_value": 1 / 3}]
    assert ask(lf, average, view="scores-numeric", **by_user("count_count")) == [
        {"userId": "team-a", "count_count": 4, "avg_value": 0.375}
    ]
    shown = {item.id: item.value for item in client_of(lf).scores.get_many(trace_id=trace_id("q")).data}
    assert shown == {"a": False, "b": False, "e": True, "f": 0.5}
    assert client_of(lf).scores.get_many(id="a", fields="details").data[0].comment is None


def test_a_score_whose_root_has_a_remote_parent_is_lost_by_user(lf: LangfuseStandIn) -> None:
    attributes = {"user.id": "team-a", "langfuse.internal.is_app_root": True}
    send(lf, [span(trace_id("q"), span_id("q"), "root", attributes, parent=span_id("remote"))])
    post(lf, score("a", 1))
    assert lf.observations()[0].is_root
    assert ask(lf, [("count", "count")], view="scores-boolean") == [{"count_count": 1}]
    assert ask(lf, [("count", "count")], view="scores-boolean", **by_user("count_count")) == []


def test_4_16_takes_one_score_and_refuses_a_list() -> None:
    with LangfuseStandIn(version="4.16") as lf:
        with pytest.raises(Error) as refused:
            post(lf, score("a", 1))
        assert refused.value.body["error"][0]["message"] == "Invalid input: expected object, received array"
        one: Any = score("a", 1)
        answer: Any = client_of(lf).scores.create(request=one, request_options=ONCE)
        assert answer.id == "a"
        assert [item.id for item in lf.scores()] == ["a"]


def test_keys_health_old_endpoints_and_methods(lf: LangfuseStandIn) -> None:
    assert client_of(lf).projects.get().data[0].id == lf.project.id
    assert client_of(lf).health.health().status == "OK"
    with pytest.raises(UnauthorizedError):
        client_of(lf, secret_key="sk-lf-wrong").projects.get()
    with httpx.Client(base_url=lf.base_url, auth=(lf.public_key, lf.secret_key)) as http:
        old = http.get("/api/public/metrics/daily")
        assert (old.status_code, "events_only" in old.json()["message"]) == (404, True)
        assert http.post("/api/public/v2/metrics", json={}).status_code == 405
        assert http.get("/api/public/v2/observations", params={"filter": "x" * 14_600}).status_code == 400
        long = http.get("/api/public/v2/observations", params={"filter": "x" * 16_700})
        assert (long.status_code, long.content) == (431, b"")
        spoiled = http.post("/api/public/otel/v1/traces", content=b"no protobuf")
        assert (spoiled.status_code, lf.requests[-1].body) == (400, b"no protobuf")
    with pytest.raises(NotFoundError):
        client_of(lf).models.list()
