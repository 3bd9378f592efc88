"""What Langfuse says of our own questions beside our ledger: what is drift, what is not, and what is told of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest
from django.db import transaction

from observability.langfuse import client
from observability.models import Alert, Trace
from observability.services.sightings import traces_reconcile
from observability.services.traces import traces_export
from teams.models import Charge, LangfuseDay
from teams.services.budget_checks import budgets_check
from teams.services.budgets import charge_cached
from tests.factories import BudgetFactory
from tests.observability.clock import time_passes
from tests.people import make_people
from tests.standins.langfuse import LangfuseStandIn
from tests.teams.langfuse_days import (
    alerts,
    ask,
    day_of,
    figures_of,
    organisation_budget,
    team_with_budget,
    trace,
    window_figures,
)
from tests.teams.spending import spend, spender

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
EARLIER = NOON - timedelta(minutes=10)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TODAY = ("2026-11-23T00:00:00.000Z", "2026-11-23T23:59:59.999Z")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", httpx.Timeout(2.0))


def test_what_was_charged_within_the_lag_is_no_drift(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    ask(team, "1", at=NOON - HOUR)
    spend(team, "2", now=NOON - timedelta(seconds=119))  # charged, not traced yet
    budgets_check(now=NOON)
    assert figures_of(day_of(team, NOON)) == (1, 3, 0, 0)
    trace(team, "2", at=NOON - timedelta(seconds=119))
    budgets_check(now=NOON + timedelta(seconds=1))
    assert figures_of(day_of(team, NOON)) == (3, 3, 0, 0)


def test_drift_is_shown_at_once_and_told_after_an_hour_once(langfuse: LangfuseStandIn) -> None:
    people = make_people()
    BudgetFactory(team=people.sales, limit_usd=Decimal(100))
    ask(people.sales, "1", at=NOON - HOUR)
    spend(people.sales, "2", now=NOON - 3 * MINUTE)
    budgets_check(now=NOON)
    day = day_of(people.sales, NOON)
    assert (day.ours_usd, day.ledger_usd) == (1, 3)
    assert day.drift_usd == pytest.approx(Decimal(-2), abs=Decimal("1e-8"))
    assert day.drift_since == NOON
    budgets_check(now=NOON + 59 * MINUTE)
    assert alerts() == []
    for minutes in (60, 90, 120):
        budgets_check(now=NOON + minutes * MINUTE)
    assert alerts() == [("drift", "sales")]
    alert = Alert.objects.get()
    assert "3.0000 USD by our ledger and 1.0000 USD by Langfuse: 2.0000 USD less" in alert.body
    assert alert.deliveries.get().recipients == ["alice@example.com", "root@example.com"]
    assert day_of(people.sales, NOON).drift_since == NOON
    assert window_figures(people.sales, "day", NOON) == (3, 0)


def test_drift_of_a_percent_or_a_cent_is_shown_and_not_told(langfuse: LangfuseStandIn) -> None:
    sales, marketing = team_with_budget(), team_with_budget("marketing")
    ask(sales, "10", at=NOON - HOUR)
    spend(sales, "0.1", now=NOON - HOUR)
    ask(marketing, "0.001", at=NOON - HOUR)
    spend(marketing, "0.01", now=NOON - HOUR)
    for hours in range(3):
        budgets_check(now=NOON + hours * HOUR)
    assert day_of(sales, NOON).drift_usd == pytest.approx(Decimal("-0.1"), abs=Decimal("1e-7"))
    assert day_of(marketing, NOON).drift_usd == pytest.approx(Decimal("-0.01"), abs=Decimal("1e-7"))
    assert alerts() == []
    assert not LangfuseDay.objects.filter(drift_since__isnull=False).exists()


def test_what_langfuse_stored_twice_is_drift_the_other_way(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    langfuse.store_twice()
    ask(team, "2", at=NOON - HOUR)
    budgets_check(now=NOON)
    assert day_of(team, NOON).drift_usd == pytest.approx(Decimal(2), abs=Decimal("1e-7"))
    langfuse.merge()
    budgets_check(now=NOON + 30 * MINUTE)
    assert figures_of(day_of(team, NOON)) == (2, 2, 0, 0)
    assert day_of(team, NOON).drift_since is None


def test_cached_answers_and_corrections_are_no_drift(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    ask(team, "2", at=NOON - HOUR)
    Charge.objects.update(booked_usd=Decimal(2), cost_usd=Decimal("0.5"), estimated=True)
    with transaction.atomic():
        charge_cached(
            generation_id=uuid4(), spender=spender(team), model="claude-sonnet-5-5", database="shop", cost=Decimal(1),
            now=NOON - HOUR,
        )  # fmt: skip
    budgets_check(now=NOON)
    assert figures_of(day_of(team, NOON)) == (2, 2, 0, 0)
    assert window_figures(team, "day", NOON) == (Decimal("1.5"), 0)


@pytest.mark.parametrize("seconds", [-0.5, 0.5])
def test_a_call_at_midnight_may_be_on_either_side_of_it(langfuse: LangfuseStandIn, seconds: float) -> None:
    team = team_with_budget()
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    trace(team, "0.5", at=midnight - 8 * HOUR)
    spend(team, "0.5", now=midnight - 8 * HOUR)
    spend(team, "2", now=midnight + timedelta(seconds=seconds))
    trace(team, "2", at=midnight - timedelta(seconds=seconds))
    budgets_check(now=NOON)
    assert set(LangfuseDay.objects.filter(team=team).values_list("drift_usd", flat=True)) == {Decimal(0)}


def test_what_was_charged_before_the_first_trace_is_missed_by_nobody(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    spend(team, "5", now=NOON - 3 * HOUR)
    ask(team, "1", at=NOON - HOUR)
    budgets_check(now=NOON)
    assert figures_of(day_of(team, NOON)) == (1, 6, 0, 0)


def test_a_drift_that_two_clocks_show_is_told_by_the_teams_own(langfuse: LangfuseStandIn) -> None:
    organisation_budget()
    team = team_with_budget(zone="Asia/Kathmandu")
    ask(team, "1", at=NOON - 2 * HOUR)
    spend(team, "2", now=NOON - HOUR)
    budgets_check(now=NOON)
    budgets_check(now=NOON + HOUR)
    assert LangfuseDay.objects.filter(team=team, drift_since=NOON).count() == 2
    assert Alert.objects.filter(kind="drift").get().key == "drift:sales:20261122T181500Z"


def test_what_langfuse_lost_after_showing_it_is_found_and_sent_again(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget()
    ask(team, "2", at=NOON - HOUR)
    ask(team, "1", at=NOON - HOUR)
    time_passes(langfuse, 660)
    traces_reconcile()
    assert not Trace.objects.filter(confirmed_at=None).exists()
    first = Trace.objects.order_by("delivered_at")[0]
    langfuse.store._rows = [row for row in langfuse.store.rows() if row.trace_id != first.trace_id]
    budgets_check(now=NOON)
    assert day_of(team, NOON).drift_since == NOON
    traces_reconcile()
    traces_export()
    budgets_check(now=NOON + 30 * MINUTE)
    assert figures_of(day_of(team, NOON)) == (3, 3, 0, 0)
    assert alerts() == []
