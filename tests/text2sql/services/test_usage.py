"""Usage is summed over days of the team's own clock."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.factories import GenerationFactory, TeamFactory, make_database
from text2sql.models import Database
from text2sql.services.usage import money_text, usage_sum

FIRST, LAST = date(2026, 10, 24), date(2026, 10, 26)


@pytest.mark.django_db(transaction=True)
def test_a_question_counts_for_the_day_of_the_teams_clock_on_which_it_was_asked(shop: Path) -> None:
    team, other = TeamFactory(time_zone="Europe/Berlin"), TeamFactory()
    one, two = make_database(shop, team), make_database(shop, team, name="twin")
    # Berlin's clocks go back on the 25th: it begins at 22:00 UTC and ends at 23:00 UTC, 25 hours later.
    asked: list[tuple[datetime, Database, dict[str, Any]]] = [
        (datetime(2026, 10, 23, 21, 59, 59, tzinfo=UTC), one, {"cost_usd": Decimal(100)}),  # the 23rd
        (datetime(2026, 10, 23, 22, 0, tzinfo=UTC), one, {"cost_usd": Decimal("0.1"), "output_tokens": 7}),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), one, {"cost_usd": Decimal("0.02"), "input_tokens": 5}),
        (datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), two, {"cached": True}),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), one, {"status": "failed", "cost_usd": Decimal("0.003")}),
        (datetime(2026, 10, 26, 23, 0, tzinfo=UTC), one, {"cost_usd": Decimal(100)}),  # the 27th
    ]
    for at, database, values in asked:
        GenerationFactory(team=team, database=database, created_at=at, **values)
    GenerationFactory(team=other, database=one, created_at=asked[2][0], cost_usd=Decimal(50))

    usage = usage_sum(team=team, first_day=FIRST, last_day=LAST)
    days = [(row["day"], row["generations"], row["cached"], row["failed"], row["cost_usd"]) for row in usage.by_day]
    assert days == [
        (date(2026, 10, 24), 1, 0, 0, "0.1"),
        (date(2026, 10, 25), 2, 1, 0, "0.02"),
        (date(2026, 10, 26), 1, 0, 1, "0.003"),
    ]
    assert [(row["database"], row["generations"], row["cost_usd"]) for row in usage.by_database] == [
        ("shop", 3, "0.123"),
        ("twin", 1, "0"),
    ]
    assert (usage.total["generations"], usage.total["cost_usd"]) == (4, "0.123")
    assert (usage.total["input_tokens"], usage.total["output_tokens"]) == (5, 7)
    assert (usage.team, usage.time_zone) == (team.pk, "Europe/Berlin")


@pytest.mark.django_db
def test_no_question_is_a_sum_of_nothing() -> None:
    usage = usage_sum(team=TeamFactory(), first_day=FIRST, last_day=LAST)
    assert (usage.total["generations"], usage.total["cost_usd"], usage.total["output_tokens"]) == (0, "0", 0)
    assert usage.by_day == usage.by_database == []


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0E-12", "0"),
        ("1E+3", "1000"),
        ("0.000000000001", "0.000000000001"),
        ("5.000000000000", "5"),
        ("-0.10", "-0.1"),
    ],
)
def test_money_is_written_without_exponents_and_idle_zeros(amount: str, text: str) -> None:
    assert money_text(Decimal(amount)) == text
