"""What Langfuse makes of usage and cost: counted tokens, given cost, or cost inferred from its price list."""

import json
import re
from decimal import ROUND_DOWN, Decimal
from typing import TypeGuard

# USD per million tokens: input, output, cache write for 5 minutes, for 1 hour, cache read.
PRICES = {
    "claude-opus-4-5": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-5": ("5", "25", "6.25", "10", "0.5"),
    "claude-sonnet-4-5": ("3", "15", "3.75", "6", "0.3"),
    "claude-sonnet-5": ("2", "10", "2.5", "4", "0.2"),
    "claude-haiku-4-5": ("1", "5", "1.25", "2", "0.1"),
}
KEYS = (
    ("input", "input_tokens"),
    ("output", "output_tokens"),
    ("cache_creation_input_tokens", "input_cache_creation", "input_cache_creation_5m"),
    ("input_cache_creation_1h",),
    ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read"),
)
OPENAI_NAMES = {"prompt_tokens": "input", "completion_tokens": "output", "total_tokens": "total"}
MODEL = re.compile(r"(?:.*anthropic[./])?(?P<name>claude-[a-z0-9-]*?)(?:[-@]\d{8})?(?:-v\d+(?::\d+)?)?")
CENT_PARTS = Decimal("1e-12")  # the column is Decimal(18, 12), written by cutting, not rounding


def usage_of(text: object) -> dict[str, int]:
    """Token counts by key, with their total. Negative, fractional and nested values are dropped in silence."""
    given = mapping(text)
    openai = "prompt_tokens" in given
    usage = {
        OPENAI_NAMES.get(key, key) if openai else key: value
        for key, value in given.items()
        if type(value) is int and value >= 0
    }
    if usage and "total" not in usage:
        usage["total"] = sum(usage.values())
    return usage


def cost_of(text: object, usage: dict[str, int], model: str) -> tuple[dict[str, Decimal], bool]:
    """Cost in USD by key, and whether it was inferred. Any given cost stops the inference.

    A given cost without `total` is only summed when it has no keys but input and output; otherwise no total
    is stored, which reads as 0 everywhere.
    """
    given = {key: value for key, value in mapping(text).items() if value is not None}
    if given:
        cost = {key: float(value) for key, value in given.items() if is_number(value)}
        if "total" not in cost and given.keys() <= {"input", "output"}:
            cost["total"] = sum(cost.values())
        return stored(cost), False
    prices = prices_of(model)
    cost = {key: float(prices[key] * count) for key, count in usage.items() if key in prices}
    if cost:
        # Binary floats added one by one, as the server does: 24,000 tokens' worth can end in ...99999.
        cost["total"] = float(sum(cost.values()))
    return stored(cost), bool(cost)


def prices_of(model: str) -> dict[str, Decimal]:
    """USD per token by usage key; empty for a model that is not in the list, whose cost is then 0."""
    found = MODEL.fullmatch(model)
    prices = PRICES.get(found["name"] if found else "", ())
    return {key: Decimal(price) / 1_000_000 for keys, price in zip(KEYS, prices, strict=False) for key in keys}


def stored(cost: dict[str, float]) -> dict[str, Decimal]:
    return {key: Decimal(repr(value)).quantize(CENT_PARTS, rounding=ROUND_DOWN) for key, value in cost.items()}


def mapping(text: object) -> dict[str, object]:
    """A JSON object as it travels in a span attribute; anything else counts as not sent."""
    if not isinstance(text, str):
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
