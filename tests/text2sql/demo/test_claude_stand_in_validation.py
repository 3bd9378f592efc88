import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic, AuthenticationError, BadRequestError, ContentTooLargeError, NotFoundError, Omit

from tests.text2sql.demo.claude_requests import Clock, ask, connect, make_request, make_stand_in, make_system
from text2sql.demo.claude import ClaudeStandIn

USER = {"role": "user", "content": "hello"}
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stand_in(clock: Clock) -> Iterator[ClaudeStandIn]:
    with make_stand_in(clock=clock) as running:
        yield running


@pytest.fixture
def client(stand_in: ClaudeStandIn) -> Iterator[Anthropic]:
    with connect(stand_in) as connected:
        yield connected


def make_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": schema}}


def make_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def make_blocks(*controls: dict[str, str]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": "x", "cache_control": control} for control in controls]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "temperature": ({"extra_body": {"temperature": 0.1}}, "temperature: This parameter was removed"),
    "top_p": ({"extra_body": {"top_p": 0.9}}, "top_p: This parameter was removed"),
    "top_k": ({"extra_body": {"top_k": 4}}, "top_k: This parameter was removed"),
    "output_format": ({"extra_body": {"output_format": {}}}, "Use 'output_config.format' instead"),
    "unknown field": ({"extra_body": {"seed": 1}}, "seed: Extra inputs are not permitted"),
    "prefill": ({"messages": [USER, {"role": "assistant", "content": "{"}]}, "assistant message prefill"),
    "no messages": ({"messages": []}, "at least one message is required"),
    "an empty message": ({"messages": [{"role": "user", "content": ""}]}, "must have non-empty content"),
    "an unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    "assistant first": (
        {"messages": [{"role": "assistant", "content": "x"}, USER]},
        'first message must use the "user"',
    ),
    "an empty text block": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        "text content blocks must be non-empty",
    ),
    "a blank system": ({"system": " \n"}, "must contain non-whitespace text"),
    "an unknown block": ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "Input tag 'smell'"),
    "citations on user text": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "citations": [{"type": "x"}]}]}]},
        "citations are not permitted",
    ),
    "a document in an assistant turn": (
        {"messages": [USER, {"role": "assistant", "content": [{"type": "document", "source": {}}]}, USER]},
        "not permitted in assistant turns",
    ),
    "document citations with a format": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "document", "source": {}, "citations": {"enabled": True}}]}
            ]
        },
        "citations are incompatible",
    ),
    "max_tokens above the maximum": (
        {"max_tokens": 128_001},
        "max_tokens: 128001 > 128000, which is the maximum allowed number of output tokens for claude-sonnet-5-5",
    ),
    "max_tokens above a smaller maximum": (
        {"model": "claude-haiku-4-5", "max_tokens": 64_001, "output_config": None},
        "64001 > 64000",
    ),
    "negative max_tokens": ({"max_tokens": -1}, "greater than or equal to 0"),
    "thinking by budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        '"thinking.type.enabled" is not',
    ),
    "no thinking on Sonnet 5.5": ({"thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported'),
    "no thinking on Opus 5.5": (
        {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}},
        '"thinking.type.disabled" is not supported',
    ),
    "between_tools on Haiku 5.5": (
        {"model": "claude-haiku-5-5", "thinking": {"type": "between_tools"}},
        '"thinking.type.between_tools" is not supported',
    ),
    "no thinking with much effort": (
        {
            "model": "claude-haiku-5-5",
            "thinking": {"type": "disabled"},
            "extra_body": {"output_config": {"effort": "max"}},
        },
        "is not supported with",
    ),
    "between_tools with much effort": (
        {"thinking": {"type": "between_tools"}, "extra_body": {"output_config": {"effort": "xhigh"}}},
        "is not supported with",
    ),
    "adaptive thinking on an old model": (
        {"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}, "output_config": None},
        '"thinking.type.adaptive" is not supported',
    ),
    "a budget above max_tokens": (
        {"model": "claude-haiku-4-5", "thinking": {"type": "enabled", "budget_tokens": 4096}, "output_config": None},
        "must be greater than `thinking.budget_tokens`",
    ),
    "an unknown effort": ({"output_config": {"effort": "heroic"}}, "output_config.effort"),
    "effort on a model without": (
        {"model": "claude-haiku-4-5", "output_config": {"effort": "low"}},
        "does not support the effort parameter",
    ),
    "a forced tool": (
        {"tools": [{"name": "t", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}},
        "tool_choice forces tool use",
    ),
    "the US on an old model": ({"model": "claude-haiku-4-5", "inference_geo": "us", "output_config": None}, "'us'"),
    "an open object": (
        {"output_config": make_format({"type": "object", "properties": {}})},
        "'additionalProperties' must be explicitly set to false",
    ),
    "an open object deep inside": (
        {"output_config": make_format(make_object(a={"type": "array", "items": {"type": "object"}}))},
        "'additionalProperties' must be explicitly set to false",
    ),
    "a length in the schema": (
        {"output_config": make_format(make_object(sql={"type": "string", "maxLength": 10}))},
        "For 'string' type, property 'maxLength' is not supported",
    ),
    "bounds in the schema": (
        {"output_config": make_format(make_object(n={"type": "integer", "minimum": 1, "maximum": 2}))},
        "For 'integer' type, properties maximum, minimum are not supported",
    ),
    "a recursive schema": (
        {"output_config": make_format({**make_object(a={"$ref": "#/$defs/a"}), "$defs": {"a": {"$ref": "#/$defs/a"}}})},
        "Circular reference",
    ),
    "five breakpoints": ({"system": make_blocks(*[MARK] * 5)}, "A maximum of 4 blocks with cache_control.*Found 5"),
    "five breakpoints with the automatic one": (
        {"system": make_blocks(*[MARK] * 4), "cache_control": MARK},
        "Found 5",
    ),
    "an hour after five minutes": (
        {"system": make_blocks(MARK, HOUR)},
        "system.1.cache_control.ttl: a ttl='1h' cache_control block must not come after",
    ),
    "an unknown TTL": ({"system": make_blocks({"type": "ephemeral", "ttl": "2h"})}, "Input should be '5m' or '1h'"),
    "too long a prompt": (
        {"model": "claude-haiku-4-5", "output_config": None, "system": make_system(1_000_000)},
        r"prompt is too long: \d+ tokens > 200000 maximum",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("stream", [False, True])
def test_what_claude_refuses_is_refused(stand_in: ClaudeStandIn, client: Anthropic, case: str, stream: bool) -> None:
    changes, message = REFUSED[case]
    with pytest.raises(BadRequestError, match=message) as refused:
        client.messages.create(stream=stream, **make_request(**changes))
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id == stand_in.requests[-1].id
    assert stand_in.billed == []


ACCEPTED: dict[str, dict[str, Any]] = {
    "no thinking on Haiku 5.5 at high effort": {
        "model": "claude-haiku-5-5",
        "thinking": {"type": "disabled"},
        "extra_body": {"output_config": {"effort": "high"}},
    },
    "between_tools on Sonnet 5.5": {"thinking": {"type": "between_tools"}},
    "adaptive on Opus 5.5": {"model": "claude-opus-5-5", "thinking": {"type": "adaptive"}},
    "a budget on Haiku 4.5": {
        "model": "claude-haiku-4-5",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    },
    "an hour before five minutes": {"system": [*make_system(), *make_blocks(HOUR, HOUR, MARK, MARK)]},
    "the US": {"inference_geo": "us"},
    "a user": {"metadata": {"user_id": "f00"}},
    "a choice of tools": {
        "tools": [{"name": "t", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto"},
    },
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_claude_takes_is_taken(client: Anthropic, case: str) -> None:
    assert ask(client, **make_request(**ACCEPTED[case])).stop_reason == "end_turn"


def test_a_forced_tool_is_refused_when_counting_too(client: Anthropic) -> None:
    with pytest.raises(BadRequestError, match="tool_choice forces"):
        client.messages.count_tokens(model="claude-opus-5-5", messages=[USER], tool_choice={"type": "any"})  # type: ignore[list-item]  # a plain dict


def test_an_unknown_model_is_not_found(client: Anthropic) -> None:
    with pytest.raises(NotFoundError, match="model: claude-tomorrow") as refused:
        ask(client, **make_request(model="claude-tomorrow"))
    assert refused.value.type == "not_found_error"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_answers_until_its_last_day_and_not_after(client: Anthropic, clock: Clock) -> None:
    clock.now = datetime(2026, 11, 29, 23, 59, tzinfo=UTC)
    assert ask(client, **make_request(model="claude-sonnet-4-5-20250929")).stop_reason == "end_turn"
    clock.now = datetime(2026, 11, 30, tzinfo=UTC)
    with pytest.raises(NotFoundError):
        ask(client, **make_request(model="claude-sonnet-4-5-20250929"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_retired_model_is_not_found(client: Anthropic) -> None:
    with pytest.raises(NotFoundError):
        ask(client, **make_request(model="claude-sonnet-4-20250514"))


def post(stand_in: ClaudeStandIn, content: bytes | None = None, **headers: str) -> httpx2.Response:
    named = {"anthropic-version": "2026-10-21", **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = json.dumps(make_request()).encode() if content is None else content
    return httpx2.post(f"{stand_in.base_url}/v1/messages", content=body, headers=named)


def test_both_ways_of_sending_the_key_are_accepted(stand_in: ClaudeStandIn) -> None:
    assert post(stand_in, x_api_key="k").status_code == 200
    assert post(stand_in, authorization="Bearer k").status_code == 200


def test_a_request_without_a_key_is_refused(stand_in: ClaudeStandIn) -> None:
    for answer in (post(stand_in), post(stand_in, authorization="Basic k"), post(stand_in, x_api_key="")):
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    with connect(stand_in, "k") as client, pytest.raises(AuthenticationError):
        ask(client, **make_request(extra_headers={"Authorization": Omit()}))


def test_an_unknown_version_is_refused(stand_in: ClaudeStandIn) -> None:
    assert "2020-01-01" in post(stand_in, x_api_key="k", anthropic_version="2020-01-01").json()["error"]["message"]
    answer = httpx2.post(f"{stand_in.base_url}/v1/messages", json=make_request(), headers={"x-api-key": "k"})
    assert answer.json()["error"]["message"] == "anthropic-version: header is required"
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "content", [b"{", b"", b"\xff\xfe", b'{"model": "\\ud800"}'], ids=["cut", "empty", "no UTF-8", "half a surrogate"]
)
def test_a_body_that_is_no_json_is_refused(stand_in: ClaudeStandIn, content: bytes) -> None:
    answer = post(stand_in, content, x_api_key="k")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("missing", ["model", "messages", "max_tokens"])
def test_a_missing_field_is_named(stand_in: ClaudeStandIn, missing: str) -> None:
    body = json.dumps({name: value for name, value in make_request().items() if name != missing}).encode()
    assert post(stand_in, body, x_api_key="k").json()["error"]["message"] == f"{missing}: Field required"


def test_a_body_above_32_megabytes_is_refused(client: Anthropic) -> None:
    with pytest.raises(ContentTooLargeError) as refused:
        ask(client, **make_request("x" * (32 * 1024 * 1024)))
    assert "maximum size" in refused.value.message


def test_an_unknown_path_is_not_found(stand_in: ClaudeStandIn) -> None:
    answer = httpx2.get(f"{stand_in.base_url}/v2", headers={"x-api-key": "k", "anthropic-version": "2026-10-21"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
