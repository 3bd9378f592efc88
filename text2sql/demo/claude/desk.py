"""What becomes of a request, without the sockets: checked, answered, billed, recorded."""

import json
import random
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from text2sql.demo.claude.answers import Answer, Examples, Lookup, check_answerable, find_answer, print_answer
from text2sql.demo.claude.billing import Bills, start_usage, write_bill
from text2sql.demo.claude.cache import Plan, PromptCache, build_prefixes
from text2sql.demo.claude.errors import invalid
from text2sql.demo.claude.models import RETIRED, Model, describe_retired, find_model, list_models
from text2sql.demo.claude.prompt import Question, read_question
from text2sql.demo.claude.replies import Reply, draw_thinking, write_reply
from text2sql.demo.claude.scenarios import Queue, Scenario, find_error, read_header, read_marker
from text2sql.demo.claude.validation import check_request, check_version, read_key, read_model_id

Clock = Callable[[], datetime]


def read_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Received:
    """One request as it came; header names in lower case, `body` None where there is no JSON."""

    id: str
    at: datetime
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Exchange:
    """A valid request with the reply it gets."""

    received: Received
    model: Model
    scenario: Scenario
    plan: Plan
    reply: Reply

    @property
    def streams(self) -> bool:
        return bool(self.received.body.get("stream"))


class Desk:
    """The state behind all connections. Thread-safe."""

    def __init__(self, lookup: Lookup, examples: Examples, clock: Clock, seed: int, keep: int) -> None:
        self.lookup = lookup
        self.examples = examples
        self.clock = clock
        self.workspace_geo = "global"
        self.scenarios = Queue()
        self.counting_scenarios = Queue()
        self.bills = Bills(keep)
        self.requests: deque[Received] = deque(maxlen=keep)
        self._cache = PromptCache()
        self._dice = random.Random(seed)
        self._dice_lock = threading.Lock()

    def receive(self, id_: str, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Received:
        """Records the request, whatever becomes of it."""
        received = Received(id_, self.clock(), method, path, headers, parse_body(raw))
        self.requests.append(received)
        return received

    def admit(self, received: Received) -> str:
        """The caller's API key. Raises ApiError."""
        key = read_key(received.headers)
        check_version(received.headers)
        return key

    def list_models(self) -> dict[str, Any]:
        models = list_models(self.clock().date())
        return {"data": models, "has_more": False, "first_id": models[0]["id"], "last_id": models[-1]["id"]}

    def describe_model(self, id_: str) -> dict[str, Any]:
        if id_ in RETIRED:
            return describe_retired(id_, RETIRED[id_])
        return find_model(id_, self.clock().date()).describe(self.clock().date())

    def check(self, received: Received, *, counting: bool) -> Model:
        model = find_model(read_model_id(received.body), received.at.date())
        check_request(received.body, model, counting=counting)
        return model

    def count_tokens(self, received: Received, key: str, scenario: Scenario) -> dict[str, int]:
        """An estimate, as the real endpoint gives one: two percent below what would be billed. Raises ApiError."""
        model = self.check(received, counting=True)
        if error := find_error(scenario, stream=False, now=received.at):
            raise error
        tokens = build_prefixes(received.body, model, key)[-1].tokens
        return {"input_tokens": tokens - tokens // 50}

    def open_exchange(self, received: Received, key: str) -> Exchange:
        """Raises ApiError for a request that Claude would refuse, or that a scenario refuses."""
        model = self.check(received, counting=False)
        question = read_question(received.body)
        marked, text = read_marker(question.text)
        waiting = self.scenarios.peek()
        if waiting is None or waiting["text"] is None:
            check_answerable(received.body)
        scenario = self.scenarios.take() or read_header(received.headers) or marked or Scenario()
        error = find_error(scenario, stream=bool(received.body.get("stream")), now=received.at)
        if error:
            raise error
        prefixes = build_prefixes(received.body, model, key)
        if prefixes[-1].tokens > model.context:
            raise invalid(f"prompt is too long: {prefixes[-1].tokens} tokens > {model.context} maximum")
        plan = self._cache.plan(prefixes, model.cache_minimum, received.at)
        reply = self._write_reply(received, model, plan, replace(question, text=text), scenario)
        return Exchange(received, model, scenario, plan, reply)

    def start(self, exchange: Exchange) -> None:
        """The answer starts: from now on it is billed and what it wrote can be read from the prompt cache."""
        self._cache.keep(exchange.plan)

    def bill(self, exchange: Exchange, output: int) -> None:
        """The answer has cost its whole prompt and so many output tokens by now."""
        reply = exchange.reply
        usage = replace(reply.usage, output=output, thinking=min(output, reply.usage.thinking))
        received = exchange.received
        self.bills.write(write_bill(received.id, exchange.model, received.at, usage, free=reply.free))

    def _write_reply(
        self, received: Received, model: Model, plan: Plan, question: Question, scenario: Scenario
    ) -> Reply:
        default = self.workspace_geo if model.serves_us else "not_available"
        usage = start_usage(plan, received.body.get("inference_geo") or default)
        with self._dice_lock:
            thinking = draw_thinking(model, received.body, self._dice)
        text = scenario["text"]
        if text is None:
            answer = play_answer(find_answer(question, self.lookup, self.examples), scenario)
            text = print_answer(answer, received.body)
        if scenario["thinking_tokens"] is not None:
            thinking = scenario["thinking_tokens"]
        return write_reply(f"msg_{secrets.token_hex(12)}", received.body, model, usage, text, thinking, scenario)


def parse_body(raw: bytes) -> Any:
    """None for what is no JSON; half a surrogate pair is none either, as it is no text."""
    try:
        body = json.loads(raw)
        if b"\\ud" in raw.lower():
            json.dumps(body, ensure_ascii=False).encode()
    except ValueError:
        return None
    return body


def play_answer(answer: Answer, scenario: Scenario) -> Answer:
    """The answer with what the scenario puts into it."""
    if scenario["sql"] is not None:
        answer = Answer(scenario["status"], scenario["sql"], "Played by the stand-in on request.")
    if scenario["status"] == "clarify":
        answer = Answer("clarify", "", answer.explanation, scenario["choices"])
    if scenario["explanation"] is not None:
        answer = replace(answer, explanation=scenario["explanation"])
    return answer
