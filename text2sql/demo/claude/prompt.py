"""What stands in a request: its blocks in the order of the prompt, and the question of our own prompts."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DATABASE = re.compile(r'<database\s+name="([^"]*)"')
# A JSON string holds no bare quote, so text inside the question cannot end it early.
QUESTION = re.compile(r'<question>\s*("(?:[^"\\]|\\.)*")\s*</question>', re.DOTALL)


@dataclass(frozen=True)
class Part:
    """One block of the prompt, where it stands (`system.0`) and who speaks (tools, system, user, assistant)."""

    path: str
    section: str
    block: dict[str, Any]


@dataclass(frozen=True)
class Question:
    """The question of a text-to-SQL prompt, None where the prompt has no such line."""

    database: str | None
    text: str | None


def list_parts(body: dict[str, Any]) -> list[Part]:
    """Every block in cache order: tools, system, messages. The request must have a valid shape."""
    parts = [Part(f"tools.{n}", "tools", tool) for n, tool in enumerate(body.get("tools") or [])]
    parts += list_blocks(body.get("system") or [], "system", "system")
    for n, message in enumerate(body["messages"]):
        parts += list_blocks(message["content"], f"messages.{n}.content", message["role"])
    return parts


def list_blocks(content: str | list[dict[str, Any]], path: str, section: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield Part(path, section, {"type": "text", "text": content})
        return
    for n, block in enumerate(content):
        yield Part(f"{path}.{n}", section, block)


def read_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the structured output that is asked for."""
    form = (body.get("output_config") or {}).get("format") or {}
    schema: dict[str, Any] | None = form.get("schema")
    return schema


def read_question(body: dict[str, Any]) -> Question:
    """The database named in the system blocks and the last <question> of any user message."""
    system = [part.block.get("text", "") for part in list_blocks(body.get("system") or [], "system", "system")]
    named = next(filter(None, map(DATABASE.search, system)), None)
    users = [message for message in body["messages"] if message["role"] == "user"]
    texts = [part.block.get("text", "") for user in users for part in list_blocks(user["content"], "", "user")]
    asked = QUESTION.findall("\n".join(texts))
    return Question(html.unescape(named[1]) if named else None, load_string(asked[-1]) if asked else None)


def load_string(text: str) -> str | None:
    try:
        return str(json.loads(text))
    except ValueError:
        return None
