import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from anthropic import Anthropic, transform_schema

from tests.text2sql.demo.claude_requests import (
    TODAY,
    Clock,
    SqlAnswer,
    ask,
    connect,
    make_request,
    make_stand_in,
    make_system,
    read_text,
)
from text2sql.demo.claude import ClaudeStandIn, Usage
from text2sql.demo.claude.billing import compute_cost
from text2sql.demo.claude.models import MODELS, find_model
from text2sql.demo.claude.replies import LONG_THOUGHT, draw_thinking
from text2sql.demo.claude.tokens import count_hidden, count_text, cut_text


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


def compute(model: str, usage: Usage, at: datetime = TODAY) -> Decimal:
    return compute_cost(find_model(model, at.date()), usage, at)


def test_a_request_costs_what_the_documentation_computes() -> None:
    usage = Usage(120, written_5m=300, written_1h=500, read=4000, output=350, thinking=200)
    assert compute("claude-sonnet-5-5", usage) == Decimal("0.00689")


def test_the_us_costs_a_tenth_more() -> None:
    usage = Usage(120, written_5m=300, written_1h=500, read=4000, output=350, thinking=200, geo="us")
    assert compute("claude-sonnet-5-5", usage) == Decimal("0.007579")


@pytest.mark.parametrize(("fresh", "cost"), [(1000, "0.00129"), (1001, "0.006450500")])
def test_a_long_prompt_pays_the_higher_tier_for_everything(fresh: int, cost: str) -> None:
    usage = Usage(fresh, written_5m=0, written_1h=0, read=99_000, output=400)
    assert compute("claude-haiku-5-5", usage) == Decimal(cost)


def test_cache_reads_became_cheaper_on_the_day_they_did() -> None:
    usage = Usage(0, written_5m=0, written_1h=0, read=1_000_000)
    before, after = datetime(2026, 10, 6, 23, 59, tzinfo=UTC), datetime(2026, 10, 7, tzinfo=UTC)
    assert compute("claude-sonnet-5-5", usage, before) == Decimal("0.20")
    assert compute("claude-sonnet-5-5", usage, after) == Decimal("0.10")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_cache_prices_are_the_documented_multiples_of_the_input_price(model: Any) -> None:
    rates = model.rates(1, date(2026, 11, 23))
    assert rates.write_5m == rates.input * Decimal("1.25")
    assert rates.write_1h == rates.input * 2
    cheap = {"claude-fable-5-2": "0.025", "claude-fable-5-1": "0.025"}
    cheap |= {"claude-opus-5-5": "0.05", "claude-sonnet-5-5": "0.05"}
    assert rates.read == rates.input * Decimal(cheap.get(model.id, "0.1"))
    assert rates.output == rates.input * 5


def test_the_bill_is_the_usage_of_the_answer_at_the_prices_of_the_day(
    stand_in: ClaudeStandIn, client: Anthropic
) -> None:
    usage = ask(client, stream=True, **make_request(system=make_system(8000, "5m"), inference_geo="us")).usage
    (bill,) = stand_in.billed
    assert usage.cache_creation
    assert (usage.service_tier, usage.inference_geo) == ("standard", "us")
    expected = (
        usage.input_tokens * Decimal(2)
        + usage.cache_creation.ephemeral_5m_input_tokens * Decimal("2.50")
        + usage.output_tokens * Decimal(10)
    )
    assert bill.cost == expected * Decimal("1.1") / 1_000_000
    assert (bill.model, bill.at) == ("claude-sonnet-5-5", TODAY)


def test_a_text_costs_between_a_quarter_and_one_token_per_byte() -> None:
    dice = random.Random(1)
    rates = []
    for _ in range(500):
        text = "".join(dice.choices("abc äö €😀", k=dice.randint(400, 800)))
        rates.append(count_text(text) / len(text.encode()))
        assert count_text(text) == count_text(text)
    assert 0.24 <= min(rates) < 0.3
    assert 0.95 < max(rates) <= 1.0


@pytest.mark.parametrize("text", ["", "x", "é", "😀"])
def test_the_shortest_texts_stay_within_their_bytes(text: str) -> None:
    assert min(1, len(text)) <= count_text(text) <= len(text.encode())


def test_a_cut_text_is_a_beginning_that_fits() -> None:
    text = "SELECT 'é€😀' " * 20
    for tokens in range(count_text(text) + 2):
        assert text.startswith(cut_text(text, tokens))
    assert cut_text(text, 0) == ""
    assert cut_text(text, count_text(text)) == text


def test_structured_output_adds_hidden_tokens_by_schema() -> None:
    schemas = [{"type": "object", "title": str(n)} for n in range(300)]
    counts = [count_hidden(schema) for schema in schemas]
    assert min(counts) >= 100
    assert max(counts) <= 700
    assert len(set(counts)) > 100
    assert count_hidden(None) == 0


def test_the_hidden_tokens_are_billed_as_input(client: Anthropic) -> None:
    formatted = ask(client, **make_request()).usage.input_tokens
    plain = ask(client, **make_request(output_config=None)).usage.input_tokens
    assert formatted - plain == count_hidden(transform_schema(SqlAnswer))


@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh", "max"])
def test_thinking_is_usually_modest_and_sometimes_long(effort: str) -> None:
    dice = random.Random(7)
    body = {"output_config": {"effort": effort}}
    model = find_model("claude-sonnet-5-5", date(2026, 11, 23))
    thoughts = [draw_thinking(model, body, dice) for _ in range(1000)]
    tokens = sorted(thought for thought in thoughts if thought is not None)
    assert tokens[-1] > LONG_THOUGHT[0]
    assert tokens[len(tokens) // 2] < LONG_THOUGHT[0]
    assert (None in thoughts) is (effort in {"low", "medium"})


def test_the_same_seed_thinks_equally_long() -> None:
    def think(seed: int) -> list[int]:
        with make_stand_in(seed=seed) as stand_in, connect(stand_in) as client:
            return [ask(client, **make_request()).usage.output_tokens for _ in range(5)]

    assert think(3) == think(3) != think(4)


@pytest.mark.parametrize("limit", [1, 2, 30, 100, 400])
@pytest.mark.parametrize("stream", [False, True])
def test_the_output_never_passes_max_tokens_and_is_cut_there(client: Anthropic, limit: int, stream: bool) -> None:
    for _ in range(5):
        message = ask(client, stream=stream, **make_request(max_tokens=limit))
        assert message.usage.output_tokens <= limit
        if message.stop_reason == "max_tokens":
            assert message.usage.output_tokens == limit
        else:
            assert json.loads(read_text(message))["status"] == "ok"


@pytest.mark.parametrize("stream", [False, True])
def test_a_thought_that_never_ends_leaves_no_text(stand_in: ClaudeStandIn, client: Anthropic, stream: bool) -> None:
    stand_in.play("answer", thinking_tokens=10**6)
    message = ask(client, stream=stream, **make_request(max_tokens=1024))
    assert [block.type for block in message.content] == ["thinking"]
    assert message.usage.output_tokens_details
    assert message.usage.output_tokens == message.usage.output_tokens_details.thinking_tokens == 1024
    assert message.stop_reason == "max_tokens"
    assert stand_in.billed[0].usage.output == 1024


def test_only_the_last_requests_and_bills_are_remembered() -> None:
    with make_stand_in(keep=3) as stand_in, connect(stand_in) as client:
        for _ in range(5):
            ask(client, **make_request())
        assert len(stand_in.requests) == len(stand_in.billed) == 3
        assert [request.id for request in stand_in.requests] == [bill.request_id for bill in stand_in.billed]
