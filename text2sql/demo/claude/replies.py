"""The message that answers one request: thinking, text, stop reason and tokens."""

import base64
import hashlib
import random
from dataclasses import dataclass, replace
from typing import Any

from text2sql.demo.claude.billing import Usage
from text2sql.demo.claude.models import Model, Thinking
from text2sql.demo.claude.scenarios import BILLED_REFUSALS, Scenario
from text2sql.demo.claude.tokens import count_bytes, count_text, cut_text, read_density

# The longest usual thought, by effort; one in twenty is far longer.
USUAL_THOUGHT = {"low": 120, "medium": 250, "high": 500, "xhigh": 800, "max": 1200}
LONG_THOUGHT = (800, 2500)
SUMMARY = "The stand-in does not think; these tokens only imitate the bill."


@dataclass(frozen=True)
class Reply:
    """`thinking` in tokens, None for an answer without a thinking block; `text` None for one without a text block."""

    id: str
    model: str
    thinking: int | None
    summary: str
    text: str | None
    stop_reason: str
    usage: Usage
    stop_details: dict[str, Any] | None = None
    free: bool = False

    @property
    def signature(self) -> str:
        return base64.b64encode(hashlib.sha512(self.id.encode()).digest()).decode()

    def as_message(self) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if self.thinking is not None:
            content.append({"type": "thinking", "thinking": self.summary, "signature": self.signature})
        if self.text is not None:
            content.append({"type": "text", "text": self.text})
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "stop_details": self.stop_details,
            "diagnostics": None,
            "usage": self.usage.as_message(),
        }

    def count_output(self, text_bytes: int) -> int:
        """Output tokens once the thinking and so many bytes of the text are written."""
        thinking = self.thinking or 0
        return min(self.usage.output, thinking + count_bytes(text_bytes, read_density(self.text or "")))


def does_think(model: Model, body: dict[str, Any]) -> bool:
    kind = (body.get("thinking") or {}).get("type")
    if model.thinking in {Thinking.OPT_IN, Thinking.BUDGET}:
        return kind in {"adaptive", "enabled"}
    return kind not in {"disabled", "between_tools"}


def draw_thinking(model: Model, body: dict[str, Any], dice: random.Random) -> int | None:
    """How many tokens this request is thought about, before max_tokens ends it; None for no thinking at all."""
    if not does_think(model, body):
        return None
    effort = (body.get("output_config") or {}).get("effort") or model.effort or "high"
    if effort in {"low", "medium"} and model.thinking is not Thinking.ALWAYS_ON and dice.random() < 0.4:
        return None
    tokens = dice.randint(*LONG_THOUGHT) if dice.random() < 0.05 else dice.randint(20, USUAL_THOUGHT[effort])
    budget = (body.get("thinking") or {}).get("budget_tokens")
    return min(tokens, budget) if budget else tokens


def write_reply(
    reply_id: str,
    body: dict[str, Any],
    model: Model,
    usage: Usage,
    text: str,
    thinking: int | None,
    scenario: Scenario,
) -> Reply:
    """The reply as far as max_tokens lets it come. One more token is billed for the end of the turn."""
    shown = (body.get("thinking") or {}).get("display") == "summarized"
    reply = Reply(reply_id, model.id, thinking, SUMMARY if shown else "", text, "end_turn", usage)
    limit: int = body["max_tokens"]
    if scenario.name == "refusal":
        reply = refuse_reply(reply, scenario)
    elif scenario.name == "max_tokens":
        half = text[: len(text) // 2]
        spent = None if thinking is None else max(0, limit - count_text(half))
        return spend_output(replace(reply, thinking=spent, text=cut_text(half, limit), stop_reason="max_tokens"), limit)
    elif scenario.name == "empty_content":
        reply = replace(reply, thinking=None, text=None)
    elif scenario.name == "malformed_json" and scenario["where"] == "text":
        reply = replace(reply, text=text[: len(text) // 2])
    return fit_reply(reply, limit)


def refuse_reply(reply: Reply, scenario: Scenario) -> Reply:
    category, mid_stream = scenario["category"], scenario["mid_stream"]
    return replace(
        reply,
        thinking=reply.thinking if mid_stream else None,
        text=reply.text[: len(reply.text) // 2] if mid_stream and reply.text else None,
        stop_reason="refusal",
        stop_details={"type": "refusal", "category": category, "explanation": "The request was declined."},
        free=not mid_stream and category not in BILLED_REFUSALS,
    )


def fit_reply(reply: Reply, limit: int) -> Reply:
    thinking = reply.thinking or 0
    whole = thinking + count_text(reply.text or "") + 1
    if whole <= limit:
        return spend_output(reply, whole)
    thinking = min(thinking, limit)
    text = cut_text(reply.text, limit - thinking) if reply.text else None
    thought = None if reply.thinking is None or limit == 0 else thinking
    return spend_output(replace(reply, thinking=thought, text=text or None, stop_reason="max_tokens"), limit)


def spend_output(reply: Reply, output: int) -> Reply:
    return replace(reply, usage=replace(reply.usage, output=output, thinking=reply.thinking or 0))
