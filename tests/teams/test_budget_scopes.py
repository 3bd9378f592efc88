"""Several budgets hold together, each by its scope and by what it does at its limit; they change in between."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from teams.models import Budget, BudgetWindow, Charge, Reservation
from teams.services.budgets import charge_cached
from teams.services.top_ups import window_top_up
from teams.services.windows import window_open
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.teams.spending import NOON, figures, refused, reserve, settle, spend, spender, window_of

pytestmark = pytest.mark.django_db


def test_money_is_held_in_every_budget_that_applies_and_in_no_other() -> None:
    team, other = TeamFactory(), TeamFactory()
    key, sibling = make_key(team)[0], make_key(team)[0]
    applying = [
        BudgetFactory(team=None), BudgetFactory(team=None, period="month"), BudgetFactory(team=team, period="week"),
        BudgetFactory(team=team, api_key=key),
    ]  # fmt: skip
    foreign = [BudgetFactory(team=team, api_key=sibling), BudgetFactory(team=other)]
    who = spender(team, key.pk)
    attempt = reserve(who, "0.4")
    assert {figures(budget) for budget in applying} == {(0, Decimal("0.4"))}
    settle(who, attempt, "0.3")
    assert {figures(budget) for budget in applying} == {(Decimal("0.3"), 0)}
    assert not BudgetWindow.objects.filter(budget__in=foreign).exists()


@pytest.mark.parametrize("scope", ["organisation", "team", "key"])
def test_the_budget_that_lacks_money_refuses_and_the_others_hold_nothing(scope: str) -> None:
    team = TeamFactory()
    key = make_key(team)[0]
    budgets = {
        "organisation": BudgetFactory(team=None),
        "team": BudgetFactory(team=team),
        "key": BudgetFactory(team=team, api_key=key),
    }
    Budget.objects.filter(pk=budgets[scope].pk).update(limit_usd=Decimal("0.1"))
    who = spender(team, key.pk)
    spend(who, "0.05")
    refusal = refused(who, "0.06")
    assert (refusal.reason, refusal.state.scope, refusal.state.budget_id) == (
        "budget_exhausted", scope, budgets[scope].pk,
    )  # fmt: skip
    assert {figures(budget)[1] for budget in budgets.values()} == {0}


def test_teams_share_the_organisations_budget_and_nothing_else() -> None:
    one, two = TeamFactory(), TeamFactory()
    BudgetFactory(team=None, limit_usd=Decimal(1))
    BudgetFactory(team=one, limit_usd=Decimal("0.7"))
    BudgetFactory(team=two, limit_usd=Decimal("0.7"))
    reserve(one, "0.6")
    assert refused(two, "0.5").state.scope == "organisation"
    reserve(two, "0.4")


def test_the_key_of_one_does_not_spend_the_budget_of_another() -> None:
    team = TeamFactory()
    mine, hers = make_key(team)[0], make_key(team)[0]
    BudgetFactory(team=team, api_key=mine, limit_usd=Decimal("0.1"))
    reserve(spender(team, hers.pk), "5")
    reserve(spender(team), "5")
    reserve(spender(team, mine.pk), "0.1")
    assert refused(spender(team, mine.pk), "0.1").state.scope == "key"


def test_of_two_that_are_spent_the_one_that_resets_last_is_told() -> None:
    team = TeamFactory()
    for period in ("day", "month", "week"):
        BudgetFactory(team=team, period=period, limit_usd=Decimal(1))
    spend(team, "0.9")
    assert refused(team, "0.2").state.period == "month"


def test_a_budget_that_only_warns_never_refuses_but_its_cap_does() -> None:
    budget = BudgetFactory(limit_usd=Decimal("0.1"), at_limit="alert", request_limit=1, request_cap_usd=Decimal(3))
    for _ in range(3):
        spend(budget.team, "0.5")
    assert figures(budget) == (Decimal("1.5"), 0)
    assert refused(budget.team, "3.1").reason == "request_too_expensive"


@pytest.mark.parametrize(("spent", "asked"), [("0.89", None), ("0.9", "degrade"), ("0.97", "degrade")])
def test_from_its_percent_on_the_cheaper_model_is_wanted(spent: str, asked: str | None) -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), at_limit="degrade", degrade_from=90)
    spend(budget.team, spent)
    if asked is None:
        reserve(budget.team, "0.05")
    else:
        refusal = refused(budget.team, "0.01")
        assert (refusal.reason, refusal.may_degrade) == (asked, True)
        reserve(budget.team, "0.01", degraded=True)


def test_the_cheaper_model_too_stops_at_the_limit() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), at_limit="degrade")
    spend(budget.team, "0.95")
    refusal = refused(budget.team, "0.06", degraded=True)
    assert (refusal.reason, refusal.may_degrade) == ("budget_exhausted", False)
    reserve(budget.team, "0.05", degraded=True)
    assert figures(budget) == (Decimal("0.95"), Decimal("0.05"))


def test_questions_that_run_out_degrade_too_and_then_end() -> None:
    budget = BudgetFactory(at_limit="degrade", degrade_from=50, request_limit=4)
    for _ in range(2):
        spend(budget.team, "0.01")
    assert refused(budget.team, "0.01").reason == "degrade"
    for _ in range(2):
        settle(budget.team, reserve(budget.team, "0.01", degraded=True), "0.01")
    dear = refused(budget.team, "0.01")
    assert (dear.reason, dear.may_degrade) == ("requests_exhausted", True)  # a cached answer of the cheaper one helps
    cheap = refused(budget.team, "0.01", degraded=True)
    assert (cheap.reason, cheap.may_degrade) == ("requests_exhausted", False)


def test_a_budget_that_blocks_lets_the_cheaper_model_of_another_budget_try() -> None:
    team = TeamFactory()
    BudgetFactory(team=None, limit_usd=Decimal(1))
    BudgetFactory(team=team, at_limit="degrade", limit_usd=Decimal(5))
    spend(team, "0.8")
    refusal = refused(team, "0.3")
    assert (refusal.reason, refusal.state.scope, refusal.may_degrade) == ("budget_exhausted", "organisation", True)
    reserve(team, "0.1", degraded=True)


def test_a_top_up_opens_the_gate_of_this_window_only() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    spend(budget.team, "1")
    assert refused(budget.team, "0.5").reason == "budget_exhausted"
    window_top_up(window=window_of(budget), amount=Decimal("0.5"), reason="Fair week", actor="root")
    reserve(budget.team, "0.5")
    assert refused(budget.team, "0.01").state.limit_usd == Decimal("1.5")
    tomorrow = NOON + timedelta(days=1)
    reserve(budget.team, "1", now=tomorrow)
    assert refused(budget.team, "0.01", now=tomorrow).state.limit_usd == 1


def test_a_cached_answer_is_booked_everywhere_and_never_refused() -> None:
    team = TeamFactory()
    key = make_key(team)[0]
    budgets = [BudgetFactory(team=None, limit_usd=0), BudgetFactory(team=team, limit_usd=0, request_limit=0)]
    cost, generation_id = Decimal("0.0000000625"), uuid4()
    charge_cached(
        generation_id=generation_id, spender=spender(team, key.pk, "nina"), model="m", database="shop", cost=cost,
        now=NOON,
    )  # fmt: skip
    assert {figures(budget) for budget in budgets} == {(cost, 0)}
    assert {window_of(budget).requests for budget in budgets} == {0}
    charge = Charge.objects.get()
    assert (charge.attempt_id, charge.cached, charge.cost_usd, charge.end_user) == (generation_id, True, cost, "nina")


# --- Changed while a question runs ----------------------------------------------------------------------------------


def test_a_deleted_budget_still_leaves_the_charge() -> None:
    budget = BudgetFactory()
    attempt = reserve(budget.team, "0.4")
    team = budget.team
    budget.delete()
    assert settle(team, attempt, "0.3") == Decimal("0.3")
    assert Charge.objects.get().cost_usd == Decimal("0.3")
    assert not Reservation.objects.exists()


def test_of_two_budgets_the_one_that_stays_is_booked() -> None:
    gone, stays = BudgetFactory(period="day"), BudgetFactory(period="month")
    Budget.objects.filter(pk=stays.pk).update(team=gone.team)
    attempt = reserve(gone.team, "0.4")
    gone.delete()
    settle(gone.team, attempt, "0.3")
    assert figures(stays) == (Decimal("0.3"), 0)


@pytest.mark.parametrize("scope", ["organisation", "team", "key"])
def test_a_budget_made_while_a_question_runs_holds_its_money_too(scope: str) -> None:
    team, other = TeamFactory(), TeamFactory()
    key = make_key(team)[0]
    who, elsewhere = spender(team, key.pk), reserve(other, "0.25")
    spend(who, "0.1")
    attempt = reserve(who, "0.4")
    values: dict[str, Any] = {"team": None if scope == "organisation" else team}
    if scope == "key":
        values["api_key"] = key
    budget = BudgetFactory(**values, limit_usd=Decimal("0.8"))
    window_open(budget=budget, at=NOON)
    everyones = Decimal("0.25") if scope == "organisation" else Decimal(0)
    assert figures(budget) == (Decimal("0.1"), Decimal("0.4") + everyones)
    assert refused(who, "0.31").reason == "in_flight"
    settle(who, attempt, "0.3")
    settle(other, elsewhere, "0.2")
    assert figures(budget) == (Decimal("0.4") + (Decimal("0.2") if everyones else 0), 0)


def test_what_runs_since_another_period_is_not_taken_over() -> None:
    team = TeamFactory()
    yesterday = reserve(team, "0.4", now=NOON - timedelta(days=1))
    budget = BudgetFactory(team=team)
    window_open(budget=budget, at=NOON)
    settle(team, yesterday, "0.4")
    assert figures(budget) == (0, 0)


def test_a_lowered_limit_holds_from_the_next_question_on() -> None:
    budget = BudgetFactory(limit_usd=Decimal(5))
    attempt = reserve(budget.team, "4")
    budget.limit_usd = Decimal(1)
    budget.save()
    assert refused(budget.team, "0.1").reason == "in_flight"
    settle(budget.team, attempt, "0.9")
    assert figures(budget) == (Decimal("0.9"), 0)
    reserve(budget.team, "0.1")


def test_a_budget_made_anew_counts_what_the_old_one_did() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    team = budget.team
    spend(team, "0.6")
    attempt = reserve(team, "0.3")
    budget.delete()
    again = BudgetFactory(team=team, limit_usd=Decimal(1))
    assert refused(team, "0.2").state.spent_usd == Decimal("0.6")
    settle(team, attempt, "0.1")
    assert figures(again) == (Decimal("0.7"), 0)


def test_a_changed_period_begins_when_the_running_window_ends() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    spend(budget.team, "0.6")
    budget.period = "month"
    budget.save()
    assert refused(budget.team, "0.5").state.resets_at == NOON.replace(hour=0) + timedelta(days=1)
    tomorrow = NOON + timedelta(days=1)
    refusal = refused(budget.team, "0.5", now=tomorrow)  # the month counts what its days have spent
    assert (refusal.state.period, refusal.state.spent_usd) == ("month", Decimal("0.6"))
