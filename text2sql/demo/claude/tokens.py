"""The stand-in's tokenizer: how many tokens a text is billed as.

Real token counts cannot be computed outside Anthropic, so whoever reserves money must use an upper bound. This
tokenizer keeps such bounds honest: every text has its own density, from a quarter of a token to one token per UTF-8
byte, drawn from the hash of the text, so the same text always costs the same and two alike texts may differ fourfold.
"""

import hashlib
import json
from typing import Any

HIDDEN_LEAST, HIDDEN_MOST = 100, 700


def read_density(text: str) -> int:
    """Tokens per thousand UTF-8 bytes, 250 to 1000."""
    return 250 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 751


def count_bytes(size: int, density: int) -> int:
    """Tokens of the first `size` bytes of a text; anything at all is at least one."""
    return max(1, size * density // 1000) if size else 0


def count_text(text: str) -> int:
    return count_bytes(len(text.encode()), read_density(text))


def count_block(block: dict[str, Any]) -> int:
    """Tokens of a content block or a tool, its cache_control apart."""
    if block.get("type") == "text":
        return count_text(block["text"])
    return count_text(dump_block(block))


def count_hidden(schema: dict[str, Any] | None) -> int:
    """Tokens of the system prompt that structured output adds, 100 to 700 by the schema, none without one."""
    if schema is None:
        return 0
    digest = hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).digest()
    return HIDDEN_LEAST + int.from_bytes(digest[:4], "big") % (HIDDEN_MOST - HIDDEN_LEAST + 1)


def dump_block(block: dict[str, Any]) -> str:
    """The bytes that count and that the prompt cache compares."""
    return json.dumps(
        {key: value for key, value in block.items() if key != "cache_control"}, ensure_ascii=False, sort_keys=True
    )


def cut_text(text: str, tokens: int) -> str:
    """The longest beginning of the text that costs at most so many tokens at the density of the whole text."""
    density = read_density(text)
    size = len(text.encode())
    if count_bytes(size, density) <= tokens:
        return text
    size = tokens * 1000 // density
    return text.encode()[:size].decode(errors="ignore") if tokens > 0 else ""
