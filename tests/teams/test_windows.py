"""A window is one day of the team's own clock, whatever daylight saving does to it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from teams.models import Charge
from teams.services.budgets import window_bounds, windows_open
from tests.factories import BudgetFactory, TeamFactory

ZONES = st.sampled_from(sorted(name for name in available_timezones() if name != "localtime")).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis wants naive bounds
SHORT = timedelta(microseconds=1)


@settings(max_examples=400, deadline=None)
@given(zone=ZONES, at=MOMENTS)
def test_a_window_holds_its_moment_and_touches_its_neighbours(zone: ZoneInfo, at: datetime) -> None:
    start, end = window_bounds("day", zone, at)
    assert start <= at < end
    assert window_bounds("day", zone, start) == (start, end)
    assert window_bounds("day", zone, end - SHORT) == (start, end)
    assert window_bounds("day", zone, start - SHORT)[1] == start
    assert window_bounds("day", zone, end)[0] == end


@settings(max_examples=400, deadline=None)
@given(zone=ZONES, at=MOMENTS)
def test_a_window_is_one_local_day_from_its_first_instant(zone: ZoneInfo, at: datetime) -> None:
    start, end = window_bounds("day", zone, at)
    day = at.astimezone(zone).date()
    assert start.astimezone(zone).date() == (end - SHORT).astimezone(zone).date() == day
    assert (start - SHORT).astimezone(zone).date() < day < end.astimezone(zone).date()
    assert start.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("zone", "at", "start", "hours"),
    [
        ("UTC", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z", 24),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", 25),
        ("Asia/Kathmandu", "2026-11-23T12:00:00Z", "2026-11-22T18:15:00Z", 24),
        ("Pacific/Kiritimati", "2026-11-23T12:00:00Z", "2026-11-23T10:00:00Z", 24),
        ("Australia/Lord_Howe", "2026-10-04T03:00:00Z", "2026-10-03T13:30:00Z", 23.5),
        # Where the clocks skip midnight itself, the day begins at 01:00.
        ("Asia/Beirut", "2026-03-29T12:00:00Z", "2026-03-28T22:00:00Z", 23),
        # Where midnight comes twice, the day begins with the first one.
        ("America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", 25),
    ],
)
def test_days_of_odd_clocks_are_as_long_as_they_really_are(zone: str, at: str, start: str, hours: float) -> None:
    begins, ends = window_bounds("day", ZoneInfo(zone), datetime.fromisoformat(at))
    assert begins == datetime.fromisoformat(start)
    assert ends - begins == timedelta(hours=hours)


def test_an_unknown_period_is_an_error() -> None:
    with pytest.raises(ValueError, match="fortnight"):
        window_bounds("fortnight", ZoneInfo("UTC"), datetime.now(UTC))


@pytest.mark.django_db
def test_a_window_that_is_opened_late_counts_what_the_day_has_cost_already() -> None:
    team, now = TeamFactory(slug="sales"), timezone.now()
    ids = {"attempt_id": uuid4(), "generation_id": uuid4()}
    Charge.objects.create(**ids, team=team, database="d", model="m", cost_usd=Decimal("0.75"), charged_at=now)
    budget = BudgetFactory(team=team, limit_usd=1)
    (window,) = windows_open(team=team, at=now)
    assert window.spent_usd == Decimal("0.75")
    budget.delete()
    BudgetFactory(team=team, limit_usd=2)
    (again,) = windows_open(team=team, at=now)
    assert again.spent_usd == Decimal("0.75")
