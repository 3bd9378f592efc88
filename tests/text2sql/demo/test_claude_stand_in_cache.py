import threading
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic
from anthropic.types import Usage

from tests.text2sql.demo.claude_requests import Clock, ask, connect, make_request, make_stand_in, make_system
from text2sql.demo.claude import ClaudeStandIn

LONG = 8000  # bytes; at least 2000 tokens, above the minimum of Sonnet 5.5


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


def read_usage(client: Anthropic, *, stream: bool = False, **changes: Any) -> Usage:
    changes.setdefault("system", make_system(LONG, "1h"))
    return ask(client, stream=stream, **make_request(**changes)).usage


def read_split(usage: Usage) -> tuple[int, int, int, int]:
    """Uncached, written for five minutes, written for an hour, read."""
    assert usage.cache_creation
    assert usage.cache_read_input_tokens is not None
    split = (usage.cache_creation.ephemeral_5m_input_tokens, usage.cache_creation.ephemeral_1h_input_tokens)
    assert usage.cache_creation_input_tokens == sum(split)
    return (usage.input_tokens, *split, usage.cache_read_input_tokens)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_the_first_request_writes_what_the_second_reads(client: Anthropic, stream: bool, ttl: str) -> None:
    system = make_system(LONG, ttl)
    fresh = read_split(read_usage(client, stream=stream, system=system))
    again = read_split(read_usage(client, stream=stream, system=system))
    written = fresh[1] if ttl == "5m" else fresh[2]
    assert written >= LONG // 4
    assert sum(fresh[1:3]) == written
    assert fresh[3] == 0
    assert again == (fresh[0], 0, 0, written)


def test_the_total_input_is_the_same_cached_or_not(client: Anthropic) -> None:
    plain = make_system(LONG)
    totals = {sum(read_split(read_usage(client, system=system))) for system in (plain, make_system(LONG, "5m"), plain)}
    assert len(totals) == 1


def test_another_question_reads_the_same_prefix(client: Anthropic) -> None:
    written = read_split(read_usage(client))[2]
    assert read_split(read_usage(client, question="What else?"))[3] == written


@pytest.mark.parametrize(
    "changes",
    [
        {"system": make_system(LONG, "1h", mark="changed")},
        {"model": "claude-haiku-5-5"},
        {"output_config": None},
        {"thinking": {"type": "adaptive"}},
        {"tools": [{"name": "t", "input_schema": {"type": "object"}}]},
    ],
    ids=["one byte", "model", "schema", "thinking", "tools"],
)
def test_whatever_changes_the_prefix_misses(client: Anthropic, changes: dict[str, Any]) -> None:
    read_usage(client)
    assert read_split(read_usage(client, **changes))[3] == 0


def test_another_effort_misses(client: Anthropic) -> None:
    read_usage(client)
    config = {**make_request()["output_config"], "effort": "max"}
    assert read_split(read_usage(client, output_config=config))[3] == 0


def test_keys_do_not_share_entries(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    read_usage(client)
    with connect(stand_in, key="sk-ant-two") as other:
        assert read_split(read_usage(other))[3] == 0
    assert read_split(read_usage(client))[3] > 0


def test_a_short_prefix_is_silently_not_cached(client: Anthropic) -> None:
    config: dict[str, Any] = {"output_config": None, "system": make_system(100, "1h")}
    for _ in range(2):
        assert read_split(read_usage(client, **config))[1:] == (0, 0, 0)


def test_the_minimum_depends_on_the_model(client: Anthropic) -> None:
    system = make_system(3900, "1h")
    for model, caches in (("claude-sonnet-5-5", True), ("claude-opus-4-6", False)):
        usage = read_split(read_usage(client, model=model, system=system))
        assert bool(usage[2]) is caches


@pytest.mark.parametrize(("ttl", "minutes"), [("5m", 5), ("1h", 60)])
def test_an_entry_lives_for_its_ttl_and_every_use_renews_it(
    client: Anthropic, clock: Clock, ttl: str, minutes: int
) -> None:
    system = make_system(LONG, ttl)
    read_usage(client, system=system)
    for _ in range(3):
        clock.move(minutes=minutes - 1)
        assert read_split(read_usage(client, system=system))[3] > 0
    clock.move(minutes=minutes)
    assert read_split(read_usage(client, system=system))[3] == 0


def test_two_lives_are_written_side_by_side_and_end_apart(client: Anthropic, clock: Clock) -> None:
    examples = {"type": "text", "text": "Q: a? A: b. " * 300, "cache_control": {"type": "ephemeral", "ttl": "5m"}}
    system = [*make_system(LONG, "1h"), examples]
    uncached, short, long, read = read_split(read_usage(client, system=system))
    assert min(short, long) > 0
    assert read == 0
    assert read_split(read_usage(client, system=system)) == (uncached, 0, 0, short + long)
    clock.move(minutes=10)
    assert read_split(read_usage(client, system=system)) == (uncached, short, 0, long)


def test_the_automatic_breakpoint_marks_the_question(client: Anthropic) -> None:
    changes: dict[str, Any] = {"system": make_system(LONG), "cache_control": {"type": "ephemeral"}}
    uncached, written, _, _ = read_split(read_usage(client, **changes))
    assert uncached == 0
    assert read_split(read_usage(client, **changes)) == (0, 0, 0, written)


def test_a_later_breakpoint_finds_an_earlier_entry_within_twenty_blocks(client: Anthropic) -> None:
    def build(blocks: int) -> list[dict[str, Any]]:
        tail: list[dict[str, Any]] = [{"type": "text", "text": f"block {n}"} for n in range(blocks)]
        tail[-1]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
        return [*make_system(LONG), *tail]

    read_usage(client, system=build(1))
    assert read_split(read_usage(client, system=build(20)))[3] > 0
    assert read_split(read_usage(client, system=build(60)))[3] == 0


def test_an_entry_exists_only_once_an_answer_has_started(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("slow", seconds=0.5, times=2)
    reads: list[int] = []
    threads = [threading.Thread(target=lambda: reads.append(read_split(read_usage(client))[3])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads == [0, 0]
    assert read_split(read_usage(client))[3] > 0


def test_a_failed_request_writes_nothing(stand_in: ClaudeStandIn, client: Anthropic) -> None:
    stand_in.play("overloaded")
    with pytest.raises(Exception, match="Overloaded"):
        read_usage(client)
    assert read_split(read_usage(client))[3] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_prefix_can_be_warmed_without_an_answer(client: Anthropic, stream: bool) -> None:
    usage = read_usage(client, stream=stream, max_tokens=0)
    assert usage.output_tokens == 0
    assert read_split(read_usage(client))[3] == read_split(usage)[2] > 0
