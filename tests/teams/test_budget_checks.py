"""The scheduled check: which days are asked for, what is stored of them, and what follows for the windows."""

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from pytest_django import Settings

from observability.langfuse import client
from observability.models import Alert
from teams.models import Budget, BudgetWindow, LangfuseDay, Team
from teams.services.budget_checks import budgets_check
from teams.services.langfuse_days import window_days
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.people import make_people
from tests.standins.langfuse import LangfuseStandIn
from tests.teams.langfuse_days import (
    ask,
    day_of,
    days_asked,
    elsewhere,
    figures_of,
    organisation_budget,
    queries,
    team_with_budget,
    thresholds,
    trace,
    window_at,
    window_figures,
)
from tests.teams.spending import spend

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
EARLIER = NOON - timedelta(minutes=10)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TODAY = ("2026-11-23T00:00:00.000Z", "2026-11-23T23:59:59.999Z")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", httpx.Timeout(2.0))


def test_two_questions_serve_all_teams_of_one_clock(langfuse: LangfuseStandIn) -> None:
    sales, marketing, legal = (team_with_budget(slug) for slug in ("sales", "marketing", "legal"))
    ask(sales, "0.3", at=EARLIER)
    elsewhere(marketing, "0.2", at=EARLIER)
    trace(sales, "9", at=NOON - DAY)
    check = budgets_check(now=NOON)
    assert (check.error, check.calls, check.windows, check.days_left) == ("", 2, 3, 0)
    assert check.finished_at is not None
    assert days_asked(langfuse) == {TODAY}
    assert [query["filters"][0]["operator"] for query in queries(langfuse)] == ["any of", "none of"]
    assert figures_of(day_of(sales, NOON)) == (Decimal("0.3"), Decimal("0.3"), 0, 0)
    assert figures_of(day_of(marketing, NOON)) == (0, 0, 0, Decimal("0.2"))
    assert not LangfuseDay.objects.filter(team=legal).exists()
    assert window_figures(sales, "day", NOON) == (Decimal("0.3"), 0)
    assert window_figures(marketing, "day", NOON) == (0, Decimal("0.2"))
    assert window_at(legal, "day", NOON).external_at == NOON


def test_each_distinct_local_day_is_asked_for_once(langfuse: LangfuseStandIn) -> None:
    zones = ["Europe/Berlin", "Asia/Kathmandu", "Europe/Paris", "UTC", "Asia/Kathmandu"]
    teams = [team_with_budget(f"team-{number}", zone=zone) for number, zone in enumerate(zones)]
    early = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # the 23rd in Kathmandu, the 22nd elsewhere
    elsewhere(teams[1], "0.5", at=early)
    elsewhere(teams[0], "0.25", at=early)
    assert budgets_check(now=NOON).calls == 6
    assert sorted(start for start, _ in days_asked(langfuse)) == [
        "2026-11-22T18:15:00.000Z",
        "2026-11-22T23:00:00.000Z",
        "2026-11-23T00:00:00.000Z",
    ]
    assert window_figures(teams[1], "day", NOON) == (0, Decimal("0.5"))
    assert window_figures(teams[0], "day", NOON) == (0, 0)


