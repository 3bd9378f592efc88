"""The scheduled check: one query per window for all teams, both accounts side by side, one alert per threshold."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.db import connection, transaction
from pytest_django import Settings

from observability.langfuse import client
from observability.models import Alert
from observability.services import costs
from observability.services.prices import TokenUsage
from observability.services.traces import trace_record, traces_export
from teams.models import BudgetCheck, Team
from teams.services.budget_checks import budgets_check
from teams.services.budgets import budget_reserve, charge_settle
from tests.factories import BudgetFactory
from tests.observability.conftest import trace_made
from tests.people import make_people
from tests.standins.langfuse import LangfuseStandIn

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
METRICS = "/api/public/v2/metrics"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "PAUSE", 0.01)
    monkeypatch.setattr(client, "TIMEOUT", httpx.Timeout(2.0))


def spend(team: Team, amount: str, *, now: datetime = NOON) -> None:
    attempt_id = uuid4()
    with transaction.atomic():
        budget_reserve(
            attempt_id=attempt_id,
            generation_id=uuid4(),
            team=team,
            amount=Decimal(amount),
            now=now,
            expires_at=now + timedelta(minutes=2),
        )
        charge_settle(
            attempt_id=attempt_id, model="claude-sonnet-5-5", database="shop", api_key_id=None, usage=TokenUsage(),
            cost=Decimal(amount), now=now,
        )  # fmt: skip


def trace(team: Team, cost: str, *, at: datetime = NOON, tag: str = "text2sql") -> None:
    trace_record(trace_made(f"{team.pk} {cost} {at} {tag}", user_id=team.pk, cost=cost, start=at, tags=[tag]))
    traces_export()


def queries(langfuse: LangfuseStandIn) -> list[dict[str, Any]]:
    return [json.loads(r.query["query"][0]) for r in langfuse.requests if r.path == METRICS]


def keys() -> list[str]:
    return sorted(Alert.objects.values_list("key", flat=True))


def check_of(team: Team) -> BudgetCheck:
    return BudgetCheck.objects.filter(window__budget__team=team).latest("checked_at")


def test_one_query_serves_all_teams_of_one_clock(langfuse: LangfuseStandIn) -> None:
    sales, marketing, legal = (BudgetFactory(team__slug=slug).team for slug in ("sales", "marketing", "legal"))
    spend(sales, "0.3")
    trace(sales, "0.3")
    trace(marketing, "0.2")
    trace(sales, "7", tag="notebook")  # not ours
    trace(sales, "9", at=NOON - timedelta(days=1))
    assert budgets_check(now=NOON) == 3
    (query,) = queries(langfuse)
    assert (query["fromTimestamp"], query["toTimestamp"]) == ("2026-11-23T00:00:00.000Z", "2026-11-23T23:59:59.999Z")
    checks = {team.pk: check_of(team) for team in (sales, marketing, legal)}
    assert {team: (c.ledger_usd, c.langfuse_usd) for team, c in checks.items()} == {
        "sales": (Decimal("0.3"), Decimal("0.3")),
        "marketing": (0, Decimal("0.2")),
        "legal": (0, 0),
    }
    assert all(check.error == "" for check in checks.values())


def test_each_distinct_window_is_one_query(langfuse: LangfuseStandIn) -> None:
    zones = ["Europe/Berlin", "Asia/Kathmandu", "Europe/Paris", "UTC", "Asia/Kathmandu"]
    teams = [BudgetFactory(team__time_zone=zone).team for zone in zones]
    early = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # the 23rd in Kathmandu, the 22nd elsewhere
    trace(teams[1], "0.5", at=early)
    trace(teams[0], "0.25", at=early)
    assert budgets_check(now=NOON) == 5
    assert sorted(query["fromTimestamp"] for query in queries(langfuse)) == [
        "2026-11-22T18:15:00.000Z",
        "2026-11-22T23:00:00.000Z",
        "2026-11-23T00:00:00.000Z",
    ]
    assert check_of(teams[1]).langfuse_usd == Decimal("0.5")
    assert check_of(teams[0]).langfuse_usd == 0


def test_the_budgets_of_inactive_teams_are_left_alone(langfuse: LangfuseStandIn) -> None:
    BudgetFactory(team__active=False)
    assert budgets_check(now=NOON) == 0
    assert queries(langfuse) == []


@pytest.mark.parametrize("trouble", ["down", "broken", "stalling", "wrong keys"])
def test_langfuse_in_trouble_is_noted_and_the_alerts_rest_on_our_ledger(
    langfuse: LangfuseStandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(costs, "TIMEOUT", 1)
    client._clients_forget()
    budget = BudgetFactory(limit_usd=Decimal(1))
    spend(budget.team, "0.85")
    if trouble == "down":
        langfuse.refuse()
    elif trouble == "broken":
        langfuse.fail(next=None, status=500, path=METRICS)
    elif trouble == "stalling":
        langfuse.stall(path=METRICS)
    else:
        settings.LANGFUSE_SECRET_KEY = "sk-lf-wrong"
    assert budgets_check(now=NOON) == 1
    check = check_of(budget.team)
    assert (check.ledger_usd, check.langfuse_usd) == (Decimal("0.85"), None)
    assert check.error
    assert [key.rsplit(":", 1)[1] for key in keys()] == ["80"]


def test_without_langfuse_the_check_says_so_and_the_alerts_still_go() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    spend(budget.team, "1")
    assert budgets_check(now=NOON) == 1
    assert check_of(budget.team).error == "Langfuse is not configured."
    assert check_of(budget.team).langfuse_usd is None
    assert [key.rsplit(":", 1)[1] for key in keys()] == ["100", "80"]


def test_an_alert_goes_out_once_per_threshold_and_window_to_leads_and_admins() -> None:
    people = make_people()
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal(1))
    spend(people.sales, "0.799999999999")
    budgets_check(now=NOON)
    assert keys() == []
    spend(people.sales, "0.000000000001")
    for _ in range(3):
        budgets_check(now=NOON)
    (alert,) = Alert.objects.all()
    assert (alert.level, alert.scope, alert.kind) == ("warning", "sales", "budget")
    assert alert.recipients == ["alice@example.com", "root@example.com"]
    assert "80 %" in alert.subject
    spend(people.sales, "0.2")
    for _ in range(2):
        budgets_check(now=NOON)
    assert [(a.level, "refused" in a.body) for a in Alert.objects.order_by("level")] == [
        ("critical", True),
        ("warning", False),
    ]
    tomorrow = NOON + timedelta(days=1)
    budgets_check(now=tomorrow)
    assert Alert.objects.count() == 2
    spend(people.sales, "0.9", now=tomorrow)
    budgets_check(now=tomorrow)
    assert Alert.objects.count() == 3
    assert BudgetCheck.objects.filter(window__budget=budget).count() == 8


def test_spending_that_only_langfuse_knows_raises_the_alert_too(langfuse: LangfuseStandIn) -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), team__slug="sales")
    trace(budget.team, "0.9")
    budgets_check(now=NOON)
    assert check_of(budget.team).ledger_usd == 0
    assert [key.rsplit(":", 1)[1] for key in keys()] == ["80"]


def test_a_budget_of_nothing_raises_no_alert() -> None:
    BudgetFactory(limit_usd=Decimal(0))
    assert budgets_check(now=NOON) == 1
    assert keys() == []


def test_a_team_that_a_full_answer_leaves_out_is_unknown_not_zero(langfuse: LangfuseStandIn) -> None:
    for number in range(1000):
        record = trace_made(f"u{number}", user_id=f"user-{number}", cost="0.5", start=NOON)
        trace_record(record)
    traces_export(limit=2000)
    budget = BudgetFactory()
    budgets_check(now=NOON)
    assert check_of(budget.team).langfuse_usd is None


def test_a_budget_deleted_while_langfuse_is_asked_does_not_stop_the_others(langfuse: LangfuseStandIn) -> None:
    doomed, other = BudgetFactory(team__slug="a"), BudgetFactory(team__slug="b", limit_usd=Decimal(1))
    spend(other.team, "0.9")
    langfuse.stall(path=METRICS)
    with ThreadPoolExecutor(1) as threads:
        checked = threads.submit(check_in_thread)
        while not queries(langfuse):
            time.sleep(0.01)
        doomed.delete()
        langfuse.release()
        assert checked.result() == 1
    assert BudgetCheck.objects.get().window.budget == other
    assert len(keys()) == 1


def check_in_thread() -> int:
    try:
        return budgets_check(now=NOON)
    finally:
        connection.close()
