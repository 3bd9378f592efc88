import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic

from tests.text2sql.demo.claude_requests import (
    QUESTION,
    SQL,
    Clock,
    ask,
    connect,
    make_request,
    make_stand_in,
    read_answer,
    read_text,
)
from text2sql.demo.claude import ClaudeStandIn

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
def stand_in() -> Iterator[ClaudeStandIn]:
    with make_stand_in(clock=Clock()) as running:
        yield running


@pytest.fixture
def client(stand_in: ClaudeStandIn) -> Iterator[Anthropic]:
    with connect(stand_in) as connected:
        yield connected


REFUSALS: dict[str, tuple[type[anthropic.APIStatusError], int, str, str | None]] = {
    "invalid_key": (anthropic.AuthenticationError, 401, "authentication_error", None),
    "billing_error": (anthropic.PaymentRequiredError, 402, "billing_error", None),
    "permission_denied": (anthropic.PermissionDeniedError, 403, "permission_error", None),
    "rate_limited": (anthropic.RateLimitError, 429, "rate_limit_error", None),
    "spend_limit": (
        anthropic.EnforcedSpendLimitReachedError,
        429,
        "rate_limit_error",
        "enforced_spend_limit_reached",
    ),
    "usage_limit": (anthropic.BadRequestError, 400, "invalid_request_error", None),
    "overloaded": (anthropic.OverloadedError, 529, "overloaded_error", None),
    "server_error": (anthropic.InternalServerError, 500, "api_error", None),
}


@both_ways
@pytest.mark.parametrize("name", REFUSALS)
def test_an_http_error_is_the_exception_of_the_sdk_and_costs_nothing(
    stand_in: ClaudeStandIn, client: Anthropic, name: str, stream: bool
) -> None:
    kind, status, type_, code = REFUSALS[name]
    stand_in.play(name)
    with pytest.raises(anthropic.APIStatusError) as raised:
        ask(client, stream=stream, **make_request())
    error = raised.value
    assert type(error) is kind
    assert (error.status_code, error.type, error.error_code) == (status, type_, code)
    assert error.request_id == stand_in.requests[0].id
    assert stand_in.billed == []
    assert read_answer(ask(client, stream=stream, **make_request())).status == "ok"


def test_a_rate_limit_says_when_to_come_back_and_a_spend_limit_does_not(
    stand_in: ClaudeStandIn, client: Anthropic
) -> None:
    stand_in.play("rate_limited", seconds=7)
    stand_in.play("spend_limit")
    waits = []
    for _ in range(2):
        with pytest.raises(anthropic.RateLimitError) as raised:
            ask(client, **make_request())
        waits.append(raised.value.response.headers.get("retry-after"))
    assert waits == ["7", None]


