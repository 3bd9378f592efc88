"""Everything that can go wrong with Claude, to be played on request.

A scenario comes from `ClaudeStandIn.play`, from the header `x-stand-in-scenario: rate_limited 2`, or from a marker in
the question: `How many orders? [[rate_limited 2]]`. The words after the name are its first argument.
"""

import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from text2sql.demo.claude.errors import ApiError, invalid

HEADER = "x-stand-in-scenario"
MARKER = re.compile(r"\s*\[\[\s*([a-z_]+)(?:\s+(.*?))?\s*\]\]\s*", re.DOTALL)

# Names with their arguments and defaults; the first argument is the one a header or a marker may give.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "invalid_key": {},
    "billing_error": {},
    "permission_denied": {},
    "rate_limited": {"seconds": 1.0},
    "spend_limit": {},
    "usage_limit": {},
    "overloaded": {},
    "server_error": {},
    "timeout": {},
    "slow": {"seconds": 5.0},
    "slow_stream": {"seconds": 5.0},
    "mid_stream_error": {},
    "cut_stream": {},
    "early_end": {},
    "refusal": {"category": "cyber", "mid_stream": False},
    "max_tokens": {},
    "malformed_json": {"where": "text"},
    "empty_content": {},
    "html": {},
    "answer": {"sql": None, "status": "ok", "explanation": None, "choices": (), "text": None, "thinking_tokens": None},
}
REFUSALS = {"cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"}
# Refusals before any output are billed for these only; in the middle of an answer they always are.
BILLED_REFUSALS = {"bio", "frontier_llm", "reasoning_extraction"}
BREAKS = {"mid_stream_error", "cut_stream", "early_end"}


@dataclass(frozen=True)
class Scenario:
    name: str = "answer"
    arguments: Mapping[str, Any] = field(default_factory=lambda: ARGUMENTS["answer"])

    def __getitem__(self, argument: str) -> Any:
        return self.arguments.get(argument)

    @property
    def breaks_stream(self) -> bool:
        return self.name in BREAKS or (self.name == "malformed_json" and self["where"] == "wire")


def make_scenario(name: str, **arguments: Any) -> Scenario:
    """Raises ValueError for an unknown name or argument."""
    if name not in ARGUMENTS:
        raise ValueError(f"no scenario {name!r}; there are {', '.join(ARGUMENTS)}")
    if unknown := set(arguments) - set(ARGUMENTS[name]):
        raise ValueError(f"the scenario {name} takes no {', '.join(sorted(unknown))}")
    scenario = Scenario(name, {**ARGUMENTS[name], **arguments})
    if name == "refusal" and scenario["category"] not in {*REFUSALS, None}:
        raise ValueError(f"a refusal has one of the categories {', '.join(sorted(REFUSALS))} or None")
    if name == "malformed_json" and scenario["where"] not in {"text", "wire"}:
        raise ValueError("JSON can be malformed in the text or on the wire")
    return scenario


def parse_scenario(name: str, word: str) -> Scenario:
    """A scenario as a header or a marker writes it. Raises ValueError."""
    argument = next(iter(ARGUMENTS.get(name, {})), None)
    if not word or argument is None:
        return make_scenario(name)
    return make_scenario(name, **{argument: float(word) if argument == "seconds" else word})


def read_header(headers: Mapping[str, str]) -> Scenario | None:
    name, _, word = headers.get(HEADER, "").strip().partition(" ")
    return ask_scenario(name, word.strip()) if name else None


def read_marker(question: str | None) -> tuple[Scenario | None, str | None]:
    """The first marker with a scenario's name, and the question without it. Other double brackets stay text."""
    for found in MARKER.finditer(question or ""):
        if question and found[1] in ARGUMENTS:
            rest = f"{question[: found.start()]} {question[found.end() :]}".strip()
            return ask_scenario(found[1], found[2] or ""), rest
    return None, question


def ask_scenario(name: str, word: str) -> Scenario:
    try:
        return parse_scenario(name, word)
    except ValueError as error:
        raise invalid(f"{HEADER}: {error}") from None


class Queue:
    """Scenarios for the next requests, in order. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Scenario] = deque()

    def add(self, scenario: Scenario, times: int) -> None:
        with self._lock:
            self._waiting.extend([scenario] * times)

    def peek(self) -> Scenario | None:
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def take(self) -> Scenario | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None


# Status, message and error code of the scenarios that are HTTP errors; nothing is billed for them.
ERRORS: dict[str, tuple[int, str, str | None]] = {
    "invalid_key": (401, "invalid x-api-key", None),
    "billing_error": (402, "Your credit balance is too low to access the Anthropic API.", None),
    "permission_denied": (403, "Your API key does not have permission to use the specified resource.", None),
    "rate_limited": (429, "This request would exceed your account's rate limit. Please try again later.", None),
    "spend_limit": (
        429,
        "This request would exceed your account's monthly spend limit. Please try again later.",
        "enforced_spend_limit_reached",
    ),
    "overloaded": (529, "Overloaded", None),
    "server_error": (500, "Internal server error", None),
}


def find_error(scenario: Scenario, *, stream: bool, now: datetime) -> ApiError | None:
    """The HTTP error that the scenario answers with, None for scenarios of another kind."""
    name = scenario.name
    if name == "usage_limit":
        month = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
        return invalid(
            "You have reached your specified API usage limits."
            f" You will regain access on {month:%Y-%m-%d} at 00:00 UTC."
        )
    if name == "mid_stream_error" and not stream:
        name = "overloaded"  # without a stream the same failure is an HTTP error
    if name not in ERRORS:
        return None
    status, message, code = ERRORS[name]
    headers = {"retry-after": f"{scenario['seconds']:g}"} if name == "rate_limited" else {}
    return ApiError(status, message, code=code, headers=headers)
