"""What clients are told of budgets: the 402 documents, the headers, GET budget, GET usage."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from teams.models import Budget, BudgetWindow
from teams.services.windows import window_open
from tests.clients import ApiClient
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.teams.spending import reserve, spend
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.demo.claude import ClaudeStandIn

ASK = {"database": "shop", "question": "Who are the customers?"}
SQL = "SELECT name FROM customers ORDER BY name"
FIGURES = {
    "reason", "scope", "period", "limit_usd", "spent_usd", "external_usd", "reserved_usd", "needed_usd", "resets_at",
    "generation_id",
}  # fmt: skip
MONEY = {name for name in FIGURES if name.endswith("_usd")}


def refused(shopper: Shopper, kind: str, question: str = "Who are the customers?") -> tuple[dict[str, Any], Any]:
    """The document and the response of a question that a budget refuses."""
    response = shopper.api.post("generate", {**ASK, "question": question})
    return assert_problem(response, 402, kind), response


def midnight() -> datetime:
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def test_a_spent_budget_tells_its_figures_and_when_to_come_back(shopper: Shopper, claude: ClaudeStandIn) -> None:
    budget = BudgetFactory(team=shopper.team, limit_usd=Decimal(1))
    spend(shopper.team, "0.75", now=timezone.now())
    window = window_open(budget=budget, at=timezone.now())
    BudgetWindow.objects.filter(pk=window.pk).update(external_usd=Decimal("0.249999999999"))
    document, response = refused(shopper, "budget-exhausted")
    assert document.keys() >= FIGURES
    assert all(isinstance(document[name], str) and "e" not in document[name].lower() for name in MONEY)
    told = (document["reason"], document["scope"], document["period"])
    assert told == ("budget_exhausted", "team", "day")
    assert (document["limit_usd"], document["spent_usd"]) == ("1", "0.75")
    assert (document["external_usd"], document["reserved_usd"]) == ("0.249999999999", "0")
    assert datetime.fromisoformat(document["resets_at"]) == midnight()
    until = (midnight() - timezone.now()).total_seconds()
    assert 0 <= int(response.headers["Retry-After"]) - until <= 5
    assert claude.requests == []


def test_money_that_others_hold_is_worth_another_try(shopper: Shopper, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=shopper.team, limit_usd=Decimal("0.2"))
    reserve(shopper.team, "0.2", now=timezone.now())
    document, response = refused(shopper, "budget-in-flight")
    assert (document["reason"], document["reserved_usd"], document["spent_usd"]) == ("in_flight", "0.2", "0")
    assert response.headers["Retry-After"] == "2"


@pytest.mark.parametrize(("values", "told"), [({"limit_usd": 0}, None), ({"request_cap_usd": "0.001"}, "0.001")])
def test_a_question_that_is_too_dear_is_not_worth_another_try(
    shopper: Shopper, claude: ClaudeStandIn, values: dict[str, Any], told: str | None
) -> None:
    BudgetFactory(team=shopper.team, **values)
    document, response = refused(shopper, "request-too-expensive")
    assert (document["reason"], document.get("cap_usd")) == ("request_too_expensive", told)
    assert Decimal(document["needed_usd"]) > Decimal("0.001")
    assert "Retry-After" not in response.headers


def test_questions_that_are_used_up_come_back_with_the_period(shopper: Shopper, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=shopper.team, request_limit=1)
    claude.play("answer", sql=SQL)
    assert shopper.api.post("generate", ASK).status_code == 200
    document, response = refused(shopper, "requests-exhausted", "And who else?")
    assert document["reason"] == "requests_exhausted"
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("scope", ["organisation", "team", "key"])
def test_the_scope_is_told_and_no_foreign_name(shopper: Shopper, claude: ClaudeStandIn, scope: str) -> None:
    key = shopper.principal.api_key_id if scope == "key" else None
    team = None if scope == "organisation" else shopper.team
    BudgetFactory(team=team, api_key_id=key, limit_usd=0)
    spend(TeamFactory(slug="secretive"), "0", now=timezone.now())
    document, response = refused(shopper, "request-too-expensive")
    assert document["scope"] == scope
    assert "secretive" not in response.content.decode()


def test_the_cheaper_models_answer_says_so_in_every_document(shopper: Shopper, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=shopper.team, limit_usd=Decimal(1), at_limit="degrade", degrade_from=50)
    spend(shopper.team, "0.5", now=timezone.now())
    claude.play("answer", sql=SQL)
    answer = shopper.api.post("generate", ASK).json()
    assert (answer["rung"], answer["model"], answer["status"]) == ("degraded", "claude-haiku-5-5", "succeeded")
    assert shopper.api.get(f"generations/{answer['id']}").json()["rung"] == "degraded"
    again = shopper.api.post("generate", ASK).json()
    assert (again["rung"], again["cached"], again["model"]) == ("degraded", True, "claude-haiku-5-5")


# --- Headers --------------------------------------------------------------------------------------------------------


def test_an_answer_tells_what_the_tightest_budget_has_left(shopper: Shopper, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=None, period="month", limit_usd=Decimal(100))
    BudgetFactory(team=shopper.team, limit_usd=Decimal(2))
    BudgetFactory(team=shopper.team, period="week", limit_usd=Decimal("0.01"), at_limit="alert")  # limits nobody
    claude.play("answer", sql=SQL)
    response = shopper.api.post("generate", ASK)
    left = Decimal(2) - Decimal(response.json()["cost_usd"])
    assert Decimal(response.headers["X-Budget-Remaining-USD"]) == left
    assert response.headers["X-Budget-Resets"].endswith("Z")
    assert datetime.fromisoformat(response.headers["X-Budget-Resets"]) == midnight()
    cached = shopper.api.post("generate", ASK)
    assert Decimal(cached.headers["X-Budget-Remaining-USD"]) == left


def test_what_is_left_is_never_less_than_nothing(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL)
    shopper.api.post("generate", ASK)
    BudgetFactory(team=shopper.team, limit_usd=0)
    assert shopper.api.post("generate", ASK).headers["X-Budget-Remaining-USD"] == "0"


def test_without_a_budget_there_is_no_header(shopper: Shopper, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL)
    headers = shopper.api.post("generate", ASK).headers
    assert not [name for name in headers if name.startswith("X-Budget")]


# --- Reading --------------------------------------------------------------------------------------------------------


def test_the_budgets_that_apply_to_a_key_are_shown_and_no_others(shopper: Shopper) -> None:
    other = make_key(shopper.team)[0]
    BudgetFactory(team=None, period="month", limit_usd=Decimal(100))
    team = BudgetFactory(team=shopper.team, limit_usd=Decimal(2), request_limit=50)
    BudgetFactory(team=shopper.team, api_key_id=shopper.principal.api_key_id, period="week", at_limit="alert")
    BudgetFactory(team=shopper.team, api_key=other, limit_usd=Decimal(7))
    BudgetFactory(team=TeamFactory(slug="marketing"), limit_usd=Decimal(9))
    spend(shopper.team, "0.5", now=timezone.now())
    found = shopper.api.get("budget").json()
    assert [(one["scope"], one["period"], one["at_limit"]) for one in found] == [
        ("organisation", "month", "block"), ("team", "day", "block"), ("key", "week", "alert"),
    ]  # fmt: skip
    assert [one["spent_usd"] for one in found] == ["0.5", "0.5", "0"]
    assert (found[1]["requests"], found[1]["request_limit"], found[1]["remaining_usd"]) == (1, 50, "1.5")
    team.delete()
    assert len(shopper.api.get("budget").json()) == 2


def test_a_window_shows_its_top_up_and_what_was_spent_outside(shopper: Shopper) -> None:
    budget = BudgetFactory(team=shopper.team, limit_usd=Decimal(2))
    window = window_open(budget=budget, at=timezone.now())
    BudgetWindow.objects.filter(pk=window.pk).update(top_up_usd=Decimal(1), external_usd=Decimal("0.25"))
    (found,) = shopper.api.get("budget").json()
    assert (found["limit_usd"], found["external_usd"], found["remaining_usd"]) == ("3", "0.25", "2.75")


def test_windows_end_by_the_teams_clock(shopper: Shopper) -> None:
    shopper.team.time_zone = "Asia/Kathmandu"
    shopper.team.save()
    BudgetFactory(team=shopper.team)
    (found,) = shopper.api.get("budget").json()
    assert datetime.fromisoformat(found["resets_at"]).astimezone(UTC).strftime("%H:%M") == "18:15"


def test_another_team_sees_nothing_of_it(shopper: Shopper) -> None:
    Budget.objects.all().delete()
    BudgetFactory(team=shopper.team)
    stranger = ApiClient(make_key(TeamFactory(slug="marketing"))[1])
    assert stranger.get("budget").json() == []


def test_usage_adds_up_to_what_was_charged(shopper: Shopper, claude: ClaudeStandIn) -> None:
    for number in range(3):
        claude.play("answer", sql=SQL)
        shopper.api.post("generate", {**ASK, "question": f"Who is customer {number}?"})
    shopper.api.post("generate", {**ASK, "question": "Who is customer 0?"})
    BudgetFactory(team=shopper.team, limit_usd=0)
    refused(shopper, "request-too-expensive", "Too late?")
    total = shopper.api.get("usage").json()["total"]
    assert (total["generations"], total["cached"], total["failed"]) == (5, 1, 1)
    assert Decimal(total["cost_usd"]) == sum(bill.cost for bill in claude.billed)
    assert total["tokens"]["output"] == sum(bill.usage.output for bill in claude.billed)
