"""A reply as server-sent events, in the order of the Messages API."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from text2sql.demo.claude.replies import Reply

DELTA_CHARACTERS = 24


@dataclass(frozen=True)
class Event:
    """One event and the output tokens that are spent once it is sent."""

    name: str
    data: dict[str, Any]
    output: int

    def frame(self) -> bytes:
        return frame_event(self.name, json.dumps({"type": self.name, **self.data}, ensure_ascii=False))


def frame_event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def list_events(reply: Reply) -> list[Event]:
    # The API writes one output token into message_start, whatever comes; with max_tokens 0 there is none.
    first = min(1, reply.usage.output)
    events = [Event("message_start", {"message": start_message(reply, first)}, first)]
    index = 0
    if reply.thinking is not None:
        events += list_thinking(reply, index)
        index += 1
    if reply.text is not None:
        events += list_text(reply, index, reply.text)
    delta = {
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "stop_details": reply.stop_details,
    }
    events.append(Event("message_delta", {"delta": delta, "usage": reply.usage.as_cumulative()}, reply.usage.output))
    events.append(Event("message_stop", {}, reply.usage.output))
    return events


def start_message(reply: Reply, output: int) -> dict[str, Any]:
    usage = replace(reply.usage, output=output, thinking=0).as_message()
    del usage["output_tokens_details"]
    return {**reply.as_message(), "content": [], "stop_reason": None, "stop_details": None, "usage": usage}


def list_thinking(reply: Reply, index: int) -> Iterator[Event]:
    output = max(1, reply.thinking or 0)
    start = {"type": "thinking", "thinking": "", "signature": ""}
    yield Event("content_block_start", {"index": index, "content_block": start}, 1)
    for delta in (
        {"type": "thinking_delta", "thinking": reply.summary},
        {"type": "signature_delta", "signature": reply.signature},
    ):
        yield Event("content_block_delta", {"index": index, "delta": delta}, output)
    yield Event("content_block_stop", {"index": index}, output)


def list_text(reply: Reply, index: int, text: str) -> Iterator[Event]:
    output = max(1, reply.thinking or 0)
    yield Event("content_block_start", {"index": index, "content_block": {"type": "text", "text": ""}}, output)
    yield Event("ping", {}, output)
    for start in range(0, len(text), DELTA_CHARACTERS):
        end = start + DELTA_CHARACTERS
        output = max(1, reply.count_output(len(text[:end].encode())))
        delta = {"type": "text_delta", "text": text[start:end]}
        yield Event("content_block_delta", {"index": index, "delta": delta}, output)
    yield Event("content_block_stop", {"index": index}, output)


def find_middle(events: list[Event]) -> int:
    """How many events are sent before a stream breaks: half of the deltas, or all but the end without deltas."""
    deltas = [n for n, event in enumerate(events) if event.name == "content_block_delta"]
    return deltas[len(deltas) // 2] + 1 if deltas else len(events) - 2
