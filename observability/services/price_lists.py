"""Price lists: files in the format of prices.json, looked through before they are applied. Edits by hand too."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Field

from observability.models import Price
from observability.services.audit import audit_change
from observability.services.prices import price_rows, prices_forget

LONGEST = 1_000_000  # characters of a list
UNIT = {"currency": "USD", "unit": "per 1,000,000 tokens"}
KEY = ("model", "above_tokens", "effective_from")
# What an entry must say, since nothing stands for it; of the rest an entry may be silent, and then a row keeps its own.
NEEDED = {
    "model", "effective_from", "input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "max_output",
    "context_window",
}  # fmt: skip

Values = dict[str, Any]


class PriceListInvalid(Exception):  # a fact about a file, named as its callers say it
    """The file is no price list; the message says where and why."""


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What a list does to one row of the table; `was` and `now` hold the values that differ, as text."""

    kind: Literal["added", "changed", "unchanged"]
    price: Price
    was: Mapping[str, str | None]
    now: Mapping[str, str | None]


def price_list_read(text: str) -> list[Values]:
    """The rows of a price list, each value checked. Raises PriceListInvalid."""
    if len(text) > LONGEST:
        raise PriceListInvalid("The file is too long for a price list.")
    try:
        listed = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise PriceListInvalid(f"The file is no JSON: {error}.") from error
    if not isinstance(listed, dict) or not isinstance(listed.get("models"), list) or not listed["models"]:
        raise PriceListInvalid('The file must be an object with a list of "models".')
    for name, value in UNIT.items():
        if listed.get(name) != value:
            raise PriceListInvalid(f'"{name}" must be "{value}".')
    rows = [_checked(row) for entry in listed["models"] for row in price_rows([_entry(entry)])]
    keys = [_key(row) for row in rows]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise PriceListInvalid(f"{_said(twice[0])} stands in the file more than once.")
    return rows


def price_list_compare(rows: Sequence[Values]) -> list[PriceChange]:
    """What applying the rows would do, in the order of the list; writes nothing. Rows that are not listed stay."""
    prices = Price.objects.filter(model__in={row["model"] for row in rows})
    present = {(price.model, price.above_tokens, price.effective_from): price for price in prices}
    return [_change(present.get(_key(row)), row) for row in rows]


def price_list_digest(changes: Sequence[PriceChange]) -> str:
    """Names what was shown, so that nothing else is applied than what was confirmed."""
    told = [[change.kind, str(change.price), dict(change.was), dict(change.now)] for change in changes]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def price_list_apply(rows: Sequence[Values], *, digest: str, actor: str) -> list[PriceChange] | None:
    """Apply what was compared and audit each row, with old and new values.

    None, and nothing is written, where the table is no longer as it was when `digest` was made.
    """
    with transaction.atomic():
        # Whoever else imports or edits a listed row waits; of two who add the same row the second fails as a whole.
        list(Price.objects.select_for_update().filter(model__in={row["model"] for row in rows}).order_by("pk"))
        changes = price_list_compare(rows)
        if price_list_digest(changes) != digest:
            return None
        for change in changes:
            if change.kind != "unchanged":
                change.price.save()
                _audit(actor, "imported", change.price, was=change.was, now=change.now)
    prices_forget()
    return changes


def price_save(price: Price, *, actor: str) -> None:
    """Write a price that was added or edited by hand, and audit it with old and new values."""
    with transaction.atomic():
        before = Price.objects.select_for_update().filter(pk=price.pk).first()
        price.save()
        was, now = _differing(before, price)
        _audit(actor, "changed" if before else "added", price, was=was, now=now)


def price_delete(price: Price, *, actor: str) -> None:
    with transaction.atomic():
        was = {field.name: _text(getattr(price, field.name)) for field in _fields()}
        _audit(actor, "deleted", price, was=was, now=None)
        price.delete()


def _audit(
    actor: str, verb: str, price: Price, *, was: Mapping[str, str | None], now: Mapping[str, str | None] | None
) -> None:
    target = str(price.pk)
    audit_change(actor=actor, verb=f"price.{verb}", target=target, was=was, now=now, told={"name": str(price)})


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _entry(entry: Any) -> Values:
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
        raise PriceListInvalid('Each of "models" must be an object with the name of its "model".')
    for name, kind in (("aliases", str), ("tiers", dict)):
        values = entry.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
            raise PriceListInvalid(f'{entry["model"]}: "{name}" is not as it must be.')
    return entry


def _checked(row: Values) -> Values:
    columns = {field.name: field for field in _fields()}
    if unknown := row.keys() - columns.keys():
        raise PriceListInvalid(f"{row['model']}: unknown is {', '.join(sorted(unknown))}.")
    if missing := NEEDED - row.keys():
        raise PriceListInvalid(f"{row['model']}: missing is {', '.join(sorted(missing))}.")
    return {name: _value(row["model"], columns[name], value) for name, value in row.items()}


def _value(model: str, field: "Field[Any, Any]", value: Any) -> Any:
    try:
        cleaned = field.clean(value, None)
    except (ValidationError, TypeError) as error:
        told = " ".join(error.messages) if isinstance(error, ValidationError) else "is of another kind."
        raise PriceListInvalid(f"{model}: {field.name}: {told}") from error
    if isinstance(value, bool) or (isinstance(cleaned, Decimal) and not _is_amount(field.name, cleaned)):
        raise PriceListInvalid(f"{model}: {field.name} cannot be {value}.")
    if isinstance(cleaned, datetime) and datetime.fromisoformat(str(value)).tzinfo is None:
        raise PriceListInvalid(f"{model}: {field.name} must name its time zone, as 2026-10-07T00:00:00Z does.")
    return cleaned


def _is_amount(name: str, amount: Decimal) -> bool:
    return amount > 0 if name.endswith("_multiplier") else amount >= 0


def _change(present: Price | None, row: Values) -> PriceChange:
    price = Price(pk=present.pk if present else None)
    for field in _fields():
        if present:
            setattr(price, field.name, getattr(present, field.name))
        if field.name in row:
            setattr(price, field.name, row[field.name])
    price._state.adding = present is None
    was, now = _differing(present, price)
    return PriceChange("added" if present is None else "changed" if now else "unchanged", price, was, now)


def _differing(before: Price | None, after: Price) -> tuple[dict[str, str | None], dict[str, str | None]]:
    was, now = {}, {}
    for field in _fields():
        old = _text(getattr(before, field.name)) if before else None
        new = _text(getattr(after, field.name))
        if before is None or old != new:
            now[field.name] = new
            if before is not None:
                was[field.name] = old
    return was, now


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case Decimal():
            return f"{value.normalize():f}"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _fields() -> "list[Field[Any, Any]]":
    return [field for field in Price._meta.concrete_fields if not field.primary_key]


def _key(row: Values) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def _said(key: tuple[Any, ...]) -> str:
    model, above_tokens, effective_from = key
    return str(Price(model=model, above_tokens=above_tokens, effective_from=effective_from))
