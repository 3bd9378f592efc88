"""One call over a real socket: each way it can go becomes one reply or one of a few failures, with its bill."""

import json
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from tests.text2sql.demo.claude_requests import SQL, make_stand_in
from tests.text2sql.pipeline.schemas import make_schema
from tests.text2sql.pipeline.scripted import START, STOP, ScriptedClaude
from text2sql.demo.claude import ClaudeStandIn
from text2sql.demo.claude import Usage as BilledUsage
from text2sql.pipeline.claude import Bill, ClaudeFailure, Reply, Usage, claude_call, client_open
from text2sql.pipeline.context import schema_text
from text2sql.pipeline.prompt import Asked, prompt_build

PROMPT = prompt_build(
    Asked("How many orders are there?", date(2026, 11, 23), "UTC"),
    schema_text=schema_text(make_schema(), name="sales_db", description=""),
    dialect="postgres",
)


@pytest.fixture
def stand_in() -> Iterator[ClaudeStandIn]:
    with make_stand_in() as running:
        yield running


def call(server: ClaudeStandIn | ScriptedClaude, *, seconds: float = 20.0, **changes: Any) -> Reply:
    values: dict[str, Any] = {
        "prompt": PROMPT,
        "model": "claude-sonnet-5-5",
        "max_tokens": 4096,
        "effort": "",
        "user": "opaque",
        "deadline": time.monotonic() + seconds,
        **changes,
    }
    return claude_call(client_open(api_key="sk-ant-test", base_url=server.base_url), **values)


def failure_of(server: ClaudeStandIn | ScriptedClaude, **changes: Any) -> ClaudeFailure:
    with pytest.raises(ClaudeFailure) as raised:
        call(server, **changes)
    return raised.value


def usage_of(billed: BilledUsage) -> Usage:
    return Usage(
        billed.input, billed.written_5m, billed.written_1h, billed.read, output=billed.output, thinking=billed.thinking
    )


def test_an_answer_comes_with_the_usage_that_is_billed(stand_in: ClaudeStandIn) -> None:
    stand_in.play("answer", sql=SQL, explanation="  Counts all orders. ", thinking_tokens=50)
    reply = call(stand_in)
    assert (reply.status, reply.sql, reply.explanation) == ("ok", SQL, "Counts all orders.")
    assert (reply.stop_reason, reply.model) == ("end_turn", "claude-sonnet-5-5")
    assert reply.request_id == stand_in.requests[-1].id
    assert json.loads(reply.text)["sql"] == SQL
    assert reply.first_token_at is not None
    assert reply.usage == usage_of(stand_in.billed[-1].usage)
    assert reply.usage.thinking == 50


def test_the_request_is_a_stream_of_the_agreed_shape_and_names_no_tenant(stand_in: ClaudeStandIn) -> None:
    call(stand_in, effort="low", user="opaque-hash")
    (request,) = stand_in.requests
    body = request.body
    assert set(body) == {"model", "max_tokens", "system", "messages", "output_config", "metadata", "stream"}
    assert (body["stream"], body["max_tokens"], body["metadata"]) == (True, 4096, {"user_id": "opaque-hash"})
    assert body["output_config"]["effort"] == "low"
    assert "traceparent" not in request.headers
    call(stand_in)
    assert "effort" not in stand_in.requests[-1].body["output_config"]


def test_it_cannot_answer_is_an_answer(stand_in: ClaudeStandIn) -> None:
    stand_in.play("answer", sql="", status="cannot_answer", explanation="There is no such table.")
    reply = call(stand_in)
    assert (reply.status, reply.sql, reply.explanation) == ("cannot_answer", "", "There is no such table.")


