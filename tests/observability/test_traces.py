"""What is written down, and that Langfuse gets exactly that."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from langfuse import Langfuse
from pytest_django import Settings

from observability.models import Trace
from observability.services.deliveries import ExportOutcome
from observability.services.prices import TokenUsage
from observability.services.traces import (
    ObservationRecord,
    span_id_for,
    trace_id_for,
    trace_record,
    traces_export,
    usage_details,
)
from tests.observability.conftest import START, part_made, trace_made
from tests.standins.langfuse import LangfuseStandIn

pytestmark = pytest.mark.django_db

FLOORED = START.replace(microsecond=123_000)


@pytest.mark.parametrize("seed", ["generation-1", "équipe-ß", "x" * 500])
def test_a_seed_makes_the_same_trace_id_as_the_sdk(seed: str) -> None:
    assert trace_id_for(seed) == Langfuse.create_trace_id(seed=seed)


def test_span_ids_differ_by_trace_and_by_key() -> None:
    ids = {span_id_for(seed, key) for seed in ("a", "b") for key in ("root", "attempt-1")}
    assert len(ids) == 4
    assert all(len(one) == 16 for one in ids)


def test_without_langfuse_nothing_is_written_and_nothing_exported(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY = settings.LANGFUSE_SECRET_KEY = ""
    assert trace_record(trace_made()) is None
    assert not Trace.objects.exists()
    assert traces_export() == ExportOutcome()


def test_a_trace_arrives_as_it_was_recorded(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    assert traces_export() == ExportOutcome(claimed=1, delivered=1)
    assert set(langfuse.traces()) == {trace_id_for("generation-1")}
    trace = langfuse.traces()[trace_id_for("generation-1")]
    root, generation = trace.named("text2sql_generation"), trace.named("generate_sql")
    assert trace.root == root
    assert root.id == span_id_for("generation-1", "root")
    assert root.parent_id == ""
    assert (root.type, generation.type) == ("SPAN", "GENERATION")
    assert generation.parent_id == root.id
    assert (root.start, root.end) == (FLOORED, FLOORED + timedelta(seconds=2))
    assert generation.start == FLOORED + timedelta(milliseconds=5)
    assert generation.completion_start == FLOORED + timedelta(milliseconds=405)
    assert generation.latency_ms == 1900
    assert json.loads(root.input or "") == {"question": "How many orders?"}
    assert generation.output == "SELECT count(*) FROM orders"
    assert generation.model == "claude-sonnet-5-5"
    assert json.loads(generation.model_parameters) == {"max_tokens": 4096}
    assert generation.usage == {"input": 120, "output": 350, "cache_read_input_tokens": 4000, "total": 4470}
    assert generation.total_cost == Decimal("0.00689")
    assert not generation.cost_is_inferred
    for observation in (root, generation):
        assert observation.user_id == "sales"
        assert observation.session_id == "session-1"
        assert observation.tags == ("text2sql",)
        assert observation.trace_name == "text2sql_generation"
        assert observation.environment == "staging"
        assert observation.metadata["channel"] == "api"
        assert observation.level == "DEFAULT"
    assert root.metadata["cached"] == "false"


def test_the_request_says_what_langfuse_wants_to_hear(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    traces_export()
    (request,) = langfuse.requests
    assert request.headers["x-langfuse-ingestion-version"] == "4"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/x-protobuf"


def test_every_time_on_the_wire_is_a_whole_millisecond(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    traces_export()
    spans = langfuse.requests[0].body.resource_spans[0].scope_spans[0].spans
    times = [time for span in spans for time in (span.start_time_unix_nano, span.end_time_unix_nano)]
    assert len(times) == 4
    assert all(time % 1_000_000 == 0 for time in times)


def test_an_error_shows_as_one(langfuse: LangfuseStandIn) -> None:
    broken = ObservationRecord(
        key="attempt-1",
        type="generation",
        name="generate_sql",
        model="claude-sonnet-5-5",
        started_at=START,
        ended_at=START - timedelta(seconds=1),
        level="ERROR",
        status_message="RateLimitError: 429",
        input="a long prompt that nobody was charged for",
    )
    trace_record(trace_made(observations=[broken]))
    traces_export()
    stored = langfuse.traces()[trace_id_for("generation-1")].named("generate_sql")
    assert (stored.level, stored.status_message) == ("ERROR", "RateLimitError: 429")
    assert stored.end == stored.start
    # Without explicit zeros Langfuse counts the tokens of the prompt itself.
    assert stored.total_cost == 0
    assert not stored.cost_is_inferred
    assert stored.usage["input"] == 0


def test_a_cost_without_total_gets_the_exact_one(langfuse: LangfuseStandIn) -> None:
    generation = ObservationRecord(
        key="g",
        type="generation",
        name="generate_sql",
        started_at=START,
        ended_at=START,
        model="claude-sonnet-5-5",
        cost={"input": Decimal("0.1"), "cache_read_input_tokens": Decimal("0.2")},
    )
    trace = trace_record(trace_made(observations=[generation]))
    assert trace is not None
    assert trace.payload["observations"][0]["cost"]["total"] == "0.3"
    traces_export()
    assert langfuse.observations()[0].total_cost == Decimal("0.3")


def test_usage_has_no_token_under_two_names() -> None:
    usage = TokenUsage(input=1, cache_write_5m=2, cache_write_1h=4, cache_read=8, output=16, thinking=5)
    assert sum(usage_details(usage).values()) == usage.prompt + usage.output == 31


def test_the_same_seed_again_leaves_the_first_record(langfuse: LangfuseStandIn) -> None:
    first, again = trace_record(trace_made(cost="0.01")), trace_record(trace_made(cost="0.02"))
    assert first == again
    assert Trace.objects.count() == 1
    traces_export()
    assert langfuse.cost_by_user(START - timedelta(days=1), START + timedelta(days=1)) == {"sales": Decimal("0.01")}


def test_a_trace_goes_with_the_transaction_it_belongs_to(langfuse: LangfuseStandIn) -> None:
    with transaction.atomic():
        trace_record(trace_made())
        transaction.set_rollback(True)
    assert traces_export() == ExportOutcome()


def test_long_values_are_shortened_and_stay_different(langfuse: LangfuseStandIn) -> None:
    long = "équipe " * 100
    for number in range(2):
        trace_record(
            trace_made(
                f"generation-{number}",
                user_id=f"{long}{number}",
                session_id=f"{long}{number}",
                tags=[f"{long}{number}"],
                metadata={"note": f"{long}{number}"},
            )
        )
    traces_export()
    stored = langfuse.observations()
    for values in (
        {one.user_id for one in stored},
        {one.session_id for one in stored},
        {one.tags[0] for one in stored},
        {one.metadata["note"] for one in stored},
    ):
        assert len(values) == 2
        assert {len(value) for value in values} == {200}
        assert all(value.startswith("équipe équipe") for value in values)


def test_200_characters_stay_as_they_are(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made(user_id="x" * 200))
    traces_export()
    assert langfuse.observations()[0].user_id == "x" * 200


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]))
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner),
    max_leaves=8,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=anything, text=st.text(st.characters(exclude_categories=[])))
@example(value="\x00", text="a\x00b")
@example(value="\ud800", text="\udfff")
@example(value={"\x00": float("nan")}, text="")
@example(value=[Decimal("1.5"), START, float("-inf")], text="\\u0000")
def test_nothing_that_people_type_breaks_the_transaction_or_the_export(
    langfuse: LangfuseStandIn, value: Any, text: str
) -> None:
    Trace.objects.all().delete()
    observation = ObservationRecord(
        key="root",
        name=f"n{text}",
        started_at=START,
        ended_at=START,
        status_message=text,
        input=value,
        output=text,
        metadata={"value": value},
    )
    record = trace_made(user_id=text, tags=[text], metadata={text: text}, observations=[observation])
    assert trace_record(record) is not None
    assert traces_export() == ExportOutcome(claimed=1, delivered=1)


def test_a_row_that_is_no_trace_fails_alone(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made("good"))
    broken = trace_record(trace_made("broken"))
    assert broken is not None
    Trace.objects.filter(pk=broken.pk).update(payload={"name": "half"})
    outcome = traces_export()
    assert (outcome.delivered, outcome.failed) == (1, 1)
    broken.refresh_from_db()
    assert broken.state == Trace.State.FAILED
    assert "KeyError" in broken.last_error
    assert set(langfuse.traces()) == {trace_id_for("good")}


def test_traces_of_several_environments_share_a_request(langfuse: LangfuseStandIn, settings: Settings) -> None:
    trace_record(trace_made("one"))
    settings.LANGFUSE_ENVIRONMENT = "production"
    trace_record(trace_made("two"))
    traces_export()
    assert len(langfuse.requests) == 1
    environments = {one.trace_id: one.environment for one in langfuse.observations()}
    assert environments == {trace_id_for("one"): "staging", trace_id_for("two"): "production"}


def test_the_release_is_on_every_observation(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.LANGFUSE_RELEASE = "2026.11.3"
    trace_record(trace_made("one"))
    settings.LANGFUSE_RELEASE = ""
    trace_record(trace_made("two"))
    traces_export()
    releases = {(one.trace_id, one.release, one.resource.get("langfuse.release")) for one in langfuse.observations()}
    assert releases == {(trace_id_for("one"), "2026.11.3", "2026.11.3"), (trace_id_for("two"), "", None)}


def test_a_trace_written_before_there_were_releases_is_sent(langfuse: LangfuseStandIn) -> None:
    trace = trace_record(trace_made())
    assert trace is not None
    del trace.payload["release"]
    trace.save(update_fields=["payload"])
    assert traces_export() == ExportOutcome(claimed=1, delivered=1)


def test_an_old_trace_keeps_its_day(langfuse: LangfuseStandIn) -> None:
    long_ago = datetime(2026, 6, 1, 23, 59, 59, 999_900, tzinfo=UTC)
    trace_record(trace_made(start=long_ago))
    traces_export()
    assert langfuse.traces()[trace_id_for("generation-1")].named("text2sql_generation").start == long_ago.replace(
        microsecond=999_000
    )


def test_a_part_arrives_below_the_root_of_the_trace_that_was_sent_before(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    assert traces_export() == ExportOutcome(claimed=1, delivered=1)
    for part in ("execution:1", "execution:2"):
        trace_record(part_made(part=part))
    assert traces_export() == ExportOutcome(claimed=2, delivered=2)
    (trace,) = langfuse.traces().values()
    assert [one.name for one in trace.observations] == [
        "text2sql_generation", "generate_sql", "execute_sql", "execute_sql",
    ]  # fmt: skip
    root = trace.root
    assert root is not None
    assert {one.parent_id for one in trace.observations[1:]} == {root.id}
    assert len({one.id for one in trace.observations}) == 4
    late = trace.observations[-1]
    assert (late.start, late.latency_ms) == (FLOORED + timedelta(minutes=1), 30)
    assert root.latency_ms == 2000  # as before


def test_every_part_is_written_down_once_and_the_trace_stays(langfuse: LangfuseStandIn) -> None:
    first = trace_record(trace_made())
    part = trace_record(part_made())
    again = trace_record(replace(part_made(), observations=trace_made().observations))
    assert (first, part, again) == (
        Trace.objects.get(part=""), Trace.objects.get(part="execution:1"), Trace.objects.get(part="execution:1")
    )  # fmt: skip
    assert Trace.objects.count() == 2


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_part_says_of_the_trace_what_the_trace_said(
    langfuse: LangfuseStandIn, settings: Settings, is_sent: bool
) -> None:
    settings.LANGFUSE_RELEASE = "1.0"
    trace_record(trace_made())
    if is_sent:
        traces_export()
    settings.LANGFUSE_RELEASE, settings.LANGFUSE_ENVIRONMENT = "2.0", "elsewhere"
    trace_record(replace(part_made(), tags=["text2sql", "db:renamed"], session_id="other", user_id="x", name="y"))
    traces_export()
    (trace,) = langfuse.traces().values()
    said = {
        (one.user_id, one.session_id, one.tags, one.trace_name, one.release, one.environment, one.metadata["channel"])
        for one in trace.observations
    }
    assert said == {("sales", "session-1", ("text2sql",), "text2sql_generation", "1.0", "staging", "api")}


def test_a_part_of_a_trace_that_is_no_longer_here_speaks_for_itself(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    Trace.objects.update(payload={})  # as pruning leaves it
    trace_record(part_made())
    trace_record(part_made("generation-2"))
    for row in Trace.objects.exclude(part=""):
        told = row.payload
        assert (told["user_id"], told["session_id"], told["tags"]) == ("sales", "session-1", ["text2sql"])


def test_a_row_of_the_former_release_that_knows_no_parts_is_the_trace_itself(langfuse: LangfuseStandIn) -> None:
    columns = [str(field.column) for field in Trace._meta.concrete_fields if field.name != "part"]
    trace_record(trace_made())
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE former ON COMMIT DROP AS SELECT * FROM observability_trace")
        Trace.objects.all().delete()
        names = ", ".join(columns)
        cursor.execute(f"INSERT INTO observability_trace ({names}) SELECT {names} FROM former")  # noqa: S608  # names of the model
    assert Trace.objects.get().part == ""
    assert traces_export() == ExportOutcome(claimed=1, delivered=1)
