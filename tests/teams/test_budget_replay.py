"""A day and a half replayed against Langfuse: at each step the screens' numbers and the alerts are the expected ones.

Sales and Legal live in New York, as does the organisation; Marketing lives in Kathmandu, whose day ends at 18:15 UTC.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from pytest_django import Settings

from observability.langfuse import client
from observability.models import Alert, Trace
from observability.services.traces import traces_export
from observability.tasks import reconcile_deliveries
from teams.models import Budget, BudgetCheck, BudgetWindow, LangfuseDay, Team
from teams.services.budget_checks import budgets_check
from tests.observability.clock import time_passes
from tests.standins.langfuse import LangfuseStandIn
from tests.teams.langfuse_days import ask, elsewhere, organisation_budget, team_with_budget
from tests.teams.spending import refused

pytestmark = pytest.mark.django_db(transaction=True)

TRACES = "/api/public/otel/v1/traces"
MICRO = Decimal("0.000001")


def at(hour: int, minute: int = 0, *, day: int = 23) -> datetime:
    """A moment in November 2026, UTC."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@dataclass
class Replay:
    langfuse: LangfuseStandIn
    sales: Team
    legal: Team
    marketing: Team
    told: list[str] = field(default_factory=list)
    """What had been told before the last round."""

    def round(self, now: datetime, *told: str) -> BudgetCheck:
        """A round of the check, which tells this and nothing else."""
        check = budgets_check(now=now)
        keys = [alert.key for alert in Alert.objects.order_by("key")]
        assert sorted(_short(key) for key in keys if key not in self.told) == sorted(told)
        self.told = keys
        return check

    def windows(self, now: datetime) -> dict[str, str]:
        """Spent and external of the windows that hold this moment, as the list of budgets shows them."""
        rows = BudgetWindow.objects.filter(starts_at__lte=now, ends_at__gt=now).select_related("budget")
        return {
            f"{row.budget.team_id or 'organisation'} {row.budget.period}": _told(row.spent_usd, row.external_usd)
            for row in rows
        }

    def days(self, team: Team) -> dict[int, str]:
        """Ours in Langfuse, our ledger, drift and external of the team's own days, as the list of days shows them."""
        rows = LangfuseDay.objects.filter(team=team, time_zone=team.time_zone.key)
        return {row.day.day: _told(row.ours_usd, row.ledger_usd, row.drift_usd, row.external_usd) for row in rows}


def _told(*amounts: Decimal) -> str:
    return " ".join(f"{amount.quantize(MICRO).normalize():f}" for amount in amounts)


def _short(key: str) -> str:
    """`sales day 50`, `drift sales` or `failing`."""
    match key.split(":"):
        case ["budget", budget, _, threshold]:
            row = Budget.objects.get(pk=budget)
            return f"{row.team_id or 'organisation'} {row.period} {threshold}"
        case ["drift", team, _]:
            return f"drift {team}"
        case ["budget_check_failing", _]:
            return "failing"
    return key