def test_weeks_and_months_are_summed_from_days_that_are_read_once(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget(period="month")
    team_with_budget(period="week")
    elsewhere(team, "1", at=datetime(2026, 11, 1, tzinfo=UTC))
    elsewhere(team, "2", at=datetime(2026, 11, 22, 23, 59, 59, 999_000, tzinfo=UTC))
    elsewhere(team, "4", at=datetime(2026, 11, 23, tzinfo=UTC))
    elsewhere(team, "8", at=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    now = NOON + 14 * HOUR  # the 24th, 2:00
    assert budgets_check(now=now).calls == 2 * 24 + 3  # three days with tokens also ask for what has no price
    assert window_figures(team, "month", now) == (0, 7)
    assert window_figures(team, "week", now) == (0, 4)
    langfuse.requests.clear()
    elsewhere(team, "16", at=now)
    elsewhere(team, "32", at=now - 2 * DAY)
    assert budgets_check(now=now + MINUTE).calls == 2
    assert window_figures(team, "month", now) == (0, 23)


def test_yesterday_is_asked_for_until_an_hour_after_its_end(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    budgets_check(now=midnight - MINUTE)
    elsewhere(team, "1", at=midnight - MINUTE)
    asked = {}
    for minutes in (1, 31, 61, 91, 121):
        langfuse.requests.clear()
        budgets_check(now=midnight + minutes * MINUTE)
        asked[minutes] = sorted(start[:10] for start, _ in days_asked(langfuse))
    both = ["2026-11-23", "2026-11-24"]
    assert asked == {1: both, 31: both, 61: both, 91: both[1:], 121: both[1:]}
    assert window_figures(team, "day", midnight - MINUTE) == (0, 1)
    assert window_figures(team, "day", midnight) == (0, 0)


def test_a_month_that_has_ended_gets_its_last_day(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget(period="month", zone="Asia/Kathmandu")
    ends = datetime(2026, 11, 30, 18, 15, tzinfo=UTC)
    budgets_check(now=ends - HOUR)
    elsewhere(team, "3", at=ends - MINUTE)
    elsewhere(team, "5", at=ends)
    budgets_check(now=ends + 2 * HOUR)
    assert window_figures(team, "month", ends - MINUTE) == (0, 3)
    assert window_figures(team, "month", ends) == (0, 5)


@pytest.mark.parametrize(
    ("zone", "noon", "hours", "starts"),
    [
        ("Pacific/Auckland", "2026-09-27T12:00", 23, "2026-09-26T12:00"),
        ("Pacific/Auckland", "2026-04-05T12:00", 25, "2026-04-04T11:00"),
        ("America/New_York", "2026-03-08T12:00", 23, "2026-03-08T05:00"),
        ("America/New_York", "2026-11-01T12:00", 25, "2026-11-01T04:00"),
        ("Asia/Kathmandu", "2026-11-23T12:00", 24, "2026-11-22T18:15"),
    ],
)
def test_a_day_is_as_long_as_the_clock_makes_it(
    langfuse: LangfuseStandIn, zone: str, noon: str, hours: int, starts: str
) -> None:
    team = team_with_budget(zone=zone)
    now = datetime.fromisoformat(f"{noon}+00:00")
    now = now.replace(tzinfo=team.time_zone).astimezone(UTC)
    first = datetime.fromisoformat(f"{starts}+00:00")
    last = first + hours * HOUR - timedelta(milliseconds=1)
    for at, cost in [(first - MINUTE, "1"), (first, "2"), (last, "4"), (last + MINUTE, "8")]:
        elsewhere(team, cost, at=at)
    budgets_check(now=now)
    day = day_of(team, now)
    assert (day.starts_at, day.ends_at - day.starts_at) == (first, hours * HOUR)
    assert day.day.isoformat() == noon[:10]
    assert day.external_usd == 6


@pytest.mark.parametrize(
    ("zone", "now", "days"),
    [
        ("Pacific/Auckland", "2026-09-30T10:00", 30),  # the 30th, 23:00
        ("Pacific/Auckland", "2026-09-30T11:00", 1),  # October
        ("America/New_York", "2026-11-30T20:00", 30),
        ("America/New_York", "2027-03-01T04:59", 28),
        ("Asia/Kathmandu", "2028-02-29T18:14", 29),
        ("Asia/Kathmandu", "2028-02-29T18:15", 1),
    ],
)
def test_the_days_of_a_month_join_without_gap(zone: str, now: str, days: int) -> None:
    at = datetime.fromisoformat(f"{now}+00:00")
    team_with_budget(period="month", zone=zone)
    budgets_check(now=at)
    window = BudgetWindow.objects.get()
    covered = window_days(window, now=at)
    assert len(covered) == days
    assert covered[0][0] == window.starts_at
    assert covered[-1][0] <= at < covered[-1][1]
    assert [end for _, end in covered[:-1]] == [start for start, _ in covered[1:]]


def test_the_organisation_counts_all_teams_by_its_own_clock(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.ORGANISATION_TIME_ZONE = "America/New_York"
    organisation_budget()
    kathmandu = team_with_budget("kathmandu", zone="Asia/Kathmandu")
    without = TeamFactory(slug="without-budget")
    elsewhere(kathmandu, "1", at=datetime(2026, 11, 22, 19, tzinfo=UTC))  # the 22nd in New York
    elsewhere(kathmandu, "2", at=NOON - MINUTE)
    elsewhere(without, "4", at=NOON - MINUTE)
    elsewhere("a stranger", "8", at=NOON - MINUTE)
    elsewhere("", "16", at=NOON - MINUTE)
    budgets_check(now=NOON)
    assert window_figures(kathmandu, "day", NOON) == (0, 3)
    assert window_figures(None, "day", NOON) == (0, 6)
    nobodys = LangfuseDay.objects.filter(team=None, time_zone="America/New_York")
    assert dict(nobodys.values_list("user_id", "external_usd")) == {"": 16, "a stranger": 8}


def test_a_keys_budget_has_no_external_spend(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    key = make_key(team)[0]
    Budget.objects.create(team=team, api_key=key, limit_usd=Decimal(3))
    elsewhere(team, "1", at=EARLIER)
    budgets_check(now=NOON)
    window = BudgetWindow.objects.get(budget__api_key=key)
    assert (window.external_usd, window.external_at) == (0, None)


def test_the_budgets_of_inactive_teams_are_left_alone(langfuse: LangfuseStandIn) -> None:
    BudgetFactory(team__active=False)
    assert budgets_check(now=NOON).windows == 0
    assert queries(langfuse) == []


def test_tokens_without_a_price_are_shown(langfuse: LangfuseStandIn) -> None:
    team, other = team_with_budget(), team_with_budget("marketing")
    elsewhere(team, "0", at=EARLIER, model="a-model-of-ours", tokens=500)
    elsewhere(other, "0", at=EARLIER, model="a-model-of-ours", tokens=70)
    elsewhere(other, "2", at=EARLIER, model="claude-sonnet-5", tokens=30)
    budgets_check(now=NOON)
    assert (day_of(team, NOON).unpriced_tokens, day_of(other, NOON).unpriced_tokens) == (500, 0)
    budgets_check(now=NOON + 14 * HOUR)
    assert (day_of(team, NOON).unpriced_tokens, day_of(other, NOON).unpriced_tokens) == (500, 70)


def test_a_cost_below_zero_gives_nobody_more_to_spend(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    elsewhere(team, "-5", at=EARLIER)
    budgets_check(now=NOON)
    assert window_figures(team, "day", NOON) == (0, 0)


@pytest.mark.slow
def test_a_thousand_and_more_users_are_read_by_name(langfuse: LangfuseStandIn) -> None:
    teams = Team.objects.bulk_create([Team(slug=f"team-{number}", name=f"Team {number}") for number in range(1000)])
    Budget.objects.bulk_create([Budget(team=team, limit_usd=Decimal(5)) for team in teams])
    organisation_budget()
    for number in range(400):
        elsewhere(f"stranger-{number}", "3", at=EARLIER, send=False)
    for team in teams[:-1]:
        elsewhere(team, "0.001", at=EARLIER, send=False)
    elsewhere(teams[-1], "2", at=EARLIER)
    check = budgets_check(now=NOON)
    assert check.error == ""
    assert check.windows == 1001
    assert 4 < check.calls < 10
    assert sorted(
        set(BudgetWindow.objects.filter(budget__team__isnull=False).values_list("external_usd", flat=True))
    ) == [Decimal("0.001"), Decimal(2)]
    assert window_figures(None, "day", NOON) == (0, Decimal("2.999"))


def test_external_spend_counts_and_raises_the_alerts_that_it_crosses(langfuse: LangfuseStandIn) -> None:
    people = make_people()
    BudgetFactory(team=people.sales, limit_usd=Decimal(1))
    spend(people.sales, "0.4", now=EARLIER)
    elsewhere(people.sales, "0.45", at=EARLIER)
    for minutes in range(3):
        budgets_check(now=NOON + minutes * MINUTE)
    assert window_figures(people.sales, "day", NOON) == (Decimal("0.4"), Decimal("0.45"))
    assert thresholds() == ["50", "80"]
    alert = Alert.objects.get(key__endswith=":80")
    assert (alert.scope, alert.level) == ("sales", "warning")
    assert "0.4500 of it outside this platform" in alert.body
    assert alert.deliveries.get().recipients == ["alice@example.com", "root@example.com"]
    elsewhere(people.sales, "0.15", at=EARLIER)
    budgets_check(now=NOON + 5 * MINUTE)
    assert thresholds() == ["100", "50", "80"]


def test_a_window_that_is_off_is_set_right_and_said(
    langfuse: LangfuseStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    team = team_with_budget()
    spend(team, "0.4", now=EARLIER)
    BudgetWindow.objects.update(spent_usd=Decimal("0.1"))
    with caplog.at_level(logging.WARNING):
        budgets_check(now=NOON)
    assert window_at(team, "day", NOON).spent_usd == Decimal("0.4")
    assert any("off by 0.3" in record.getMessage() for record in caplog.records)


def test_a_smaller_figure_of_langfuse_s_is_taken_over_too(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    langfuse.store_twice()
    elsewhere(team, "2", at=EARLIER)
    budgets_check(now=NOON)
    assert window_figures(team, "day", NOON) == (0, 4)
    langfuse.merge()
    budgets_check(now=NOON + MINUTE)
    assert window_figures(team, "day", NOON) == (0, 2)


def test_a_line_that_no_spending_has_crossed_is_told_too(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    spend(team, "0.9", now=EARLIER)
    Budget.objects.update(limit_usd=Decimal(1))
    budgets_check(now=NOON)
    budgets_check(now=NOON + MINUTE)
    assert thresholds() == ["50", "80"]
    Budget.objects.update(limit_usd=Decimal(0))
    budgets_check(now=NOON + 2 * MINUTE)
    assert thresholds() == ["50", "80"]