SCENARIOS: list[tuple[str, dict[str, Any], str, bool, Bill]] = [
    ("invalid_key", {}, "claude-misconfigured", False, Bill.ZERO),
    ("billing_error", {}, "claude-misconfigured", False, Bill.ZERO),
    ("permission_denied", {}, "claude-misconfigured", False, Bill.ZERO),
    ("rate_limited", {"seconds": 7}, "claude-overloaded", True, Bill.ZERO),
    ("spend_limit", {}, "claude-spend-limit", False, Bill.ZERO),
    ("usage_limit", {}, "claude-spend-limit", False, Bill.ZERO),
    ("overloaded", {}, "claude-overloaded", True, Bill.ZERO),
    ("server_error", {}, "claude-overloaded", True, Bill.ZERO),
    ("html", {}, "claude-unreachable", True, Bill.ZERO),
    ("mid_stream_error", {}, "claude-overloaded", True, Bill.OUTPUT_UNKNOWN),
    ("cut_stream", {}, "claude-unreachable", True, Bill.OUTPUT_UNKNOWN),
    ("early_end", {}, "claude-unreachable", True, Bill.OUTPUT_UNKNOWN),
    ("malformed_json", {"where": "wire"}, "claude-unreachable", True, Bill.OUTPUT_UNKNOWN),
    ("malformed_json", {"where": "text"}, "answer-malformed", True, Bill.EXACT),
    ("empty_content", {}, "answer-malformed", True, Bill.EXACT),
    ("max_tokens", {}, "answer-truncated", False, Bill.EXACT),
    ("refusal", {"category": "bio"}, "claude-refused", False, Bill.EXACT),
    ("refusal", {"category": "cyber"}, "claude-refused", False, Bill.EXACT),
    ("refusal", {"category": None}, "claude-refused", False, Bill.EXACT),
    ("refusal", {"category": "cyber", "mid_stream": True}, "claude-refused", False, Bill.EXACT),
]


@pytest.mark.parametrize(("name", "arguments", "problem", "passing", "bill"), SCENARIOS)
def test_each_trouble_is_one_stable_failure_and_is_tried_once(
    stand_in: ClaudeStandIn, name: str, arguments: dict[str, Any], problem: str, passing: bool, bill: Bill
) -> None:
    stand_in.play(name, **arguments)
    failure = failure_of(stand_in)
    assert (failure.problem, failure.passing, failure.bill) == (problem, passing, bill)
    assert failure.retry_after == arguments.get("seconds")
    assert failure.detail.endswith(".") or "Anthropic" in failure.detail
    assert len(stand_in.requests) == 1  # nothing is tried again inside the SDK
    assert failure.request_id == stand_in.requests[0].id
    if bill is Bill.ZERO:
        assert stand_in.billed == []
        assert failure.usage == Usage()
    else:
        (billed,) = stand_in.billed
        paid = usage_of(billed.usage) if billed.cost else Usage()
        known = (failure.usage.input, failure.usage.cache_write_5m, failure.usage.cache_read)
        assert known == (paid.input, paid.cache_write_5m, paid.cache_read)
        assert failure.usage.output == paid.output or bill is Bill.OUTPUT_UNKNOWN


@pytest.mark.parametrize(
    ("category", "mid_stream", "costs"),
    [
        ("cyber", False, False),
        ("bio", False, True),
        ("cyber", True, True),
    ],
)
def test_a_refusal_costs_what_is_billed_for_its_category(
    stand_in: ClaudeStandIn, category: str, mid_stream: bool, costs: bool
) -> None:
    stand_in.play("refusal", category=category, mid_stream=mid_stream)
    failure = failure_of(stand_in)
    assert category in failure.detail
    assert bool(stand_in.billed[-1].cost) is costs
    assert (failure.usage != Usage()) is costs
    assert failure.stop_reason == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"ok"',
        '{"status": "ok"}',
        '{"status": "ok", "sql": " ", "explanation": ""}',
        '{"status": "clarify", "sql": "", "explanation": ""}',
        '{"status": "perhaps", "sql": "SELECT 1", "explanation": "?"}',
        '{"status": 1, "sql": "SELECT 1", "explanation": ""}',
        '{"status": "ok", "sql": null, "explanation": ""}',
    ],
)
def test_an_answer_of_another_shape_is_malformed_and_paid(stand_in: ClaudeStandIn, text: str) -> None:
    stand_in.play("answer", text=text)
    failure = failure_of(stand_in)
    assert (failure.problem, failure.bill, failure.passing) == ("answer-malformed", Bill.EXACT, True)
    assert failure.usage == usage_of(stand_in.billed[-1].usage)
    assert failure.text == text


def test_capitals_in_the_status_do_not_matter(stand_in: ClaudeStandIn) -> None:
    stand_in.play("answer", text=json.dumps({"status": "OK", "sql": SQL, "explanation": ""}))
    assert call(stand_in).status == "ok"