@pytest.fixture
def replay(langfuse: LangfuseStandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Replay:
    monkeypatch.setattr(client, "TIMEOUT", httpx.Timeout(2.0))
    settings.ORGANISATION_TIME_ZONE = "America/New_York"
    replay = Replay(
        langfuse,
        sales=team_with_budget("sales", "10", zone="America/New_York"),
        legal=team_with_budget("legal", "2", zone="America/New_York"),
        marketing=team_with_budget("marketing", "4", zone="Asia/Kathmandu"),
    )
    team_with_budget("marketing", "20", zone="Asia/Kathmandu", period="week")
    organisation_budget("100", "month")
    return replay


def test_a_day_and_a_half_with_everything_that_goes_wrong(replay: Replay) -> None:
    quiet_morning(replay)
    langfuse_lags(replay)
    langfuse_is_down(replay)
    a_batch_is_stored_twice(replay)
    a_batch_is_lost(replay)
    others_spend(replay)
    the_day_ends(replay)


def quiet_morning(replay: Replay) -> None:
    replay.round(at(15))
    assert set(replay.windows(at(15)).values()) == {"0 0"}
    ask(replay.sales, "1", at=at(15, 10))
    ask(replay.marketing, "0.5", at=at(15, 12))
    elsewhere(replay.legal, "0.8", at=at(15, 5))
    assert replay.round(at(15, 30)).error == ""
    assert replay.windows(at(15, 30)) == {
        "sales day": "1 0",
        "legal day": "0 0.8",
        "marketing day": "0.5 0",
        "marketing week": "0.5 0",
        "organisation month": "1.5 0.8",
    }
    assert replay.days(replay.sales)[23] == "1 1 0 0"
    assert replay.days(replay.legal)[23] == "0 0 0 0.8"
    assert replay.days(replay.marketing)[23] == "0.5 0.5 0 0"


def langfuse_lags(replay: Replay) -> None:
    replay.langfuse.store.grow_older(3600)
    replay.langfuse.store.visible_after = 60
    elsewhere(replay.legal, "0.3", at=at(15, 58))
    ask(replay.sales, "2", at=at(15, 59))
    replay.round(at(16))
    assert replay.days(replay.sales)[23] == "1 3 0 0"
    assert replay.windows(at(16))["legal day"] == "0 0.8"
    time_passes(replay.langfuse, 60)
    replay.round(at(16, 1), "legal day 50")
    assert replay.days(replay.sales)[23] == "3 3 0 0"
    assert replay.windows(at(16, 1))["legal day"] == "0 1.1"
    replay.langfuse.store.visible_after = 0


def langfuse_is_down(replay: Replay) -> None:
    replay.langfuse.refuse()
    ask(replay.sales, "1", at=at(16, 10))
    ask(replay.legal, "0.2", at=at(16, 20))
    assert "refused" in replay.round(at(16, 30)).error
    replay.round(at(17))
    replay.round(at(17, 30), "failing")
    assert replay.windows(at(17, 30)) == {
        "sales day": "4 0",
        "legal day": "0.2 1.1",
        "marketing day": "0.5 0",
        "marketing week": "0.5 0",
        "organisation month": "4.7 1.1",
    }
    ages = BudgetWindow.objects.filter(starts_at__lte=at(17), ends_at__gt=at(17)).values_list("external_at", flat=True)
    assert set(ages) == {at(16, 1)}
    assert replay.days(replay.sales)[23] == "3 3 0 0"
    replay.langfuse.accept()
    time_passes(replay.langfuse, 600)
    traces_export()
    assert replay.round(at(18)).error == ""
    assert replay.days(replay.sales)[23] == "4 4 0 0"
    assert replay.days(replay.legal)[23] == "0.2 0.2 0 1.1"


def a_batch_is_stored_twice(replay: Replay) -> None:
    replay.langfuse.store_twice(path=TRACES)
    ask(replay.marketing, "1", at=at(18, 5))
    replay.round(at(18, 30))
    # The 23rd is over in Kathmandu; drift never counts.
    assert replay.days(replay.marketing) == {23: "2.5 1.5 1 0"}
    assert replay.windows(at(18))["marketing day"] == "1.5 0"
    assert replay.windows(at(18, 30))["marketing day"] == "0 0"
    assert replay.windows(at(18, 30))["marketing week"] == "1.5 0"
    replay.langfuse.merge()
    replay.round(at(19, 30))
    assert replay.days(replay.marketing)[23] == "1.5 1.5 0 0"
    assert not LangfuseDay.objects.filter(drift_since__isnull=False).exists()


def a_batch_is_lost(replay: Replay) -> None:
    replay.langfuse.lose_batch(path=TRACES)
    ask(replay.sales, "2", at=at(19, 40))
    time_passes(replay.langfuse, 1)
    ask(replay.legal, "0.1", at=at(19, 41))
    replay.round(at(20), "sales day 50")  # told when it was charged
    replay.round(at(20, 30))
    assert replay.days(replay.sales)[23] == "4 6 -2 0"
    replay.round(at(21), "drift sales")
    assert replay.windows(at(21))["sales day"] == "6 0"
    time_passes(replay.langfuse, 660)
    reconcile_deliveries()
    traces_export()
    replay.round(at(21, 30))
    assert replay.days(replay.sales)[23] == "6 6 0 0"
    assert replay.days(replay.legal)[23] == "0.3 0.3 0 1.1"
    assert set(Trace.objects.values_list("state", flat=True)) == {"delivered"}
    assert not LangfuseDay.objects.filter(drift_since__isnull=False).exists()


def others_spend(replay: Replay) -> None:
    elsewhere(replay.marketing, "3.5", at=at(21, 40))
    elsewhere("somebody else", "7", at=at(21, 41))
    elsewhere("", "9", at=at(21, 42))
    replay.round(at(22), "marketing day 50", "marketing day 80")
    assert replay.windows(at(22)) == {
        "sales day": "6 0",
        "legal day": "0.3 1.1",
        "marketing day": "0 3.5",
        "marketing week": "1.5 3.5",
        "organisation month": "7.8 4.6",
    }
    assert replay.days(replay.marketing)[24] == "0 0 0 3.5"
    nobodys = LangfuseDay.objects.filter(team=None, day=date(2026, 11, 23), external_usd__gt=0)
    assert set(nobodys.values_list("user_id", "external_usd")) == {("somebody else", Decimal(7)), ("", Decimal(9))}
    assert refused(replay.marketing, "0.6", now=at(22)).reason == "budget_exhausted"


def the_day_ends(replay: Replay) -> None:
    replay.round(at(5, 30, day=24))
    assert replay.windows(at(5, 30, day=24))["sales day"] == "0 0"
    elsewhere(replay.legal, "0.4", at=at(4, 59, day=24))  # told late
    replay.round(at(6, 30, day=24), "legal day 80")
    assert replay.windows(at(4, day=24))["legal day"] == "0.3 1.5"
    assert replay.windows(at(6, 30, day=24)) == {
        "sales day": "0 0",
        "legal day": "0 0",
        "marketing day": "0 3.5",
        "marketing week": "1.5 3.5",
        "organisation month": "7.8 5",
    }
    elsewhere(replay.legal, "0.5", at=at(4, 58, day=24))  # too late: the day is final
    replay.round(at(7, day=24))
    assert replay.days(replay.legal)[23] == "0.3 0.3 0 1.5"
    assert set(BudgetCheck.objects.exclude(error="").values_list("started_at", flat=True)) == {
        at(16, 30) + timedelta(minutes=30 * number) for number in range(3)
    }
