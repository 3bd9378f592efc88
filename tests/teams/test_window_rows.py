"""Windows as rows: opened late, by a new clock, with what was spent outside, and set right."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from pytest_django import Settings

from teams.models import Budget, BudgetWindow, Charge, LangfuseDay, Team
from teams.services.budgets import BudgetExceeded
from teams.services.windows import window_bounds, window_open, window_recount
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.teams.spending import NOON, figures, refused, reserve, settle, spend, window_of

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
CLOCKS = [
    "UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Niue",
    "Europe/Berlin",
]  # fmt: skip


def move(team: Team, zone: str) -> None:
    team.time_zone = ZoneInfo(zone)
    team.save()


@pytest.mark.parametrize("period", Budget.Period.values)
def test_a_window_that_is_opened_late_counts_what_the_period_has_cost_already(period: str) -> None:
    team = TeamFactory()
    spend(team, "0.75")
    spend(team, "8", now=NOON - 40 * DAY)
    budget = BudgetFactory(team=team, period=period, limit_usd=1)
    assert figures(budget) == (Decimal("0.75"), 0)


def test_a_window_is_opened_once_and_found_again() -> None:
    budget = BudgetFactory()
    window = window_open(budget=budget, at=NOON)
    assert window_open(budget=budget, at=window.starts_at) == window
    assert window_open(budget=budget, at=window.ends_at - timedelta(microseconds=1)) == window
    assert window_open(budget=budget, at=window.ends_at) != window
    assert window.counts_from == window.starts_at


def test_the_organisations_windows_go_by_its_own_clock(settings: Settings) -> None:
    settings.ORGANISATION_TIME_ZONE = "Asia/Kathmandu"
    window = window_open(budget=BudgetFactory(team=None), at=NOON)
    assert window.starts_at == datetime(2026, 11, 22, 18, 15, tzinfo=UTC)
    assert window.time_zone == "Asia/Kathmandu"


def test_a_window_that_is_off_is_set_to_the_sum_of_its_charges() -> None:
    team = TeamFactory()
    key = make_key(team)[0]
    budgets = [BudgetFactory(team=None), BudgetFactory(team=team), BudgetFactory(team=team, api_key=key)]
    spend(team, "0.3")
    held = reserve(team, "0.2")
    BudgetWindow.objects.update(spent_usd=9)
    off = [window_recount(window_of(budget)) for budget in budgets]
    assert off == [Decimal("-8.7"), Decimal("-8.7"), Decimal(0)]  # the key's is opened only now
    assert [figures(budget)[0] for budget in budgets] == [Decimal("0.3"), Decimal("0.3"), 0]
    assert window_recount(window_of(budgets[1])) == 0
    settle(team, held, "0.1")
    assert figures(budgets[1]) == (Decimal("0.4"), 0)


def test_a_recount_of_a_window_that_is_gone_is_nothing() -> None:
    budget = BudgetFactory()
    window = window_open(budget=budget, at=NOON)
    budget.delete()
    assert window_recount(window) == 0


# --- Money that was spent outside -----------------------------------------------------------------------------------


def langfuse_day(team: Team, day: int, external: str, *, hour: int = 0) -> None:
    starts_at = datetime(2026, 11, day, hour, tzinfo=UTC)
    LangfuseDay.objects.create(
        team=team, user_id=team.pk, day=starts_at.date(), time_zone="UTC", starts_at=starts_at, ends_at=starts_at + DAY,
        external_usd=Decimal(external), read_at=NOON,
    )  # fmt: skip


def test_a_new_window_begins_with_what_was_read_from_langfuse() -> None:
    team, other = TeamFactory(), TeamFactory()
    key = make_key(team)[0]
    for day in (22, 23):  # Sunday and Monday
        langfuse_day(team, day, "0.5")
    langfuse_day(other, 23, "0.125")
    found = {
        (budget.scope, budget.period): window_open(budget=budget, at=NOON).external_usd
        for budget in (
            BudgetFactory(team=team), BudgetFactory(team=team, period="week"), BudgetFactory(team=team, period="month"),
            BudgetFactory(team=None), BudgetFactory(team=team, api_key=key),
        )
    }  # fmt: skip
    assert found == {
        ("team", "day"): Decimal("0.5"), ("team", "week"): Decimal("0.5"), ("team", "month"): Decimal(1),
        ("organisation", "day"): Decimal("0.625"), ("key", "day"): Decimal(0),
    }  # fmt: skip


def test_days_by_two_clocks_count_no_moment_twice() -> None:
    team = TeamFactory()
    langfuse_day(team, 22, "0.5")
    langfuse_day(team, 22, "0.5", hour=11)
    langfuse_day(team, 23, "0.25")
    window = window_open(budget=BudgetFactory(team=team, period="month"), at=NOON)
    assert window.external_usd == Decimal("0.75")


# --- A changed time zone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", CLOCKS[1:])
@pytest.mark.parametrize("period", Budget.Period.values)
def test_a_running_window_keeps_its_end_and_the_next_one_goes_by_the_new_clock(period: str, zone: str) -> None:
    budget = BudgetFactory(period=period, limit_usd=Decimal(1))
    running = window_open(budget=budget, at=NOON)
    spend(budget.team, "0.6")
    move(budget.team, zone)
    assert window_open(budget=budget, at=NOON + timedelta(hours=2)) == running
    following = window_open(budget=budget, at=running.ends_at)
    assert following.starts_at == running.ends_at
    counts_from, end = window_bounds(period, ZoneInfo(zone), running.ends_at)
    assert (following.ends_at, following.time_zone, following.counts_from) == (end, zone, counts_from)
    third = window_open(budget=budget, at=following.ends_at)
    assert third.starts_at == third.counts_from == following.ends_at
    assert third.ends_at == window_bounds(period, ZoneInfo(zone), third.starts_at)[1]


def test_the_new_clocks_day_counts_what_the_old_clocks_day_has_spent_of_it() -> None:
    # In Auckland the 24th begins at 11:00 UTC on the 23rd: what is spent at noon is of both days.
    budget = BudgetFactory(limit_usd=Decimal(1))
    spend(budget.team, "0.1", now=NOON - timedelta(hours=3))
    spend(budget.team, "0.6")
    move(budget.team, "Pacific/Auckland")
    midnight = NOON + timedelta(hours=12)
    refusal = refused(budget.team, "0.5", now=midnight)
    assert (refusal.reason, refusal.state.spent_usd) == ("budget_exhausted", Decimal("0.6"))
    assert refusal.state.resets_at == datetime(2026, 11, 24, 11, tzinfo=UTC)
    reserve(budget.team, "0.4", now=midnight)
    reserve(budget.team, "1", now=refusal.state.resets_at)


def test_what_runs_while_the_clock_is_changed_is_held_in_both_windows() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    late = NOON + timedelta(hours=11, minutes=59)
    attempt = reserve(budget.team, "0.7", now=late)
    move(budget.team, "Pacific/Auckland")
    midnight = NOON + timedelta(hours=12)
    assert refused(budget.team, "0.4", now=midnight).reason == "in_flight"
    window_open(budget=budget, at=midnight)
    settle(budget.team, attempt, "0.5", now=midnight)
    assert figures(budget, at=late) == figures(budget, at=midnight) == (Decimal("0.5"), 0)


def test_a_clock_that_goes_to_and_fro_gives_no_fresh_limit() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    spend(budget.team, "0.9")
    for zone in ("Pacific/Auckland", "Pacific/Niue", "UTC", "Asia/Kathmandu", "UTC"):
        move(budget.team, zone)
        refused(budget.team, "0.2", now=NOON + timedelta(hours=1))
    assert BudgetWindow.objects.count() == 1


@how(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    period=st.sampled_from(["day", "week"]),
    steps=st.lists(
        st.tuples(st.integers(1, 30), st.one_of(st.none(), st.sampled_from(CLOCKS)), st.integers(1, 9)),
        min_size=5, max_size=25,
    ),
)  # fmt: skip
def test_whatever_the_clocks_do_no_period_of_the_clock_in_force_costs_more_than_the_limit(
    period: str, steps: list[tuple[int, str | None, int]]
) -> None:
    """Hours pass, the team moves or does not, somebody spends tenths of the limit: as much as the gate lets them."""
    with transaction.atomic():
        budget, at = BudgetFactory(period=period, limit_usd=Decimal(1)), NOON
        for hours, zone, tenths in steps:
            at += timedelta(hours=hours)
            if zone:
                move(budget.team, zone)
            try:
                spend(budget.team, Decimal(tenths) / 10, now=at)
            except BudgetExceeded:
                continue
        windows = list(BudgetWindow.objects.order_by("starts_at"))
        assert all(one.ends_at <= other.starts_at for one, other in pairwise(windows))
        for window in windows:
            period_cost = cost_between(budget.team, window.counts_from, window.ends_at)
            assert window.spent_usd == period_cost <= 1
            assert window.starts_at == window.counts_from or any(
                other.ends_at == window.starts_at for other in windows
            )  # cut only where another one ended
        transaction.set_rollback(True)


def cost_between(team: Team, start: datetime, end: datetime) -> Decimal:
    charges = Charge.objects.filter(team=team, started_at__gte=start, started_at__lt=end)
    return charges.aggregate(sum=Sum("cost_usd"))["sum"] or Decimal(0)
