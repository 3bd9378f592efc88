"""One call to Claude: what came back, what it used, or which of a few stable failures it was.

The API and its traps: anthropic 2.12, `anthropic-version: 2026-10-21`. Every call is streamed, so that the input's
usage is known from the first event on; a stream that ends without `message_stop` raises nothing in the SDK, a cut one
raises httpx2's error and not anthropic's.
"""

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from threading import Timer
from typing import Any, Required, TypedDict, Unpack

import anthropic
import httpx2
from anthropic import Anthropic

from text2sql.pipeline.lifetime import Lifetime
from text2sql.pipeline.prompt import Prompt

CONNECT_SECONDS = 5.0
LONGEST_GEO = 50
LONGEST_CHOICE = 200
MOST_CHOICES = 6

BILLED_REFUSALS = frozenset({"bio", "frontier_llm", "reasoning_extraction"})
"""Categories that are billed though nothing was written; others only once output has begun (since 2026-09-24)."""


@dataclass(frozen=True)
class Usage:
    """Tokens as Claude bills them. `thinking` is a part of `output`, not added to it."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    thinking: int = 0


class Bill(StrEnum):
    """What is known of the cost of a failed call."""

    ZERO = "zero"
    EXACT = "exact"
    OUTPUT_UNKNOWN = "output_unknown"
    """The stream broke: the input is known, of the output only that it is at most `max_tokens`."""


@dataclass(frozen=True)
class Reply:
    status: str
    sql: str
    explanation: str
    text: str
    usage: Usage
    model: str
    request_id: str
    stop_reason: str
    first_token_at: datetime | None
    choices: tuple[str, ...]
    """Short answers to what Claude asks back."""
    geo: str
    """Where Claude says that it computed (`inference_geo`), which its price depends on; empty where it does not say."""


@dataclass
class ClaudeFailure(Exception):
    """A call that brought no usable answer."""

    problem: str
    """One of the stable problem types of text2sql/api/errors.py."""
    detail: str
    """A sentence for the person who asked or runs the installation."""
    passing: bool = False
    """Whether another try may succeed."""
    retry_after: float | None = None
    bill: Bill = Bill.ZERO
    usage: Usage = field(default_factory=Usage)
    request_id: str = ""
    stop_reason: str = ""
    text: str = ""
    first_token_at: datetime | None = None
    geo: str = ""

    def __str__(self) -> str:
        return f"{self.problem}: {self.detail}"


@dataclass(frozen=True)
class CountRefused(Exception):
    """Claude will not count this text for this model, however often it is asked."""

    detail: str

    def __str__(self) -> str:
        return self.detail


@lru_cache(maxsize=4)
def client_open(*, api_key: str, base_url: str) -> Anthropic:
    """A client for the life of the process: building one costs 20 ms, and its connections are shared by all threads."""
    return Anthropic(api_key=api_key, base_url=base_url, max_retries=0, open_telemetry=False)


class Call(TypedDict, total=False):
    """How to ask; see `claude_call`."""

    prompt: Required[Prompt]
    model: Required[str]
    max_tokens: Required[int]
    effort: Required[str]
    user: Required[str]
    deadline: Required[float]
    lifetime: Lifetime
    on_start: Callable[[], None]
    on_text: Callable[[str], None]


def claude_call(client: Anthropic, **call: Unpack[Call]) -> Reply:
    """Ask once for SQL.

    Args:
        client: As `client_open` gives it.
        call: `lifetime` is how long Claude shall keep the prefix in its cache, 5 minutes unless given; `effort` as the
            API spells it, empty for the model's default; `user` an opaque id of the tenant, for
            Anthropic's abuse detection; `deadline` in `time.monotonic()` seconds, after which the call is given up;
            `on_start` is called once, when the answer begins: from then on its prompt can be read from Claude's
            cache; `on_text` with the answer's whole text so far, whenever more of it has come.

    Raises:
        ClaudeFailure: For everything that is not a complete, well-formed answer.
    """
    return _read(client, **call).reply()


def claude_write(client: Anthropic, **call: Unpack[Call]) -> Reply:
    """The same for an answer of any other shape: only the reply's `text` and figures mean something."""
    return _read(client, **call).written()


