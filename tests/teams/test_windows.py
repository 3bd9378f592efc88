"""A window is one day, week or month of the team's own clock, whatever daylight saving does to it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teams.models import Budget
from teams.services.windows import window_bounds

ZONES = st.sampled_from(sorted(name for name in available_timezones() if name != "localtime")).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis wants naive bounds
PERIODS = st.sampled_from(Budget.Period.values)
SHORT = timedelta(microseconds=1)


@settings(max_examples=400, deadline=None)
@given(period=PERIODS, zone=ZONES, at=MOMENTS)
def test_a_window_holds_its_moment_and_touches_its_neighbours(period: str, zone: ZoneInfo, at: datetime) -> None:
    start, end = window_bounds(period, zone, at)
    assert start <= at < end
    assert window_bounds(period, zone, start) == (start, end)
    assert window_bounds(period, zone, end - SHORT) == (start, end)
    assert window_bounds(period, zone, start - SHORT)[1] == start
    assert window_bounds(period, zone, end)[0] == end
    assert start.utcoffset() == timedelta(0)


@settings(max_examples=400, deadline=None)
@given(zone=ZONES, at=MOMENTS)
def test_a_window_is_one_local_day_from_its_first_instant(zone: ZoneInfo, at: datetime) -> None:
    start, end = window_bounds("day", zone, at)
    day = at.astimezone(zone).date()
    assert start.astimezone(zone).date() == (end - SHORT).astimezone(zone).date() == day
    assert (start - SHORT).astimezone(zone).date() < day < end.astimezone(zone).date()


@settings(max_examples=200, deadline=None)
@given(zone=ZONES, at=MOMENTS)
def test_weeks_begin_on_monday_and_months_on_the_first(zone: ZoneInfo, at: datetime) -> None:
    day = at.astimezone(zone).date()
    start, end = (moment.astimezone(zone).date() for moment in window_bounds("week", zone, at))
    assert (start.weekday(), start.isocalendar()[:2]) == (0, day.isocalendar()[:2])
    assert end.isocalendar()[:2] != day.isocalendar()[:2]
    start, end = (moment.astimezone(zone).date() for moment in window_bounds("month", zone, at))
    assert (start.day, end.day, start.year, start.month) == (1, 1, day.year, day.month)
    assert end - start in {timedelta(days=days) for days in (28, 29, 30, 31)}


@pytest.mark.parametrize("period", Budget.Period.values)
@pytest.mark.parametrize(
    "zone", ["Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "Europe/Berlin", "Australia/Lord_Howe"]
)
def test_five_years_of_windows_leave_no_gap_and_no_overlap(period: str, zone: str) -> None:
    clock, at, end = ZoneInfo(zone), datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    windows = []
    while at < end:
        windows.append(window_bounds(period, clock, at))
        at = windows[-1][1]
    assert all(earlier[1] == later[0] for earlier, later in pairwise(windows))
    assert len(windows) == pytest.approx({"day": 1826, "week": 261, "month": 60}[period], abs=1)


@pytest.mark.parametrize(
    ("zone", "at", "start", "hours"),
    [
        ("UTC", "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z", 24),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", 25),
        ("America/New_York", "2026-03-08T16:00:00Z", "2026-03-08T05:00:00Z", 23),
        ("America/New_York", "2026-11-01T16:00:00Z", "2026-11-01T04:00:00Z", 25),
        # The other side of the year, and of the date line.
        ("Pacific/Auckland", "2026-04-05T00:00:00Z", "2026-04-04T11:00:00Z", 25),
        ("Pacific/Auckland", "2026-09-27T00:00:00Z", "2026-09-26T12:00:00Z", 23),
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


@pytest.mark.parametrize(
    ("period", "zone", "at", "start", "end"),
    [
        # A week with a change in it is an hour shorter or longer.
        ("week", "America/New_York", "2026-03-04T12:00:00Z", "2026-03-02T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("week", "America/New_York", "2026-10-28T12:00:00Z", "2026-10-26T04:00:00Z", "2026-11-02T05:00:00Z"),
        ("week", "Pacific/Auckland", "2026-11-22T12:00:00Z", "2026-11-22T11:00:00Z", "2026-11-29T11:00:00Z"),
        ("week", "UTC", "2027-01-01T12:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
        # February, and the months on both sides of it.
        ("month", "UTC", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("month", "UTC", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ("month", "UTC", "2026-01-31T12:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("month", "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("month", "Asia/Kathmandu", "2026-02-28T18:15:00Z", "2026-02-28T18:15:00Z", "2026-03-31T18:15:00Z"),
        ("month", "Pacific/Auckland", "2026-04-30T12:00:00Z", "2026-04-30T12:00:00Z", "2026-05-31T12:00:00Z"),
        ("month", "America/New_York", "2026-03-31T12:00:00Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"),
        ("month", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"),
    ],
)
def test_weeks_and_months_begin_and_end_by_the_clock(period: str, zone: str, at: str, start: str, end: str) -> None:
    found = window_bounds(period, ZoneInfo(zone), datetime.fromisoformat(at))
    assert found == (datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_an_unknown_period_is_an_error() -> None:
    with pytest.raises(ValueError, match="fortnight"):
        window_bounds("fortnight", ZoneInfo("UTC"), datetime.now(UTC))