def test_a_usage_limit_names_the_first_of_next_month(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("usage_limit")
    with pytest.raises(anthropic.BadRequestError, match="regain access on 2026-12-01 at 00:00 UTC"):
        ask(client, **make_request())


@pytest.mark.parametrize(("name", "tries"), [("rate_limited", 3), ("overloaded", 3), ("usage_limit", 1)])
def test_the_retries_of_the_sdk_work_on_it(stand_in: ClaudeStandIn, name: str, tries: int) -> None:
    stand_in.play(name, times=2, **({"seconds": 0.01} if name == "rate_limited" else {}))
    with connect(stand_in, max_retries=2) as client:
        if tries == 1:
            with pytest.raises(anthropic.BadRequestError):
                ask(client, **make_request())
        else:
            assert read_answer(ask(client, **make_request())).status == "ok"
    assert len(stand_in.requests) == tries


@both_ways
@pytest.mark.parametrize(("name", "arguments"), [("timeout", {}), ("slow", {"seconds": 30})])
def test_an_answer_that_does_not_come_times_out_and_costs_nothing(
    stand_in: ClaudeStandIn, name: str, arguments: dict[str, Any], stream: bool
) -> None:
    stand_in.play(name, **arguments)
    with connect(stand_in, timeout=0.3) as client, pytest.raises(anthropic.APITimeoutError):
        ask(client, stream=stream, **make_request())
    assert stand_in.billed == []


@both_ways
@pytest.mark.parametrize("name", ["slow", "slow_stream"])
def test_a_slow_answer_takes_its_time_and_is_whole(
    stand_in: ClaudeStandIn, client: Anthropic, name: str, stream: bool
) -> None:
    stand_in.play(name, seconds=0.5)
    started = time.monotonic()
    assert read_answer(ask(client, stream=stream, **make_request())).sql == SQL
    assert time.monotonic() - started >= 0.4


def test_a_slow_stream_never_pauses_for_long(stand_in: ClaudeStandIn) -> None:
    stand_in.play("slow_stream", seconds=2)
    with connect(stand_in, timeout=1.0) as client:  # the longest gap between two reads, not the whole
        assert read_answer(ask(client, stream=True, **make_request())).sql == SQL


def collect_events(client: Anthropic, **request: Any) -> tuple[list[Any], BaseException | None]:
    """The events of a stream as far as it came, and how it ended."""
    seen: list[Any] = []
    try:
        with client.messages.create(stream=True, **request) as events:
            for event in events:
                seen.append(event)  # noqa: PERF402  # what came before the break counts too
    except (anthropic.APIError, httpx2.HTTPError, ValueError) as error:
        return seen, error
    return seen, None


@pytest.mark.parametrize("name", ["mid_stream_error", "cut_stream", "early_end", "malformed_json"])
def test_a_stream_that_breaks_costs_the_input_and_the_output_so_far(
    stand_in: ClaudeStandIn, client: Anthropic, name: str
) -> None:
    whole = ask(client, **make_request())
    arguments: dict[str, Any] = {"where": "wire"} if name == "malformed_json" else {}
    stand_in.play(name, **arguments)
    seen, error = collect_events(client, **make_request(model="claude-haiku-5-5", thinking={"type": "disabled"}))
    kinds = {
        "mid_stream_error": anthropic.APIStatusError,
        "cut_stream": httpx2.RemoteProtocolError,
        "malformed_json": json.JSONDecodeError,
        "early_end": type(None),
    }
    assert type(error) is kinds[name]
    if isinstance(error, anthropic.APIStatusError):
        assert (error.status_code, error.type) == (200, "overloaded_error")
    text = "".join(event.delta.text for event in seen if event.type == "content_block_delta")
    assert 0 < len(text) < len(read_text(whole))
    assert seen[-1].type == "content_block_delta"
    usage = stand_in.billed[-1].usage
    assert usage.prompt == seen[0].message.usage.input_tokens
    assert 1 <= usage.output <= len(text.encode())
    assert stand_in.billed[-1].cost > 0


def test_an_early_end_leaves_the_sdk_with_half_a_message(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("early_end")
    message = ask(client, stream=True, **make_request())
    assert (message.stop_reason, message.usage.output_tokens) == (None, 1)


@pytest.mark.parametrize(
    ("name", "kind", "bills"),
    [
        ("mid_stream_error", anthropic.OverloadedError, 0),
        ("cut_stream", anthropic.APIConnectionError, 1),
        ("early_end", anthropic.APIConnectionError, 1),
    ],
)
def test_without_a_stream_a_break_is_an_error_too(
    stand_in: ClaudeStandIn, client: Anthropic, name: str, kind: type[Exception], bills: int
) -> None:
    stand_in.play(name)
    with pytest.raises(kind):
        ask(client, **make_request())
    assert len(stand_in.billed) == bills
    assert read_answer(ask(client, **make_request())).status == "ok"


@both_ways
@pytest.mark.parametrize(
    ("category", "billed"),
    [
        ("cyber", False),
        ("general_harms", False),
        (None, False),
        ("bio", True),
        ("frontier_llm", True),
        ("reasoning_extraction", True),
    ],
)
def test_a_refusal_before_any_output_is_billed_by_category(
    stand_in: ClaudeStandIn, client: Anthropic, category: str | None, billed: bool, stream: bool
) -> None:
    stand_in.play("refusal", category=category)
    message = ask(client, stream=stream, **make_request())
    assert (message.stop_reason, message.content) == ("refusal", [])
    assert message.stop_details
    assert message.stop_details.category == category
    assert bool(stand_in.billed[0].cost) is billed


@both_ways
def test_a_refusal_in_the_middle_is_always_billed(stand_in: ClaudeStandIn, client: Anthropic, stream: bool) -> None:
    stand_in.play("refusal", category="cyber", mid_stream=True)
    message = ask(client, stream=stream, **make_request())
    assert message.stop_reason == "refusal"
    assert read_text(message)
    assert stand_in.billed[0].cost > 0


@both_ways
def test_an_answer_can_be_cut_by_max_tokens(stand_in: ClaudeStandIn, client: Anthropic, stream: bool) -> None:
    stand_in.play("max_tokens")
    message = ask(client, stream=stream, **make_request(max_tokens=900))
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 900)
    assert read_text(message).startswith('{"status"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(read_text(message))


@both_ways
def test_an_answer_can_be_no_json(stand_in: ClaudeStandIn, client: Anthropic, stream: bool) -> None:
    stand_in.play("malformed_json")
    message = ask(client, stream=stream, **make_request())
    assert message.stop_reason == "end_turn"
    with pytest.raises(json.JSONDecodeError):
        json.loads(read_text(message))


def test_a_whole_body_can_be_no_json(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("malformed_json", where="wire")
    with pytest.raises(json.JSONDecodeError):
        ask(client, **make_request())


@both_ways
def test_an_answer_can_be_empty(stand_in: ClaudeStandIn, client: Anthropic, stream: bool) -> None:
    stand_in.play("empty_content")
    message = ask(client, stream=stream, **make_request())
    assert (message.content, message.stop_reason, message.usage.output_tokens) == ([], "end_turn", 1)


def test_a_proxy_may_answer_with_a_page(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("html", times=2)
    answer: object = client.messages.create(**make_request())
    assert isinstance(answer, str)
    assert "sign in" in answer
    assert collect_events(client, **make_request()) == ([], None)
    assert stand_in.billed == []


@both_ways
def test_any_sql_can_be_put_into_the_answer(stand_in: ClaudeStandIn, client: Anthropic, stream: bool) -> None:
    stand_in.play("answer", sql="DROP TABLE orders", explanation="Evil.")
    answer = read_answer(ask(client, stream=stream, **make_request("Anything")))
    assert (answer.status, answer.sql, answer.explanation) == ("ok", "DROP TABLE orders", "Evil.")


def test_any_text_can_be_the_answer(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("answer", text='{"status": "OK"}')
    assert read_text(ask(client, **make_request())) == '{"status": "OK"}'


def test_scenarios_are_played_in_order_and_then_no_more(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("answer", times=2, sql="SELECT 1")
    stand_in.play("empty_content")
    assert [read_answer(ask(client, **make_request())).sql for _ in range(2)] == ["SELECT 1"] * 2
    assert ask(client, **make_request()).content == []
    assert read_answer(ask(client, **make_request())).sql == SQL


def test_an_invalid_request_uses_up_no_scenario(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("empty_content")
    with pytest.raises(anthropic.BadRequestError):
        ask(client, **make_request(messages=[]))
    assert ask(client, **make_request()).content == []


@both_ways
def test_a_header_plays_a_scenario(client: Anthropic, stream: bool) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(client, stream=stream, **make_request(extra_headers={"x-stand-in-scenario": "rate_limited 2.5"}))
    assert raised.value.response.headers["retry-after"] == "2.5"


@both_ways
def test_a_marker_in_the_question_plays_a_scenario(client: Anthropic, stream: bool) -> None:
    with pytest.raises(anthropic.OverloadedError):
        ask(client, stream=stream, **make_request(f"{QUESTION} [[overloaded]]"))
    answer = read_answer(ask(client, stream=stream, **make_request("Drop it! [[answer DROP TABLE orders]]")))
    assert answer.sql == "DROP TABLE orders"


def test_a_marked_question_is_still_the_recorded_one(client: Anthropic) -> None:
    for marked in (f"{QUESTION} [[slow 0.01]]", f"[[slow 0.01]]{QUESTION}"):
        assert read_answer(ask(client, **make_request(marked))).sql == SQL


def test_other_double_brackets_are_part_of_the_question(client: Anthropic) -> None:
    assert read_answer(ask(client, **make_request(f"{QUESTION} [[x]]"))).status == "cannot_answer"


@pytest.mark.parametrize("text", ["slow much", "refusal rudeness", "nothing"])
def test_a_header_that_makes_no_sense_is_refused(client: Anthropic, text: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match="x-stand-in-scenario"):
        ask(client, **make_request(extra_headers={"x-stand-in-scenario": text}))


def test_a_scenario_that_does_not_exist_cannot_be_played(stand_in: ClaudeStandIn) -> None:
    with pytest.raises(ValueError, match="no scenario 'earthquake'"):
        stand_in.play("earthquake")
    with pytest.raises(ValueError, match="takes no colour"):
        stand_in.play("slow", colour="red")
