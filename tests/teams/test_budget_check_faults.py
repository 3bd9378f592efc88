"""Rounds of the scheduled check that go wrong, are many at once, or may ask little."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from observability.langfuse import client
from observability.models import Alert
from observability.services import costs
from teams.models import Budget, BudgetCheck, LangfuseDay, ModelLimit
from teams.services.budget_checks import budgets_check
from tests.factories import BudgetFactory
from tests.people import make_people
from tests.standins.langfuse import LangfuseStandIn
from tests.teams.conftest import Crowd
from tests.teams.langfuse_days import (
    METRICS,
    alerts,
    ask,
    day_of,
    days_asked,
    elsewhere,
    organisation_budget,
    queries,
    team_with_budget,
    thresholds,
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


@pytest.mark.parametrize("trouble", ["down", "broken", "busy", "stalling", "rubbish", "wrong keys", "cut"])
def test_langfuse_in_trouble_leaves_the_figures_with_their_age_and_the_gate_alone(
    langfuse: LangfuseStandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(costs, "TIMEOUT", 1)
    team = team_with_budget(limit="1")
    organisation_budget(period="month")
    elsewhere(team, "0.25", at=EARLIER)
    budgets_check(now=NOON)
    elsewhere(team, "0.5", at=EARLIER)
    langfuse.requests.clear()
    client._clients_forget()
    if trouble == "down":
        langfuse.refuse()
    elif trouble == "broken":
        langfuse.fail(next=None, status=500, path=METRICS)
    elif trouble == "busy":
        langfuse.fail(next=None, status=429, path=METRICS, retry_after=3600)
    elif trouble == "stalling":
        langfuse.stall(path=METRICS)
    elif trouble == "rubbish":
        langfuse.garbage("shape", next=None, path=METRICS)
    elif trouble == "cut":
        langfuse.cut_answer(next=None, path=METRICS)
    else:
        settings.LANGFUSE_SECRET_KEY = "sk-lf-wrong"
    later = NOON + 30 * MINUTE
    spend(team, "0.3", now=later)
    check = budgets_check(now=later)
    assert check.error
    assert len(queries(langfuse)) == (0 if trouble == "down" else 1)  # nothing is asked twice, nor for another day
    assert window_figures(team, "day", later) == (Decimal("0.3"), Decimal("0.25"))
    assert window_at(team, "day", NOON).external_at == NOON
    assert day_of(team, NOON, time_zone="UTC").read_at == NOON
    assert thresholds() == ["50"]
    client._clients_forget()


def test_three_failures_in_a_row_are_told_once_until_it_works_again(langfuse: LangfuseStandIn) -> None:
    people = make_people()
    BudgetFactory(team=people.sales)
    now, told = NOON, []
    for works in [False, False, True, False, False, False, False, True, False, False, False]:
        langfuse.clear()
        if not works:
            langfuse.fail(next=None, status=503, path=METRICS)
        budgets_check(now=now)
        told.append(len(alerts()))
        now += 30 * MINUTE
    assert told == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    alert = Alert.objects.first()
    assert alert
    assert (alert.kind, alert.scope) == ("budget_check_failing", "")
    assert "HTTP 503" in alert.body
    assert alert.deliveries.get().recipients == ["root@example.com"]


def test_without_langfuse_the_rounds_only_count_the_ledger() -> None:
    team = team_with_budget()
    spend(team, "1", now=NOON)
    for rounds in range(4):
        check = budgets_check(now=NOON + rounds * MINUTE)
        assert (check.error, check.calls, check.windows) == ("", 0, 1)
    assert alerts() == []
    assert not LangfuseDay.objects.exists()


def test_a_full_answer_that_cannot_be_completed_fails_the_round(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.LANGFUSE_METRICS_PER_DAY = 72  # three an hour
    team = team_with_budget()
    for number in range(1000):
        elsewhere(f"stranger-{number}", "3", at=EARLIER, send=False)
    elsewhere(team, "1", at=EARLIER)
    check = budgets_check(now=NOON)
    assert "more users than Langfuse names" in check.error
    assert window_figures(team, "day", NOON) == (0, 0)
    assert window_at(team, "day", NOON).external_at is None


def test_of_langfuse_clouds_questions_the_running_day_and_the_newest_past_get_their_share(
    langfuse: LangfuseStandIn, settings: Settings
) -> None:
    settings.LANGFUSE_METRICS_PER_DAY = 100
    team_with_budget(period="month")
    asked = []
    for rounds in range(6):
        langfuse.requests.clear()
        check = budgets_check(now=NOON + rounds * 30 * MINUTE)
        asked.append(sorted(start[8:10] for start, _ in days_asked(langfuse)))
        assert (check.calls, check.error) == (2 * len(asked[-1]), "")
    assert asked == [["22", "23"], [], ["21", "23"], [], ["20", "23"], []]
    assert BudgetCheck.objects.latest("started_at").days_left == 20
    assert budgets_check(now=NOON + 5 * HOUR, paced=False).days_left == 0


def test_a_day_takes_at_most_what_langfuse_cloud_allows(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.LANGFUSE_METRICS_PER_DAY = 100
    for zone in ("UTC", "Asia/Kathmandu", "America/New_York"):
        team = team_with_budget(zone.lower().replace("/", "-").replace("_", "-"), zone=zone)
        elsewhere(team, "0.1", at=NOON)
    rounds = [budgets_check(now=NOON + number * 30 * MINUTE) for number in range(48)]
    assert 90 <= sum(check.calls for check in rounds) <= 100
    assert all(check.error == "" for check in rounds)
    stale = {day.read_at for day in LangfuseDay.objects.filter(ends_at__gt=rounds[-1].started_at)}
    assert min(stale) > rounds[-1].started_at - 3 * HOUR


def test_the_first_round_of_a_day_observes_the_models_and_prunes(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget(limit="10000")
    for _ in range(100):
        spend(team, "0.01", now=EARLIER)
    old = NOON - timedelta(days=31)
    BudgetCheck.objects.create(started_at=old, finished_at=old)
    LangfuseDay.objects.create(
        user_id="stranger", day=old.date(), time_zone="UTC", starts_at=old - 99 * DAY, ends_at=old - 98 * DAY,
        external_usd=1, read_at=old,
    )  # fmt: skip
    budgets_check(now=NOON)
    limit = ModelLimit.objects.get()
    assert (limit.observed_calls, limit.observed_at) == (100, NOON)
    assert not BudgetCheck.objects.filter(started_at=old).exists()
    assert not LangfuseDay.objects.filter(user_id="stranger").exists()
    budgets_check(now=NOON + MINUTE)
    assert ModelLimit.objects.get().observed_at == NOON
    budgets_check(now=NOON + DAY)
    assert ModelLimit.objects.get().observed_at == NOON + DAY


def test_nothing_is_held_while_langfuse_thinks_and_a_budget_may_be_deleted_meanwhile(
    langfuse: LangfuseStandIn,
) -> None:
    doomed, other = team_with_budget("a"), team_with_budget("b", "1")
    elsewhere(other, "0.9", at=EARLIER)
    langfuse.stall(path=METRICS)
    with ThreadPoolExecutor(1) as threads:
        wrappers: list[BaseDatabaseWrapper] = []
        round_ = threads.submit(check_in_thread, wrappers)
        while not queries(langfuse):
            time.sleep(0.01)
        assert [wrapper.connection for wrapper in wrappers] == [None]
        Budget.objects.get(team=doomed).delete()
        langfuse.release()
        assert round_.result().error == ""
    assert window_figures(other, "day", NOON) == (0, Decimal("0.9"))
    assert thresholds() == ["50", "80"]


def check_in_thread(wrappers: list[BaseDatabaseWrapper]) -> BudgetCheck:
    """The thread's own connection is left in the list: its wrapper has none inside while it is given back."""
    wrappers.append(connections["default"])
    try:
        return budgets_check(now=NOON)
    finally:
        connection.close()


def test_two_rounds_at_once_are_harmless(langfuse: LangfuseStandIn, crowd: Crowd[object]) -> None:
    team = team_with_budget(limit="1")
    organisation_budget(period="month")
    ask(team, "0.2", at=NOON - HOUR)
    elsewhere(team, "0.7", at=NOON - HOUR)
    elsewhere("", "3", at=NOON - HOUR)
    rounds = crowd(4, lambda _: budgets_check(now=NOON))
    assert [getattr(one, "error", None) for one in rounds] == [""] * 4
    assert window_figures(team, "day", NOON) == (Decimal("0.2"), Decimal("0.7"))
    assert window_figures(None, "month", NOON) == (Decimal("0.2"), Decimal("0.7"))
    assert thresholds() == ["50", "80"]
    assert LangfuseDay.objects.filter(starts_at__lte=NOON, ends_at__gt=NOON).count() == 2
    assert BudgetCheck.objects.count() == 4
