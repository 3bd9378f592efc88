"""What Claude's tokens cost: dated prices in USD per 1,000,000 tokens, twelve decimals, never a float."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.utils import timezone

from observability.models import Price

SEED = Path(__file__).resolve().parent.parent / "prices.json"
TWELVE_DECIMALS = Decimal("1e-12")
CACHE_SECONDS = 60.0
ANYWHERE = frozenset({"", "global", "not_available"})


class PriceUnknown(Exception):  # a fact about the model, named as the callers say it
    """The model has no price at that moment, so nothing may be spent on it."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call, each counted once; `thinking` is the part of `output` that was thought."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    thinking: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """One row of the price table; prices in USD per 1,000,000 tokens."""

    model: str
    above_tokens: int
    effective_from: datetime
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal
    geo_us_multiplier: Decimal | None
    batch_multiplier: Decimal
    max_output: int
    context_window: int
    thinking: str
    default_effort: str
    min_cacheable_tokens: int | None
    status: str
    retires_on: date | None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    status: Price.Status
    retires_on: date | None


def price_find(*, model: str, at: datetime, prompt_tokens: int) -> ModelPrice:
    """The price of a call made `at` with so many prompt tokens. Raises PriceUnknown."""
    return max(_tiers(model=model, at=at, prompt_tokens=prompt_tokens), key=lambda tier: tier.above_tokens)


def cost_of_usage(*, model: str, usage: TokenUsage, at: datetime, geo: str = "", batch: bool = False) -> Decimal:
    """The cost of one call in USD, twelve decimals. Raises PriceUnknown.

    `geo` is Claude's `inference_geo`: "us", or "global", "not_available" (what models without a choice say) and ""
    for anywhere; `batch`: called in a batch.
    """
    price = price_find(model=model, at=at, prompt_tokens=usage.prompt)
    return _usd(
        (usage.input, price.input),
        (usage.cache_write_5m, price.cache_write_5m),
        (usage.cache_write_1h, price.cache_write_1h),
        (usage.cache_read, price.cache_read),
        (usage.output, price.output),
        times=_geo_multiplier(price, geo) * (price.batch_multiplier if batch else 1),
    )


def _geo_multiplier(price: ModelPrice, geo: str) -> Decimal:
    if geo in ANYWHERE:
        return Decimal(1)
    if geo != "us" or price.geo_us_multiplier is None:
        raise PriceUnknown(f"There is no price for the model {price.model!r} with the inference geo {geo!r}.")
    return price.geo_us_multiplier


def cost_upper_bound(*, model: str, prompt_tokens: int, max_tokens: int, at: datetime) -> Decimal:
    """The most that a call of up to so many prompt and output tokens can cost, in USD. Raises PriceUnknown.

    Every prompt token counts as the dearest kind, and of all tiers that such a call can fall in the dearest is taken.
    Where the model may be told to answer in the US it counts as done: the account's workspace may have it as default.
    """
    return max(
        _usd(
            (prompt_tokens, max(tier.input, tier.cache_write_5m, tier.cache_write_1h, tier.cache_read)),
            (max_tokens, tier.output),
            times=max(Decimal(1), tier.geo_us_multiplier or Decimal(1)),
        )
        for tier in _tiers(model=model, at=at, prompt_tokens=prompt_tokens)
    )


def max_output_tokens(model: str) -> int:
    """The most output tokens the model gives. Raises PriceUnknown."""
    return price_find(model=model, at=timezone.now(), prompt_tokens=0).max_output


def model_status(model: str, at: datetime) -> ModelStatus:
    """Whether the model is active, legacy, deprecated or (from its day on, UTC) retired. Raises PriceUnknown."""
    price = price_find(model=model, at=at, prompt_tokens=0)
    gone = price.retires_on is not None and at.astimezone(UTC).date() >= price.retires_on
    return ModelStatus(Price.Status.RETIRED if gone else Price.Status(price.status), price.retires_on)


def _tiers(*, model: str, at: datetime, prompt_tokens: int) -> list[ModelPrice]:
    # Per tier the newest row: a new base price does not end a tier, so a forgotten row never makes a call cheaper.
    newest: dict[int, ModelPrice] = {}
    for price in _prices().get(model, ()):
        if price.effective_from <= at and (price.above_tokens == 0 or price.above_tokens < prompt_tokens):
            newest[price.above_tokens] = price
    if 0 not in newest:
        raise PriceUnknown(f"There is no price for the model {model!r} at {at:%Y-%m-%d %H:%M} UTC.")
    return list(newest.values())


def _usd(*parts: tuple[int, Decimal], times: Decimal = Decimal(1)) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        exact = sum((tokens * price for tokens, price in parts), Decimal(0)).scaleb(-6) * times
        return exact.quantize(TWELVE_DECIMALS, rounding=ROUND_HALF_EVEN)


# The hot path asks several times per question, the rows change a few times a year: each process keeps them for a
# minute. Saving a row forgets them at once in the process that saved (see apps.py).
_kept: tuple[float, dict[str, list[ModelPrice]]] | None = None


def _prices() -> dict[str, list[ModelPrice]]:
    global _kept  # noqa: PLW0603  # one value per process, replaced whole: threads see the old or the new one
    kept = _kept
    if kept is None or time.monotonic() - kept[0] > CACHE_SECONDS:
        rows: dict[str, list[ModelPrice]] = {}
        for values in Price.objects.order_by("effective_from").values(*(field.name for field in fields(ModelPrice))):
            rows.setdefault(values["model"], []).append(ModelPrice(**values))
        kept = _kept = (time.monotonic(), rows)
    return kept[1]


def prices_forget(**_signal: Any) -> None:
    global _kept  # noqa: PLW0603  # as above
    _kept = None


def prices_seed(*, using: str, apps: Apps = installed_apps, **_signal: Any) -> None:
    """Add the rows of prices.json that are missing; runs after every migrate. Rows changed by hand stay."""
    model = apps.get_model("observability", "Price")
    model.objects.using(using).bulk_create([model(**row) for row in _seed_rows()], ignore_conflicts=True)
    prices_forget()


def _seed_rows() -> Iterator[dict[str, Any]]:
    return price_rows(json.loads(SEED.read_text())["models"])


def price_rows(entries: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows that entries of a price list stand for: one for each name of the model and each of its tiers."""
    for entry in entries:
        shared = {name: value for name, value in entry.items() if name not in ("aliases", "tiers")}
        for name in [entry["model"], *entry.get("aliases", [])]:
            for tier in [{"above_tokens": 0}, *entry.get("tiers", [])]:
                yield shared | tier | {"model": name}
