"""What a window will have spent, and when its money ends: by weekdays, by the team's clock, with little to go by."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from teams.models import Budget, BudgetWindow, Team
from teams.services.forecasts import _foretell, forecast, forecasts
from teams.services.windows import window_bounds, window_open
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.teams.ledgers import charged, charged_daily, langfuse_day

WEDNESDAY = datetime(2026, 11, 25, 12, tzinfo=UTC)


def window_of(at: datetime, *, limit: str = "100", **values: Any) -> BudgetWindow:
    return window_open(budget=BudgetFactory(limit_usd=Decimal(limit), **values), at=at)


@pytest.mark.django_db
def test_each_day_that_is_left_costs_what_its_weekday_costs() -> None:
    team = TeamFactory()
    for back in range(1, 29):
        day = WEDNESDAY - timedelta(days=back)
        charged(team, {2: "2", 5: "0.5", 6: "0.25"}.get(day.weekday(), "1"), day)
    window = window_of(WEDNESDAY, team=team, period="week")
    assert window.spent_usd == 2  # Monday and Tuesday
    found = forecast(window, WEDNESDAY)
    assert found is not None
    # Half of Wednesday, Thursday, Friday, Saturday, Sunday.
    assert found.total_usd == Decimal(2) + Decimal(1) + 1 + 1 + Decimal("0.5") + Decimal("0.25")
    assert found.ends_at is None


@pytest.mark.django_db
def test_a_weekdays_mean_is_of_four_weeks_and_of_no_day_before() -> None:
    team = TeamFactory()
    for weeks, cost in enumerate(["8", "4", "0.4", "0", "1000"], start=1):
        charged(team, cost, WEDNESDAY - timedelta(weeks=weeks))
    found = forecast(window_of(WEDNESDAY.replace(hour=0), team=team), WEDNESDAY.replace(hour=0))
    assert found is not None
    assert found.total_usd == Decimal("12.4") / 3  # in the fourth week nothing was spent yet: history is three weeks


@pytest.mark.django_db
@pytest.mark.parametrize("days", [0, 1, 2])
def test_fewer_than_three_days_of_history_foretell_nothing(days: int) -> None:
    team = TeamFactory()
    charged_daily(team, "1", WEDNESDAY, days=days)
    charged(team, "5", WEDNESDAY - timedelta(hours=1))
    assert forecast(window_of(WEDNESDAY, team=team), WEDNESDAY) is None


@pytest.mark.django_db
def test_a_weekday_that_has_not_been_yet_costs_the_mean_of_the_days_so_far() -> None:
    team = TeamFactory()
    for back, cost in [(1, "1"), (2, "2"), (3, "6")]:
        charged(team, cost, WEDNESDAY - timedelta(days=back))
    midnight = WEDNESDAY.replace(hour=0)
    found = forecast(window_of(midnight, team=team), midnight)
    assert found is not None
    assert found.total_usd == 3


@pytest.mark.django_db
def test_days_without_spend_count_as_nothing() -> None:
    team = TeamFactory()
    charged(team, "7", WEDNESDAY - timedelta(days=7))
    found = forecast(window_of(WEDNESDAY, team=team, period="week"), WEDNESDAY)
    assert found is not None
    assert found.total_usd == Decimal("3.5")  # half a Wednesday; the other days have cost nothing


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 11, 1), 25), ((2026, 3, 8), 23), ((2026, 6, 10), 24)],
)
def test_what_is_left_of_a_day_is_measured_by_how_long_the_day_is(day: tuple[int, int, int], hours: int) -> None:
    zone = ZoneInfo("America/New_York")
    team, now = TeamFactory(time_zone=zone), datetime(*day, 12, tzinfo=zone)
    charged_daily(team, "24", now, days=28)
    found = forecast(window_of(now, team=team), now)
    assert found is not None
    assert found.total_usd == Decimal(24) * 12 / hours


@pytest.mark.django_db
def test_a_charge_counts_for_the_day_of_the_teams_clock() -> None:
    team = TeamFactory(time_zone=ZoneInfo("Pacific/Auckland"))
    for back in (7, 14, 21, 28):
        # Late on Tuesday in UTC, Wednesday there.
        charged(team, "3", datetime(2026, 11, 24, 11, 30, tzinfo=UTC) - timedelta(days=back))
    wednesday = datetime(2026, 11, 25, tzinfo=team.time_zone)
    tuesday = datetime(2026, 11, 24, tzinfo=team.time_zone)
    budget = BudgetFactory(team=team)
    there = [forecast(window_open(budget=budget, at=day), day) for day in (wednesday, tuesday)]
    assert [found.total_usd for found in there if found] == [3, 0]


@pytest.mark.django_db
def test_the_money_ends_when_the_profile_reaches_the_limit() -> None:
    team = TeamFactory()
    charged_daily(team, "24", WEDNESDAY, days=28)
    midnight = WEDNESDAY.replace(hour=0)
    week = window_of(midnight, team=team, period="week", limit="72")
    assert week.spent_usd == 48
    found = forecast(week, midnight)
    assert found is not None
    assert found.total_usd == 168
    assert found.ends_at == midnight + timedelta(days=1)
    day = forecast(window_of(midnight, team=team, limit="6"), midnight)
    assert day is not None
    assert day.ends_at == midnight + timedelta(hours=6)
    assert day.total_usd == 24


@pytest.mark.django_db
def test_money_that_just_lasts_does_not_end_and_money_that_is_spent_has_ended() -> None:
    team = TeamFactory()
    charged_daily(team, "24", WEDNESDAY, days=28)
    midnight = WEDNESDAY.replace(hour=0)
    window = window_of(midnight, team=team, limit="24")
    lasting = forecast(window, midnight)
    assert lasting is not None
    assert lasting.ends_at is None
    window.spent_usd = Decimal(24)
    spent = forecast(window, midnight)
    assert spent is not None
    assert spent.ends_at == midnight


@pytest.mark.django_db
def test_a_top_up_moves_the_end() -> None:
    team = TeamFactory()
    charged_daily(team, "24", WEDNESDAY, days=28)
    midnight = WEDNESDAY.replace(hour=0)
    window = window_of(midnight, team=team, limit="6")
    window.top_up_usd = Decimal(6)
    found = forecast(window, midnight)
    assert found is not None
    assert found.ends_at == midnight + timedelta(hours=12)


@pytest.mark.django_db
def test_each_scope_goes_by_what_counts_in_it(settings: Settings) -> None:
    settings.ORGANISATION_TIME_ZONE = "Asia/Kathmandu"
    sales, marketing = TeamFactory(slug="sales"), TeamFactory(slug="marketing")
    key, _, _ = make_key(sales)
    charged_daily(sales, "1", WEDNESDAY, days=28, api_key_id=key.pk)
    charged_daily(sales, "2", WEDNESDAY, days=28)
    charged_daily(marketing, "4", WEDNESDAY, days=28)
    for back in range(1, 29):
        langfuse_day(sales, WEDNESDAY - timedelta(days=back), external_usd=Decimal(8))
    midnight = WEDNESDAY.replace(hour=0)
    whose: list[dict[str, Any]] = [
        {"team": None},
        {"team": sales},
        {"team": sales, "api_key": key},
        {"team": marketing},
    ]
    budgets = [BudgetFactory(**values) for values in whose]
    windows = [window_open(budget=budget, at=midnight) for budget in budgets]
    found = forecasts(windows, now=midnight)
    by_day = [found[budget.pk].total_usd - window.used_usd for budget, window in zip(budgets, windows, strict=True)]
    # In Kathmandu it is a quarter to six, so 18.25 hours are left of the organisation's day.
    assert by_day == [Decimal(15) * Decimal("18.25") / 24, 11, 1, 4]
    assert [found[window.budget_id] for window in windows] == [forecast(window, midnight) for window in windows]


@pytest.mark.django_db
def test_external_days_by_two_clocks_are_not_counted_twice() -> None:
    team = TeamFactory()
    for back in range(1, 29):
        langfuse_day(team, WEDNESDAY - timedelta(days=back), external_usd=Decimal(1))
    moved = Team(slug=team.pk, time_zone=ZoneInfo("Asia/Kathmandu"))
    langfuse_day(moved, WEDNESDAY - timedelta(days=7), external_usd=Decimal(1))
    midnight = WEDNESDAY.replace(hour=0)
    found = forecast(window_of(midnight, team=team), midnight)
    assert found is not None
    assert found.total_usd == 1


@pytest.mark.django_db
def test_a_list_of_budgets_costs_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    windows = []
    for _ in range(5):
        team = TeamFactory()
        charged_daily(team, "1", WEDNESDAY, days=5)
        windows.append(window_of(WEDNESDAY, team=team))
    with django_assert_num_queries(2):
        assert len(forecasts(windows, now=WEDNESDAY)) == 5
    with django_assert_num_queries(0):
        assert forecasts([], now=WEDNESDAY) == {}


@given(
    means=st.lists(st.decimals(0, 50, places=6), min_size=7, max_size=7),
    spent=st.decimals(0, 200, places=6),
    limit=st.decimals(0, 200, places=2),
    zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu", "America/Havana"]),
    period=st.sampled_from(["day", "week", "month"]),
    now=st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: WEDNESDAY + timedelta(minutes=minutes)),
)
def test_the_money_ends_inside_the_window_exactly_where_it_does_not_last(
    means: list[Decimal], spent: Decimal, limit: Decimal, zone: str, period: str, now: datetime
) -> None:
    start, end = window_bounds(period, ZoneInfo(zone), now)
    budget = Budget(limit_usd=limit, period=period)
    window = BudgetWindow(budget=budget, starts_at=start, ends_at=end, spent_usd=spent)
    found = _foretell(window, means, ZoneInfo(zone), now)
    assert found.total_usd >= spent
    if found.ends_at is None:
        assert found.total_usd <= limit
    else:
        assert now <= found.ends_at <= end
        assert found.total_usd > limit or spent >= limit
    assert _foretell(window, means, ZoneInfo(zone), end).total_usd == spent