def test_a_model_that_is_gone_is_the_operators_matter(stand_in: ClaudeStandIn) -> None:
    failure = failure_of(stand_in, model="claude-3-opus-20240229")
    assert (failure.problem, failure.passing, failure.bill) == ("claude-misconfigured", False, Bill.ZERO)


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with make_stand_in() as gone:
        pass
    failure = failure_of(gone)
    assert (failure.problem, failure.passing, failure.bill) == ("claude-unreachable", True, Bill.ZERO)


def test_an_answer_that_never_begins_ends_at_the_deadline(stand_in: ClaudeStandIn) -> None:
    stand_in.play("timeout")
    failure = failure_of(stand_in, seconds=0.4)
    assert (failure.problem, failure.passing, failure.bill) == ("deadline-exceeded", False, Bill.ZERO)


def test_a_slow_stream_ends_at_the_deadline_with_its_input_known(stand_in: ClaudeStandIn) -> None:
    stand_in.play("slow_stream", seconds=30)
    failure = failure_of(stand_in, seconds=1.0)
    assert (failure.problem, failure.passing, failure.bill) == ("deadline-exceeded", False, Bill.OUTPUT_UNKNOWN)
    assert failure.usage.input == stand_in.billed[-1].usage.input


def test_a_stream_that_stalls_late_ends_at_the_deadline_and_not_a_read_timeout_later() -> None:
    # Each event starts the read timeout anew: only the deadline itself can end this one in time.
    with ScriptedClaude([START, '{"type": "ping"}', '{"type": "ping"}'], gap=0.5) as server:
        begun = time.monotonic()
        failure = failure_of(server, seconds=2.0)
        late = time.monotonic() - begun - 2.0
    assert (failure.problem, failure.passing, failure.bill) == ("deadline-exceeded", False, Bill.OUTPUT_UNKNOWN)
    assert failure.usage == Usage(input=120, cache_write_5m=500, cache_read=4000, output=1)
    assert late < 1.2  # without the cut it would be 1.5 or more
    assert server.requests == 1


@pytest.mark.parametrize(
    ("events", "bill"),
    [
        (['{"type": "message_start"}'], Bill.ZERO),
        (['{"type": "message_start", "message": {"id": "m", "usage": null}}'], Bill.ZERO),
        ([START, '{"type": "content_block_delta", "index": 0}'], Bill.OUTPUT_UNKNOWN),
        ([START, '{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}', STOP], Bill.OUTPUT_UNKNOWN),
        ([START, "[1, 2]", STOP], Bill.OUTPUT_UNKNOWN),
        ([START, STOP], Bill.OUTPUT_UNKNOWN),
        ([], Bill.ZERO),
    ],
)
def test_events_of_another_shape_are_a_broken_answer(events: list[str], bill: Bill) -> None:
    with ScriptedClaude(events, ends=True) as server:
        failure = failure_of(server)
    assert (failure.problem, failure.passing, failure.bill) == ("claude-unreachable", True, bill)
    assert server.requests == 1


def test_new_kinds_of_events_are_passed_over(stand_in: ClaudeStandIn) -> None:
    text = json.dumps({"status": "ok", "sql": SQL, "explanation": "x"})
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "new": 1}, "usage": {"output_tokens": 9}}
    events = [START, '{"type": "brand_new", "x": 1}', json.dumps(delta), json.dumps(end), STOP]
    with ScriptedClaude(events, ends=True) as server:
        reply = call(server)
    assert reply.sql == SQL
    assert reply.usage == Usage(input=120, cache_write_5m=500, cache_read=4000, output=9)


@pytest.mark.parametrize("geo", ["global", "us", "eu"])
def test_where_claude_computed_comes_with_answers_and_with_failures(stand_in: ClaudeStandIn, geo: str) -> None:
    stand_in.workspace_geo = geo
    assert call(stand_in).geo == geo
    for trouble in ("cut_stream", "max_tokens", "mid_stream_error"):
        stand_in.play(trouble)
        assert failure_of(stand_in).geo == geo
    stand_in.play("overloaded")
    assert failure_of(stand_in).geo == ""
    assert "inference_geo" not in stand_in.requests[0].body  # the workspace decides
