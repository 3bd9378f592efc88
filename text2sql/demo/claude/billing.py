"""What Anthropic would write on the invoice, by the stand-in's own price table."""

import threading
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from text2sql.demo.claude.cache import Plan
from text2sql.demo.claude.models import Model

US_SURCHARGE = Decimal("1.1")
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. `output` includes `thinking`."""

    input: int
    written_5m: int
    written_1h: int
    read: int
    output: int = 0
    thinking: int = 0
    geo: str = "global"

    @property
    def prompt(self) -> int:
        return self.input + self.written_5m + self.written_1h + self.read

    def as_cumulative(self) -> dict[str, Any]:
        """The usage of a message_delta event."""
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.written_5m + self.written_1h,
            "cache_read_input_tokens": self.read,
            "output_tokens": self.output,
            "output_tokens_details": {"thinking_tokens": self.thinking},
        }

    def as_message(self) -> dict[str, Any]:
        """The usage of a whole message."""
        return {
            **self.as_cumulative(),
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
            "service_tier": "standard",
            "inference_geo": self.geo,
        }


@dataclass(frozen=True)
class Bill:
    """One answer that started. `cost` in USD; zero for a refusal that is not billed."""

    request_id: str
    model: str
    at: datetime
    usage: Usage
    cost: Decimal


def start_usage(plan: Plan, geo: str) -> Usage:
    """The usage before any output."""
    return Usage(plan.uncached, plan.written_5m, plan.written_1h, plan.read, geo=geo)


def compute_cost(model: Model, usage: Usage, at: datetime) -> Decimal:
    rates = model.rates(usage.prompt, at.date())
    cost = (
        usage.input * rates.input
        + usage.written_5m * rates.write_5m
        + usage.written_1h * rates.write_1h
        + usage.read * rates.read
        + usage.output * rates.output
    ) / MILLION
    return cost * US_SURCHARGE if usage.geo == "us" else cost


class Bills:
    """The bills of the last `keep` answers, oldest first. A bill grows while its answer is streamed. Thread-safe."""

    def __init__(self, keep: int) -> None:
        self._lock = threading.Lock()
        self._keep = keep
        self._bills: dict[str, Bill] = {}

    def write(self, bill: Bill) -> None:
        with self._lock:
            self._bills[bill.request_id] = bill
            while len(self._bills) > self._keep:
                del self._bills[next(iter(self._bills))]

    def read(self) -> list[Bill]:
        with self._lock:
            return list(self._bills.values())


def write_bill(request_id: str, model: Model, at: datetime, usage: Usage, *, free: bool = False) -> Bill:
    cost = Decimal(0) if free else compute_cost(model, usage, at)
    return Bill(request_id, model.id, at, usage, cost)
