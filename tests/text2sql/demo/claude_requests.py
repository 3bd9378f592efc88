"""Requests as the product sends them to Claude, for the tests of the stand-in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from anthropic import Anthropic, transform_schema
from anthropic.types import Message
from pydantic import BaseModel

from text2sql.demo.claude import ClaudeStandIn

MODEL = "claude-sonnet-5-5"
QUESTION = "How many orders are there?"
SQL = "SELECT count(*) FROM orders"
TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


class SqlAnswer(BaseModel):
    status: Literal["ok", "cannot_answer"]
    sql: str
    explanation: str


@dataclass(frozen=True)
class Recorded:
    question: str
    sql: str
    explanation: str


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = TODAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **amount: float) -> None:
        self.now += timedelta(**amount)


def find_recorded(database: str, question: str) -> Recorded | None:
    return Recorded(QUESTION, SQL, "Counts all orders.") if (database, question) == ("sales_db", QUESTION) else None


def list_examples(database: str) -> Sequence[str]:
    return ["First?", "Second?", "Third?", "Fourth?"] if database == "sales_db" else []


def make_stand_in(**options: Any) -> ClaudeStandIn:
    return ClaudeStandIn(lookup=find_recorded, examples=list_examples, **options)


def connect(stand_in: ClaudeStandIn, key: str = "sk-ant-one", **options: Any) -> Anthropic:
    settings: dict[str, Any] = {"max_retries": 0, "timeout": 20.0, **options}
    return Anthropic(api_key=key, base_url=stand_in.base_url, open_telemetry=False, **settings)


def make_system(size: int = 0, ttl: str | None = None, mark: str = "") -> list[dict[str, Any]]:
    """Rules and a schema of at least `size` bytes; the schema is a breakpoint where a TTL is given."""
    rules: dict[str, Any] = {"type": "text", "text": "You translate questions into SQL."}
    lines = ['<database name="sales_db" dialect="postgres">', mark, "orders(id, placed_on) " * (size // 22 + 1)]
    schema: dict[str, Any] = {"type": "text", "text": "\n".join(lines)}
    if ttl:
        schema["cache_control"] = {"type": "ephemeral", "ttl": ttl}
    return [rules, schema]


def make_request(question: str = QUESTION, **changes: Any) -> dict[str, Any]:
    request = {
        "model": MODEL,
        "max_tokens": 4096,
        "system": make_system(),
        "messages": [{"role": "user", "content": f"<question>{json.dumps(question)}</question>"}],
        "output_config": {"format": {"type": "json_schema", "schema": transform_schema(SqlAnswer)}},
        **changes,
    }
    return {name: value for name, value in request.items() if value is not None}


def ask(client: Anthropic, *, stream: bool = False, **request: Any) -> Message:
    if not stream:
        message: Message = client.messages.create(**request)
        return message
    with client.messages.stream(**request) as events:
        return events.get_final_message()


def read_text(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def read_answer(message: Message) -> SqlAnswer:
    return SqlAnswer.model_validate_json(read_text(message))
