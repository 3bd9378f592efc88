import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps as installed_apps
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from observability.models import Price
from observability.services.prices import (
    SEED,
    ModelStatus,
    PriceUnknown,
    TokenUsage,
    cost_of_usage,
    cost_upper_bound,
    max_output_tokens,
    model_status,
    price_find,
    prices_forget,
    prices_seed,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEEDED = json.loads(SEED.read_text())["models"]


@pytest.fixture(autouse=True)
def _own_prices(db: None) -> Iterator[None]:
    prices_forget()
    yield
    prices_forget()


@pytest.mark.parametrize("entry", SEEDED, ids=lambda entry: f"{entry['model']} {entry['effective_from'][:10]}")
def test_each_model_costs_what_its_price_says(entry: dict[str, Any]) -> None:
    from_then_on = datetime.fromisoformat(entry["effective_from"])
    million = 1_000_000
    for kind in ("input", "cache_write_5m", "cache_write_1h", "cache_read"):
        # Small enough to stay below any tier.
        usage = TokenUsage(**{kind: 1000})
        assert cost_of_usage(model=entry["model"], usage=usage, at=from_then_on) * 1000 == Decimal(entry[kind])
    usage = TokenUsage(output=million)
    assert cost_of_usage(model=entry["model"], usage=usage, at=from_then_on) == Decimal(entry["output"])


WORKED = TokenUsage(input=120, cache_write_5m=300, cache_write_1h=500, cache_read=4000, output=350, thinking=200)


@pytest.mark.parametrize(
    ("how", "usd"),
    [
        ({}, "0.006890000000"),
        ({"geo": "global"}, "0.006890000000"),
        ({"geo": "not_available"}, "0.006890000000"),
        ({"geo": "us"}, "0.007579000000"),
        ({"batch": True}, "0.003445000000"),
        ({"geo": "us", "batch": True}, "0.003789500000"),
    ],
)
def test_the_worked_example_of_sonnet_5_5_comes_out_to_the_last_digit(how: dict[str, Any], usd: str) -> None:
    assert cost_of_usage(model="claude-sonnet-5-5", usage=WORKED, at=NOW, **how) == Decimal(usd)


@pytest.mark.parametrize(
    ("model", "geo"),
    [("claude-sonnet-4-5", "us"), ("claude-haiku-4-5-20251001", "us"), ("claude-sonnet-5-5", "eu")],
)
def test_a_place_that_has_no_price_is_refused(model: str, geo: str) -> None:
    with pytest.raises(PriceUnknown, match=f"{model}.*{geo}"):
        cost_of_usage(model=model, usage=WORKED, at=NOW, geo=geo)


def test_every_model_since_4_6_and_none_before_may_be_told_to_answer_in_the_us() -> None:
    without = set(Price.objects.filter(geo_us_multiplier=None).values_list("model", flat=True))
    dated = {"claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"}
    assert without == dated | {name.rsplit("-", 1)[0] for name in dated}
    others = Price.objects.exclude(geo_us_multiplier=None)
    assert set(others.values_list("geo_us_multiplier", "batch_multiplier")) == {(Decimal("1.1"), Decimal("0.5"))}


def test_rows_from_before_the_multipliers_get_them_and_keep_their_prices() -> None:
    Price.objects.update(geo_us_multiplier=None)
    Price.objects.filter(model="claude-opus-5-5").update(input=Decimal(7))
    migration = import_module("observability.migrations.0006_price_multipliers")
    migration.multipliers_fill(installed_apps, connection.schema_editor())
    test_every_model_since_4_6_and_none_before_may_be_told_to_answer_in_the_us()
    assert Price.objects.get(model="claude-opus-5-5").input == Decimal(7)


@pytest.mark.parametrize("column", ["geo_us_multiplier", "batch_multiplier"])
def test_a_multiplier_of_nothing_cannot_be_stored(column: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Price.objects.filter(model="claude-opus-5-5").update(**{column: 0})


def test_the_cache_read_price_of_sonnet_5_5_fell_on_7_october() -> None:
    usage = TokenUsage(cache_read=1_000_000)
    cut = datetime(2026, 10, 7, tzinfo=UTC)
    before = cost_of_usage(model="claude-sonnet-5-5", usage=usage, at=cut - timedelta(microseconds=1))
    assert before == Decimal("0.20")
    assert cost_of_usage(model="claude-sonnet-5-5", usage=usage, at=cut) == Decimal("0.10")


def test_haiku_5_5_is_dearer_from_the_first_token_above_100_000() -> None:
    at_the_limit = TokenUsage(input=1_000, cache_read=99_000, output=400)
    one_more = TokenUsage(input=1_001, cache_read=99_000, output=400)
    assert cost_of_usage(model="claude-haiku-5-5", usage=at_the_limit, at=NOW) == Decimal("0.00129")
    assert cost_of_usage(model="claude-haiku-5-5", usage=one_more, at=NOW) == Decimal("0.0064505")


def test_a_new_base_price_does_not_end_the_dear_tier(db: None) -> None:
    base = Price.objects.get(model="claude-haiku-5-5", above_tokens=0)
    base.pk, base.effective_from, base.input = None, NOW - timedelta(days=1), Decimal("0.09")
    base.save()
    assert price_find(model="claude-haiku-5-5", at=NOW, prompt_tokens=100_000).input == Decimal("0.09")
    assert price_find(model="claude-haiku-5-5", at=NOW, prompt_tokens=100_001).input == Decimal("0.50")


@pytest.mark.parametrize(
    ("alias", "model"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-opus-4-5", "claude-opus-4-5-20251101"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
    ],
)
def test_an_alias_costs_what_its_model_costs(alias: str, model: str) -> None:
    usage = TokenUsage(1, 2, 3, 4, 5)
    assert cost_of_usage(model=alias, usage=usage, at=NOW) == cost_of_usage(model=model, usage=usage, at=NOW)
    assert model_status(alias, NOW) == model_status(model, NOW)


@pytest.mark.parametrize("model", ["gpt-4", "claude-sonnet-5-5 ", "", "claude-mythos-preview"])
def test_a_model_without_a_price_is_refused(model: str) -> None:
    with pytest.raises(PriceUnknown):
        cost_of_usage(model=model, usage=TokenUsage(input=1), at=NOW)
    with pytest.raises(PriceUnknown):
        cost_upper_bound(model=model, prompt_tokens=1, max_tokens=1, at=NOW)
    with pytest.raises(PriceUnknown):
        max_output_tokens(model)
    with pytest.raises(PriceUnknown):
        model_status(model, NOW)


def test_a_model_has_no_price_before_its_first_day() -> None:
    with pytest.raises(PriceUnknown):
        price_find(model="claude-sonnet-5-5", at=datetime(2026, 9, 27, tzinfo=UTC), prompt_tokens=1)


def test_small_amounts_are_rounded_half_even_at_the_twelfth_decimal() -> None:
    row = dict(Price.objects.filter(model="claude-opus-5-5").values().get(), id=None, model="tiny")
    Price.objects.create(**row | {"input": "0.000000500000", "output": "0.000001500000"})
    prices_forget()
    assert cost_of_usage(model="tiny", usage=TokenUsage(input=1), at=NOW) == Decimal(0)
    assert cost_of_usage(model="tiny", usage=TokenUsage(output=1), at=NOW) == Decimal("0.000000000002")


tokens = st.integers(min_value=0, max_value=1_000_000)


@given(
    model=st.sampled_from(sorted({entry["model"] for entry in SEEDED})),
    usage=st.builds(TokenUsage, tokens, tokens, tokens, tokens, tokens),
    slack=st.tuples(tokens, tokens),
    geo=st.sampled_from(["global", "us"]),
)
def test_no_call_costs_more_than_its_upper_bound(
    model: str, usage: TokenUsage, slack: tuple[int, int], geo: str
) -> None:
    if price_find(model=model, at=NOW, prompt_tokens=0).geo_us_multiplier is None:
        geo = "not_available"
    bound = cost_upper_bound(
        model=model, prompt_tokens=usage.prompt + slack[0], max_tokens=usage.output + slack[1], at=NOW
    )
    assert bound >= cost_of_usage(model=model, usage=usage, at=NOW, geo=geo)


def test_the_upper_bound_is_reached_when_all_is_written_to_the_dear_cache_in_the_us() -> None:
    worst = TokenUsage(cache_write_1h=5_000, output=4_096)
    bound = cost_upper_bound(model="claude-sonnet-5-5", prompt_tokens=5_000, max_tokens=4_096, at=NOW)
    assert bound == cost_of_usage(model="claude-sonnet-5-5", usage=worst, at=NOW, geo="us") == Decimal("0.067056")


@pytest.mark.parametrize(("multiplier", "times"), [(None, "1"), ("1.1", "1.1"), ("2.5", "2.5"), ("0.9", "1")])
def test_the_upper_bound_counts_the_us_wherever_the_price_has_a_multiplier_for_it(
    multiplier: str | None, times: str
) -> None:
    Price.objects.filter(model="claude-sonnet-5-5").update(geo_us_multiplier=multiplier)
    prices_forget()
    bound = cost_upper_bound(model="claude-sonnet-5-5", prompt_tokens=5_000, max_tokens=4_096, at=NOW)
    assert bound == Decimal("0.06096") * Decimal(times)


def test_the_upper_bound_counts_the_dearest_tier_a_call_can_fall_in() -> None:
    Price.objects.filter(model="claude-haiku-5-5", above_tokens=0).update(output=Decimal(100))
    prices_forget()
    cheap_prompt = TokenUsage(input=10, output=4_096)
    bound = cost_upper_bound(model="claude-haiku-5-5", prompt_tokens=200_000, max_tokens=4_096, at=NOW)
    assert bound >= cost_of_usage(model="claude-haiku-5-5", usage=cheap_prompt, at=NOW)


@pytest.mark.parametrize(
    ("model", "at", "status"),
    [
        ("claude-sonnet-5-5", NOW, ModelStatus(Price.Status.ACTIVE, None)),
        ("claude-opus-5", NOW, ModelStatus(Price.Status.LEGACY, None)),
        ("claude-sonnet-4-5", NOW, ModelStatus(Price.Status.DEPRECATED, date(2026, 11, 30))),
        (
            "claude-sonnet-4-5",
            datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC),
            ModelStatus(Price.Status.DEPRECATED, date(2026, 11, 30)),
        ),
        (
            "claude-sonnet-4-5",
            datetime(2026, 11, 30, tzinfo=UTC),
            ModelStatus(Price.Status.RETIRED, date(2026, 11, 30)),
        ),
    ],
)
def test_the_status_of_a_model_depends_on_the_day(model: str, at: datetime, status: ModelStatus) -> None:
    assert model_status(model, at) == status


def test_the_most_output_of_a_model_is_known() -> None:
    assert max_output_tokens("claude-sonnet-5-5") == 128_000
    assert max_output_tokens("claude-haiku-4-5") == 64_000


def test_prices_are_asked_for_once_and_again_after_a_change(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(1):
        for _ in range(3):
            price_find(model="claude-sonnet-5-5", at=NOW, prompt_tokens=1)
    row = Price.objects.get(model="claude-sonnet-5-5", effective_from__gt=datetime(2026, 10, 1, tzinfo=UTC))
    row.output = Decimal(11)
    row.save()
    assert price_find(model="claude-sonnet-5-5", at=NOW, prompt_tokens=1).output == Decimal(11)
    row.delete()
    assert price_find(model="claude-sonnet-5-5", at=NOW, prompt_tokens=1).output == Decimal(10)


def test_seeding_again_adds_what_is_missing_and_keeps_what_was_changed() -> None:
    Price.objects.filter(model="claude-opus-5").delete()
    Price.objects.filter(model="claude-opus-5-5").update(input=Decimal(7))
    count = Price.objects.count()
    prices_seed(using="default")
    assert Price.objects.count() == count + 1
    assert price_find(model="claude-opus-5-5", at=NOW, prompt_tokens=1).input == Decimal(7)
    assert price_find(model="claude-opus-5", at=NOW, prompt_tokens=1).input == Decimal(5)
