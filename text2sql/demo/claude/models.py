"""The models as the API's documentation describes them in November 2026: limits, thinking, prices.

This table was read from the documentation on its own account. The product's price table does not come from it and
must never do so: tests compare what the two say about the same request.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

from text2sql.demo.claude.errors import ApiError


class Thinking(Enum):
    ALWAYS_ON = "cannot be turned off"
    BETWEEN_TOOLS = "on, may be limited to the time between tool calls"
    DEFAULT_ON = "on, may be disabled"
    OPT_IN = "off, adaptive on request"
    BUDGET = "off, with budget_tokens on request"


@dataclass(frozen=True)
class Rates:
    """USD per million tokens."""

    input: Decimal
    output: Decimal
    write_5m: Decimal
    write_1h: Decimal
    read: Decimal


@dataclass(frozen=True)
class Price:
    """Rates from a day on (UTC)."""

    since: date
    rates: Rates


def show_day(day: date | None) -> str | None:
    return f"{day.isoformat()}T00:00:00Z" if day else None


def describe_model(id_: str, name: str, released: date, lifecycle: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "model",
        "id": id_,
        "display_name": name,
        "created_at": show_day(released),
        "lifecycle": lifecycle,
        "max_input_tokens": None,
        "max_tokens": None,
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        **more,
    }


@dataclass(frozen=True)
class Model:
    """A prompt of more than `long_above` tokens pays the `long` rates for the whole request, output included."""

    id: str
    name: str
    released: date
    thinking: Thinking
    prices: tuple[Price, ...]
    long_above: int | None = None
    long: Rates | None = None
    alias: str | None = None
    effort: str | None = "high"
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    takes_budget: bool = False
    serves_us: bool = True
    context: int = 1_000_000
    max_output: int = 128_000
    cache_minimum: int = 512
    deprecated: date | None = None
    retires: date | None = None

    def rates(self, prompt_tokens: int, on: date) -> Rates:
        """The rates of a request with that many input tokens, cached ones included."""
        if self.long and self.long_above is not None and prompt_tokens > self.long_above:
            return self.long
        return max((price for price in self.prices if price.since <= on), key=lambda price: price.since).rates

    def describe(self, today: date) -> dict[str, Any]:
        """The model as GET /v1/models shows it."""
        retired = bool(self.retires and self.retires <= today)
        deprecated = bool(self.deprecated and self.deprecated <= today)
        return describe_model(
            self.id,
            self.name,
            self.released,
            "retired" if retired else "deprecated" if deprecated else "active",
            max_input_tokens=self.context,
            max_tokens=self.max_output,
            deprecated_at=show_day(self.deprecated) if deprecated else None,
            retires_at=show_day(self.retires) if deprecated else None,
        )


def make_rates(*usd: str) -> Rates:
    return Rates(*map(Decimal, usd))


FABLE_5 = ("10", "50", "12.50", "20")
OPUS_4 = make_rates("5", "25", "6.25", "10", "0.50")
SONNET_4 = make_rates("3", "15", "3.75", "6", "0.30")
SONNET_5 = ("2", "10", "2.50", "4")


def make_model(
    id_: str, name: str, released: str, thinking: Thinking, rates: Rates, *changes: Price, **more: Any
) -> Model:
    """A model that was sold at `rates` from its first day until the first of its `changes`."""
    day = date.fromisoformat(released)
    return Model(id_, name, day, thinking, (Price(day, rates), *changes), **more)


def make_budget_model(id_: str, name: str, released: str, rates: Rates, **more: Any) -> Model:
    """A model of the 4.5 generation: smaller, thinks by budget_tokens, not served from the US alone."""
    return make_model(
        id_, name, released, Thinking.BUDGET, rates,
        alias=id_.rpartition("-")[0], takes_budget=True, serves_us=False, context=200_000, max_output=64_000, **more,
    )  # fmt: skip


MODELS: tuple[Model, ...] = (
    make_model(
        "claude-fable-5-2", "Claude Fable 5.2", "2026-11-09", Thinking.ALWAYS_ON,
        make_rates("8", "40", "10", "16", "0.20"),
    ),
    make_model(
        "claude-haiku-5-5", "Claude Haiku 5.5", "2026-10-07", Thinking.DEFAULT_ON,
        make_rates("0.10", "0.50", "0.125", "0.20", "0.01"),
        long_above=100_000, long=make_rates("0.50", "2.50", "0.625", "1", "0.05"), effort="medium",
    ),
    make_model(
        "claude-sonnet-5-5", "Claude Sonnet 5.5", "2026-09-28", Thinking.BETWEEN_TOOLS,
        make_rates(*SONNET_5, "0.20"), Price(date(2026, 10, 7), make_rates(*SONNET_5, "0.10")),
    ),
    make_model(
        "claude-opus-5-5", "Claude Opus 5.5", "2026-09-22", Thinking.ALWAYS_ON,
        make_rates("4", "20", "5", "8", "0.20"), effort="medium",
    ),
    make_model(
        "claude-fable-5-1", "Claude Fable 5.1", "2026-09-01", Thinking.ALWAYS_ON, make_rates(*FABLE_5, "0.25"),
    ),
    make_model("claude-opus-5", "Claude Opus 5", "2026-07-24", Thinking.DEFAULT_ON, OPUS_4),
    make_model(
        "claude-sonnet-5", "Claude Sonnet 5", "2026-06-30", Thinking.DEFAULT_ON, make_rates(*SONNET_5, "0.20"),
        cache_minimum=1024,
    ),
    make_model("claude-fable-5", "Claude Fable 5", "2026-06-09", Thinking.ALWAYS_ON, make_rates(*FABLE_5, "1")),
    make_model("claude-opus-4-8", "Claude Opus 4.8", "2026-05-28", Thinking.OPT_IN, OPUS_4, cache_minimum=1024),
    make_model("claude-opus-4-7", "Claude Opus 4.7", "2026-04-16", Thinking.OPT_IN, OPUS_4, cache_minimum=2048),
    make_model(
        "claude-sonnet-4-6", "Claude Sonnet 4.6", "2026-02-17", Thinking.OPT_IN, SONNET_4,
        cache_minimum=1024, takes_budget=True,
    ),
    make_model(
        "claude-opus-4-6", "Claude Opus 4.6", "2026-02-05", Thinking.OPT_IN, OPUS_4,
        cache_minimum=4096, takes_budget=True,
    ),
    make_budget_model(
        "claude-opus-4-5-20251101", "Claude Opus 4.5", "2025-11-24", OPUS_4,
        cache_minimum=4096, efforts=("low", "medium", "high"),
    ),
    make_budget_model(
        "claude-haiku-4-5-20251001", "Claude Haiku 4.5", "2025-10-15",
        make_rates("1", "5", "1.25", "2", "0.10"), cache_minimum=4096, effort=None, efforts=(),
    ),
    make_budget_model(
        "claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", "2025-09-29", SONNET_4,
        cache_minimum=1024, effort=None, efforts=(),
        deprecated=date(2026, 9, 30), retires=date(2026, 11, 30),
    ),
)  # fmt: skip


RETIRED: dict[str, date] = {
    "claude-opus-4-1-20250805": date(2026, 8, 5),
    "claude-opus-4-20250514": date(2026, 6, 15),
    "claude-sonnet-4-20250514": date(2026, 6, 15),
    "claude-3-haiku-20240307": date(2026, 4, 20),
    "claude-3-7-sonnet-20250219": date(2026, 2, 19),
    "claude-3-5-haiku-20241022": date(2026, 2, 19),
}


def list_models(today: date) -> list[dict[str, Any]]:
    """The catalogue, newest first; retired models stay in it as the record of their retirement."""
    current = [model.describe(today) for model in MODELS if model.released <= today]
    return current + [describe_retired(id_, day) for id_, day in RETIRED.items()]


def describe_retired(id_: str, day: date) -> dict[str, Any]:
    name, _, released = id_.rpartition("-")
    title = name.replace("-", " ").title()
    return describe_model(id_, title, date.fromisoformat(released), "retired", retires_at=show_day(day))


def find_model(id_: str, today: date) -> Model:
    """The model that serves this id or alias today. Raises ApiError (404) for unknown and retired ones."""
    for model in MODELS:
        if id_ in {model.id, model.alias}:
            if model.released <= today and not (model.retires and model.retires <= today):
                return model
            break
    raise ApiError(404, f"model: {id_}")