def _read(
    client: Anthropic, *, prompt: Prompt, model: str, max_tokens: int, effort: str, user: str, deadline: float,
    lifetime: Lifetime = "5m", on_start: Callable[[], None] = lambda: None,
    on_text: Callable[[str], None] = lambda _text: None,
) -> "_Reading":  # fmt: skip
    output_config: dict[str, Any] = {"format": {"type": "json_schema", "schema": prompt.output_schema}}
    if effort:
        output_config["effort"] = effort
    stream_read = _Reading(deadline)
    try:
        stream = client.messages.create(  # type: ignore[call-overload]  # the blocks are plain dictionaries
            model=model,
            max_tokens=max_tokens,
            system=[_kept_for(block, lifetime) for block in prompt.system],
            messages=list(prompt.messages),
            output_config=output_config,
            metadata={"user_id": user},
            stream=True,
            timeout=anthropic.Timeout(stream_read.remaining(), connect=min(CONNECT_SECONDS, stream_read.remaining())),
        )
        stream_read.request_id = stream.response.headers.get("request-id", "")
        with closing(stream), _cut_after(stream.response, stream_read.remaining()):
            for event in stream:
                stream_read.take(event)
                if event.type == "message_start":
                    on_start()
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    on_text(stream_read.text)
    except anthropic.APIStatusError as error:
        raise _status_failure(error, stream_read) from error
    except (anthropic.APIConnectionError, httpx2.HTTPError, ValueError, AttributeError, TypeError) as error:
        # The last three are for events of another shape than the agreed one, which the SDK does not check.
        raise stream_read.broken(error) from error
    return stream_read


def _kept_for(block: dict[str, Any], lifetime: Lifetime) -> dict[str, Any]:
    if "cache_control" not in block or lifetime == "5m":
        return block
    return {**block, "cache_control": {**block["cache_control"], "ttl": lifetime}}


def tokens_count(
    client: Anthropic, *, system: Sequence[dict[str, Any]], output_schema: dict[str, Any], model: str, seconds: float
) -> int:
    """Have Claude count a prompt's input tokens, with a question of one letter: free, and an estimate.

    Raises:
        CountRefused: Asked again it would refuse again.
        ClaudeFailure: Another try may succeed, at once or after something was put right.
    """
    reading = _Reading(time.monotonic() + seconds)
    try:
        counted = client.messages.count_tokens(
            model=model,
            system=list(system),  # type: ignore[arg-type]  # the blocks are plain dictionaries
            messages=[{"role": "user", "content": "?"}],
            output_config={"format": {"type": "json_schema", "schema": output_schema}},
            timeout=anthropic.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
        )
        tokens = counted.input_tokens
        if type(tokens) is not int or tokens < 1:
            raise ValueError("no count")  # noqa: TRY301  # the SDK checks no answer
    except anthropic.APIStatusError as error:
        failure = _status_failure(error, reading)
        if error.status_code in (400, 404, 413, 422) and failure.problem == "claude-misconfigured":
            raise CountRefused(failure.detail) from error
        raise failure from error
    except (anthropic.APIConnectionError, httpx2.HTTPError, ValueError, AttributeError, TypeError) as error:
        raise reading.broken(error) from error
    return tokens


@contextmanager
def _cut_after(response: httpx2.Response, seconds: float) -> Iterator[None]:
    """Shut the connection after so many seconds: the read timeout starts anew with every byte that comes."""
    line = response.extensions["network_stream"].get_extra_info("socket")
    # Duplicated, so that a late timer can never touch a descriptor that was closed and given away.
    with socket.socket(fileno=os.dup(line.fileno())) as own:
        timer = Timer(seconds, _shut, [own])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _shut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


