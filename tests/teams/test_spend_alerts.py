"""What people are told of spending: once each, with its figures, and not on too little to go by."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from observability.models import Alert, AlertDelivery
from teams.models import BudgetWindow, Team
from teams.services.spend_alerts import spend_alerts_raise
from teams.services.windows import window_open
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.people import People
from tests.teams.ledgers import charged, charged_daily

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 25, 12, 20, tzinfo=UTC)


def told(kind: str) -> list[Alert]:
    return list(Alert.objects.filter(kind=kind).order_by("key"))


def test_a_budget_that_will_not_last_is_told_once_in_a_window(people: People) -> None:
    charged_daily(people.sales, "24", NOW.replace(hour=0, minute=0), days=28)
    charged(people.sales, "5", NOW - timedelta(hours=3))
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal(10))
    assert spend_alerts_raise(NOW) == 1
    assert spend_alerts_raise(NOW + timedelta(hours=1)) == 0
    (alert,) = told("forecast")
    assert (alert.scope, alert.level) == ("sales", "warning")
    assert alert.key == f"budget:{budget.pk}:20261125T000000Z:forecast"
    assert "has spent 5.0000 of 10.0000 USD" in alert.body
    assert "will be 16.6667 USD" in alert.body
    assert "The money will end about 2026-11-25 17:20 (UTC)." in alert.body
    delivery = AlertDelivery.objects.get(alert=alert)
    assert delivery.recipients == ["alice@example.com", "root@example.com"]
    assert spend_alerts_raise(NOW + timedelta(days=1)) == 1  # the next window is another


@pytest.mark.parametrize(("limit", "spent"), [("40", "5"), ("4", "5"), ("5", "5")])
def test_money_that_lasts_or_is_spent_already_is_no_forecast(limit: str, spent: str) -> None:
    team = TeamFactory()
    charged_daily(team, "24", NOW, days=28)
    charged(team, spent, NOW - timedelta(hours=3))
    BudgetFactory(team=team, limit_usd=Decimal(limit))
    assert spend_alerts_raise(NOW) == 0


def test_a_budget_of_a_key_and_of_the_organisation_are_told_of_too(people: People) -> None:
    key, _, _ = make_key(people.sales)
    charged_daily(people.sales, "24", NOW, days=28, api_key_id=key.pk)
    BudgetFactory(team=people.sales, api_key=key, limit_usd=Decimal(1))
    BudgetFactory(team=None, limit_usd=Decimal(1))
    assert spend_alerts_raise(NOW) == 2
    assert {(alert.scope, alert.subject.split(":")[0]) for alert in told("forecast")} == {
        ("sales", "Sales, test"), ("", "Organisation"),
    }  # fmt: skip
    organisations = AlertDelivery.objects.get(alert__scope="")
    assert organisations.recipients == ["root@example.com"]


def test_an_inactive_team_is_not_told_of() -> None:
    team = TeamFactory(active=False)
    charged_daily(team, "24", NOW, days=28)
    charged(team, "50", NOW - timedelta(hours=1, minutes=10))
    BudgetFactory(team=team, limit_usd=Decimal(1000))
    BudgetWindow.objects.all().delete()
    assert spend_alerts_raise(NOW) == 0


@pytest.mark.parametrize(
    ("usual", "cost", "odd"),
    [("0.5", "2.01", True), ("0.5", "2", False), ("0.1", "1.01", True), ("0.1", "1", False), ("3", "11", False)],
)
def test_an_hour_is_odd_above_a_dollar_and_four_times_the_median(usual: str, cost: str, odd: bool) -> None:
    team = TeamFactory(slug="sales", name="Sales")
    hour = NOW.replace(hour=11, minute=30)
    charged_daily(team, usual, hour, days=14)
    charged(team, cost, hour)
    assert spend_alerts_raise(NOW) == odd
    assert spend_alerts_raise(NOW + timedelta(minutes=30)) == 0
    if odd:
        (alert,) = told("anomaly")
        assert (alert.key, alert.scope) == ("anomaly:sales:20261125T1100Z", "sales")
        assert f"{Decimal(cost):.4f} USD in the hour from 2026-11-25 11:00 (UTC)" in alert.body
        assert f"{Decimal(usual):.4f} USD as a rule" in alert.body


def test_an_hour_that_is_not_over_is_not_judged_and_the_next_odd_one_is_told_again() -> None:
    team = TeamFactory()
    charged_daily(team, "0.01", NOW, days=14)
    charged(team, "9", NOW - timedelta(minutes=5))
    assert spend_alerts_raise(NOW) == 0
    assert spend_alerts_raise(NOW + timedelta(hours=1)) == 1
    charged(team, "9", NOW + timedelta(hours=1))
    assert spend_alerts_raise(NOW + timedelta(hours=2)) == 1
    assert len(told("anomaly")) == 2


@pytest.mark.parametrize(("days", "odd"), [(0, False), (2, False), (3, True)])
def test_a_team_of_fewer_than_three_days_has_no_odd_hours(days: int, odd: bool) -> None:
    team = TeamFactory()
    charged_daily(team, "0.01", NOW, days=days)
    charged(team, "9", NOW.replace(hour=11))
    assert spend_alerts_raise(NOW) == odd


def test_a_steady_night_is_no_oddity_and_days_without_spend_count() -> None:
    team = TeamFactory()
    hour = NOW.replace(hour=11, minute=5)
    # On four of the fourteen days this hour cost much; on most it cost nothing.
    for back in (1, 2, 3, 14):
        charged(team, "9", hour - timedelta(days=back))
    charged(team, "2", hour)
    assert spend_alerts_raise(NOW) == 1
    charged_daily(team, "9", hour, days=14)
    Alert.objects.all().delete()
    assert spend_alerts_raise(NOW) == 0


def odd_hour(team: Team, now: datetime) -> str:
    assert spend_alerts_raise(now) == 1
    (alert,) = told("anomaly")
    return alert.key.rpartition(":")[2]


def test_hours_go_by_the_teams_clock_where_it_is_a_quarter_off() -> None:
    team = TeamFactory(time_zone=ZoneInfo("Asia/Kathmandu"))
    charged_daily(team, "0.01", NOW, days=14)
    charged(team, "9", datetime(2026, 11, 25, 11, 10, tzinfo=UTC))  # 16:55 there
    charged(team, "9", datetime(2026, 11, 25, 11, 16, tzinfo=UTC))  # 17:01 there
    # At 12:16 it is 18:01 there, and the hour from 17:00 is over.
    assert odd_hour(team, NOW.replace(minute=16)) == "20261125T1115Z"
    assert "has spent 9.0000 USD" in told("anomaly")[0].body


@pytest.mark.parametrize(
    ("now", "hour"), [((5, 30), "20261101T0400Z"), ((6, 30), "20261101T0500Z"), ((7, 30), "20261101T0600Z")]
)
def test_each_of_the_hours_that_the_clock_shows_twice_is_judged_for_itself(now: tuple[int, int], hour: str) -> None:
    team = TeamFactory(time_zone=ZoneInfo("America/New_York"))
    charged_daily(team, "0.01", datetime(2026, 11, 1, tzinfo=team.time_zone), days=14)
    charged(team, "9", datetime.strptime(hour, "%Y%m%dT%H%MZ").replace(tzinfo=UTC))
    assert odd_hour(team, datetime(2026, 11, 1, *now, tzinfo=UTC)) == hour


def test_the_hour_before_the_clock_is_put_forward_is_judged() -> None:
    team = TeamFactory(time_zone=ZoneInfo("America/New_York"))
    charged_daily(team, "0.01", datetime(2026, 3, 8, tzinfo=team.time_zone), days=14)
    charged(team, "9", datetime(2026, 3, 8, 6, 30, tzinfo=UTC))
    # 03:10 there, an hour after 01:10: two o'clock was left out.
    assert odd_hour(team, datetime(2026, 3, 8, 7, 10, tzinfo=UTC)) == "20260308T0600Z"


def test_estimates_of_the_last_day_are_told_once_a_day_with_count_and_sum(people: People) -> None:
    for hours, cost in [(1, "0.25"), (23, "0.5"), (25, "1")]:
        charged(people.sales, cost, NOW - timedelta(hours=hours), estimated=True)
    charged(people.sales, "2", NOW - timedelta(hours=1), estimated=True, corrected_at=NOW)
    charged(people.marketing, "4", NOW - timedelta(hours=2))
    assert spend_alerts_raise(NOW) == 1
    assert spend_alerts_raise(NOW + timedelta(minutes=30)) == 0
    (alert,) = told("estimated")
    assert (alert.key, alert.scope, alert.level) == ("estimated:sales:20261125", "sales", "info")
    assert alert.subject == "Sales: 2 charges are estimated"
    assert "0.7500 USD in all" in alert.body
    assert AlertDelivery.objects.get(alert=alert).recipients == ["alice@example.com", "root@example.com"]


def test_a_corrected_estimate_is_told_of_no_more() -> None:
    charge = charged(TeamFactory(), "1", NOW - timedelta(hours=1), estimated=True)
    charge.corrected_at = NOW
    charge.save(update_fields=["corrected_at"])
    assert spend_alerts_raise(NOW) == 0


def test_nothing_at_all_tells_nothing() -> None:
    window_open(budget=BudgetFactory(), at=NOW)
    assert spend_alerts_raise(NOW) == 0
