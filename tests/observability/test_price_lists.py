import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from observability.models import AuditEntry, Price
from observability.services.price_lists import (
    PriceListInvalid,
    price_delete,
    price_list_apply,
    price_list_compare,
    price_list_digest,
    price_list_read,
    price_save,
)
from observability.services.prices import SEED, prices_forget

pytestmark = pytest.mark.django_db

HAIKU = "claude-haiku-5-5"


@pytest.fixture(autouse=True)
def _own_prices(db: None) -> Iterator[None]:
    prices_forget()
    yield
    prices_forget()


def listed() -> dict[str, Any]:
    return dict(json.loads(SEED.read_text()))


def entry_of(file: dict[str, Any], model: str) -> dict[str, Any]:
    return next(entry for entry in file["models"] if entry["model"] == model)


def rows_of(file: dict[str, Any]) -> list[dict[str, Any]]:
    return price_list_read(json.dumps(file))


def apply(file: dict[str, Any]) -> None:
    rows = rows_of(file)
    assert price_list_apply(rows, digest=price_list_digest(price_list_compare(rows)), actor="user:root") is not None


def test_our_own_list_changes_nothing() -> None:
    changes = price_list_compare(price_list_read(SEED.read_text()))
    assert len(changes) == Price.objects.count() > 20
    assert {change.kind for change in changes} == {"unchanged"}


def test_it_is_told_what_would_be_added_and_changed_and_nothing_is_written() -> None:
    file = listed()
    entry_of(file, HAIKU)["tiers"][0]["input"] = "0.60"
    file["models"].append({**entry_of(file, "claude-opus-5-5"), "model": "claude-opus-6", "aliases": ["claude-opus"]})
    before = list(Price.objects.values())
    by_kind: dict[str, list[Any]] = {"added": [], "changed": [], "unchanged": []}
    for change in price_list_compare(rows_of(file)):
        by_kind[change.kind].append(change)
    assert [change.price.model for change in by_kind["added"]] == ["claude-opus-6", "claude-opus"]
    (changed,) = by_kind["changed"]
    assert (changed.price.model, changed.price.above_tokens) == (HAIKU, 100_000)
    assert (changed.was, changed.now) == ({"input": "0.5"}, {"input": "0.6"})
    assert list(Price.objects.values()) == before


def test_what_was_confirmed_is_applied_and_audited_with_old_and_new_values() -> None:
    file = listed()
    entry_of(file, "claude-opus-5-5")["output"] = 21.5  # a JSON number is taken exactly, too
    file["models"].append({**entry_of(file, "claude-opus-5-5"), "model": "claude-opus-6"})
    count = Price.objects.count()
    apply(file)
    assert Price.objects.count() == count + 1
    assert Price.objects.get(model="claude-opus-5-5").output == Decimal("21.5")
    changed, added = AuditEntry.objects.filter(verb="price.imported").order_by("at")
    assert (changed.actor, changed.data["was"], changed.data["now"]) == (
        "user:root",
        {"output": "20"},
        {"output": "21.5"},
    )
    assert (added.data["was"], added.data["now"]["model"]) == ({}, "claude-opus-6")
    assert added.target == str(Price.objects.get(model="claude-opus-6").pk)
    apply(file)
    assert AuditEntry.objects.filter(verb="price.imported").count() == 2


def test_what_a_list_does_not_say_stays() -> None:
    Price.objects.filter(model="claude-opus-5-5").update(status="legacy")
    file = listed()
    del entry_of(file, "claude-opus-5-5")["status"]
    file["models"] = [entry_of(file, "claude-opus-5-5")]
    count = Price.objects.count()
    apply(file)
    assert Price.objects.get(model="claude-opus-5-5").status == "legacy"
    assert Price.objects.count() == count


def test_nothing_is_written_where_the_table_changed_after_the_look() -> None:
    file = listed()
    entry_of(file, "claude-opus-5-5")["output"] = "21"
    rows = rows_of(file)
    digest = price_list_digest(price_list_compare(rows))
    Price.objects.filter(model="claude-opus-5-5").update(output=Decimal(22))
    assert price_list_apply(rows, digest=digest, actor="user:root") is None
    assert Price.objects.get(model="claude-opus-5-5").output == Decimal(22)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input": "-1"}, "input"),
        ({"input": "cheap"}, "input"),
        ({"input": True}, "input"),
        ({"input": None}, "input"),
        ({"input": "1e30"}, "input"),
        ({"batch_multiplier": "0"}, "batch_multiplier"),
        ({"geo_us_multiplier": "-1.1"}, "geo_us_multiplier"),
        ({"effective_from": "2026-10-07"}, "effective_from"),
        ({"effective_from": "yesterday"}, "effective_from"),
        ({"status": "wonderful"}, "status"),
        ({"max_output": "many"}, "max_output"),
        ({"colour": "red"}, "colour"),
        ({"aliases": "claude-opus"}, "aliases"),
        ({"aliases": ["claude-sonnet-5"]}, "more than once"),
        ({"tiers": [{"above_tokens": -5}]}, "above_tokens"),
        ({"model": ""}, "model"),
    ],
)
def test_a_list_with_one_bad_value_is_refused_whole(change: dict[str, Any], told: str) -> None:
    file = listed()
    sonnet = copy.deepcopy(entry_of(file, "claude-sonnet-5"))
    entry_of(file, "claude-opus-5").update(change)
    if told == "more than once":
        entry_of(file, "claude-opus-5")["effective_from"] = sonnet["effective_from"]
    with pytest.raises(PriceListInvalid, match=told):
        rows_of(file)


@pytest.mark.parametrize(
    "text",
    ["", "prices", "[]", "{}", '{"models": []}', '{"models": [NaN]}', "[" * 100_000, " " * 1_000_001,
     '{"currency": "EUR", "unit": "per 1,000,000 tokens", "models": [{"model": "a"}]}',
     '{"currency": "USD", "unit": "per 1,000,000 tokens", "models": [{"model": "a"}]}',
     '{"currency": "USD", "unit": "per 1,000,000 tokens", "models": ["a"]}'],
)  # fmt: skip
def test_what_is_no_price_list_is_refused(text: str) -> None:
    with pytest.raises(PriceListInvalid):
        price_list_read(text)


def test_what_is_edited_by_hand_is_audited_with_old_and_new_values() -> None:
    price = Price.objects.get(model="claude-opus-5-5")
    price.input = Decimal("4.25")
    price_save(price, actor="user:root")
    price.pk, price.model, price._state.adding = None, "claude-opus-6", True
    price_save(price, actor="user:root")
    price_delete(price, actor="user:root")
    changed, added, deleted = AuditEntry.objects.order_by("at")
    assert [entry.verb for entry in (changed, added, deleted)] == ["price.changed", "price.added", "price.deleted"]
    assert (changed.data["was"], changed.data["now"]) == ({"input": "4"}, {"input": "4.25"})
    assert added.data["now"]["model"] == deleted.data["was"]["model"] == "claude-opus-6"