@dataclass
class _Reading:
    """What a stream has told so far."""

    deadline: float
    model: str = ""
    text: str = ""
    usage: Usage | None = None
    stop_reason: str = ""
    stop_details: Any = None
    stopped: bool = False
    first_token_at: datetime | None = None
    request_id: str = ""
    geo: str = ""

    def remaining(self) -> float:
        return max(self.deadline - time.monotonic(), 0.001)

    def take(self, event: Any) -> None:
        if event.type == "message_start":
            self.model, self.usage = event.message.model, _usage(event.message.usage)
            self.geo = _storable(event.message.usage.inference_geo or "")[:LONGEST_GEO]
        elif event.type == "content_block_delta":
            self.first_token_at = self.first_token_at or datetime.now(UTC)
            if event.delta.type == "text_delta":
                self.text += _storable(event.delta.text)
        elif event.type == "message_delta":
            self.usage = _usage(event.usage, self.usage)
            self.stop_reason = event.delta.stop_reason or ""
            self.stop_details = getattr(event.delta, "stop_details", None)
        elif event.type == "message_stop":
            self.stopped = True
        if not self.stopped and time.monotonic() > self.deadline:
            raise self.failure("deadline-exceeded", "Claude was still writing when the question's time ran out.")

    def failure(
        self, problem: str, detail: str, *, passing: bool = False, retry_after: float | None = None
    ) -> ClaudeFailure:
        """A failure with the bill as far as it is known now."""
        known = Bill.EXACT if self.stop_reason else Bill.OUTPUT_UNKNOWN
        return ClaudeFailure(
            problem, detail, passing=passing, retry_after=retry_after,
            bill=known if self.usage else Bill.ZERO, usage=self.usage or Usage(), request_id=self.request_id,
            stop_reason=self.stop_reason, text=self.text, first_token_at=self.first_token_at, geo=self.geo,
        )  # fmt: skip

    def broken(self, error: Exception) -> ClaudeFailure:
        if time.monotonic() >= self.deadline or isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
            return self.failure("deadline-exceeded", "Claude did not answer in the time that a question may take.")
        return self.failure(
            "claude-unreachable", f"The connection to Claude broke ({type(error).__name__}).", passing=True
        )

    def reply(self) -> Reply:
        self._check_complete()
        return self._reply(**self._answer())

    def written(self) -> Reply:
        self._check_complete()
        return self._reply(status="ok", sql="", explanation="", choices=())

    def _check_complete(self) -> None:
        if self.usage is None or not (self.stopped and self.stop_reason):
            raise self.failure("claude-unreachable", "Claude's answer ended before it was complete.", passing=True)
        if self.stop_reason == "refusal":
            raise self._refusal()
        if self.stop_reason != "end_turn":
            raise self.failure("answer-truncated", f"Claude's answer was cut off ({self.stop_reason}).")

    def _reply(self, **answer: Any) -> Reply:
        return Reply(
            **answer, text=self.text, usage=self.usage or Usage(), model=self.model, request_id=self.request_id,
            stop_reason=self.stop_reason, first_token_at=self.first_token_at, geo=self.geo,
        )  # fmt: skip

    def _refusal(self) -> ClaudeFailure:
        category = getattr(self.stop_details, "category", None)
        if self.first_token_at is None and category not in BILLED_REFUSALS:
            self.usage = Usage()
        about = f" (category {category})" if category else ""
        return self.failure("claude-refused", f"Claude declined to answer this question{about}.")

    def _answer(self) -> dict[str, Any]:
        try:
            answer = json.loads(self.text)
            status, sql, explanation = (
                answer["status"].lower(),
                answer["sql"].strip(),
                answer["explanation"].strip(),
            )
            choices = tuple(_storable(choice.strip())[:LONGEST_CHOICE] for choice in answer.get("choices") or ())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.failure(
                "answer-malformed", "Claude's answer was not of the agreed shape.", passing=True
            ) from error
        is_empty = {"ok": not sql, "clarify": not explanation, "cannot_answer": False}
        if is_empty.get(status, True):
            raise self.failure("answer-malformed", "Claude's answer was not of the agreed shape.", passing=True)
        return {
            "status": status, "sql": _storable(sql), "explanation": _storable(explanation),
            "choices": choices[:MOST_CHOICES],
        }  # fmt: skip


def _storable(text: str) -> str:
    """Text that PostgreSQL and UTF-8 can hold: no NUL, no half of a surrogate pair. JSON can spell both."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _usage(reported: Any, before: Usage | None = None) -> Usage:
    """Usage from `message_start`, or from `message_delta`, which repeats the sums without the cache-write split."""
    split = getattr(reported, "cache_creation", None)
    writes = reported.cache_creation_input_tokens or 0
    if split is not None:
        write_5m, write_1h = split.ephemeral_5m_input_tokens or 0, split.ephemeral_1h_input_tokens or 0
    elif before is not None:
        write_5m, write_1h = before.cache_write_5m, before.cache_write_1h
    else:
        write_5m, write_1h = writes, 0
    details = getattr(reported, "output_tokens_details", None)
    before = before or Usage()
    return Usage(
        input=reported.input_tokens if reported.input_tokens is not None else before.input,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        cache_read=before.cache_read if reported.cache_read_input_tokens is None else reported.cache_read_input_tokens,
        output=reported.output_tokens or 0,
        thinking=(getattr(details, "thinking_tokens", 0) or 0) if details else 0,
    )


def _status_failure(error: anthropic.APIStatusError, reading: _Reading) -> ClaudeFailure:
    reading.request_id = reading.request_id or error.request_id or ""
    kind, status = error.type or "", error.status_code
    message = str(getattr(error, "message", error))
    if isinstance(error, anthropic.EnforcedSpendLimitReachedError) or "API usage limits" in message:
        return reading.failure(
            "claude-spend-limit",
            "The spend limit of this installation's Anthropic account is reached; raise it in the Claude console.",
        )
    if status == 429:
        return reading.failure(
            "claude-overloaded",
            "Claude is rate-limiting this installation.",
            passing=True,
            retry_after=_retry_after(error),
        )
    if status in (408, 409, 500, 502, 503, 504, 529) or kind in (
        "overloaded_error",
        "api_error",
        "timeout_error",
    ):
        return reading.failure(
            "claude-overloaded",
            f"Claude answered {kind or status}.",
            passing=True,
            retry_after=_retry_after(error),
        )
    if status in (401, 402, 403):
        return reading.failure(
            "claude-misconfigured",
            f"Claude refused this installation's key ({kind or status}); an admin must look at ANTHROPIC_API_KEY.",
        )
    return reading.failure("claude-misconfigured", f"Claude refused the request: {message[:500]}")


def _retry_after(error: anthropic.APIStatusError) -> float | None:
    try:
        seconds = float(error.response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) else None
