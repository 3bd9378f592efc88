"""The gate: what is held, what is refused with which figures, and what is booked."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from observability.services.prices import TokenUsage
from teams.models import Budget, BudgetWindow, Charge, Reservation
from teams.services.budgets import budget_state
from teams.services.windows import budgets_applying, window_open, windows_open
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.teams.spending import NOON, figures, refused, reserve, settle, spend, spender, window_of

pytestmark = pytest.mark.django_db


def test_money_is_held_then_booked_and_the_rest_given_back() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    attempt = reserve(budget.team, "0.4")
    window = window_of(budget)
    assert (window.reserved_usd, window.spent_usd, window.requests) == (Decimal("0.4"), 0, 1)
    assert (window.starts_at, window.ends_at) == (NOON.replace(hour=0), NOON.replace(hour=0) + timedelta(days=1))
    assert settle(budget.team, attempt, "0.000000000001") == Decimal("0.000000000001")
    assert figures(budget) == (Decimal("0.000000000001"), 0)
    charge = Charge.objects.get(attempt_id=attempt)
    assert (charge.input_tokens, charge.cache_write_5m_tokens, charge.cache_write_1h_tokens) == (100, 20, 3)
    assert (charge.cache_read_tokens, charge.output_tokens, charge.estimated) == (4000, 350, False)
    assert (charge.started_at, charge.charged_at, charge.cached) == (NOON, NOON, False)
    assert not Reservation.objects.exists()


def test_who_spent_is_in_the_ledger() -> None:
    team = TeamFactory()
    key, _, _ = make_key(team)
    nina = spender(team, key.pk, "nina")
    settle(nina, reserve(nina, "1"), "0.5")
    charge = Charge.objects.get()
    assert (charge.team_id, charge.api_key_id, charge.end_user, charge.database) == (team.pk, key.pk, "nina", "shop")


def test_settling_twice_books_once() -> None:
    budget = BudgetFactory()
    attempt = reserve(budget.team, "0.4")
    assert settle(budget.team, attempt, "0.1") == Decimal("0.1")
    assert settle(budget.team, attempt, "0.3") is None
    assert figures(budget) == (Decimal("0.1"), 0)
    assert Charge.objects.get().cost_usd == Decimal("0.1")


def test_an_unknown_bill_books_the_whole_reservation_and_says_so() -> None:
    budget = BudgetFactory()
    attempt = reserve(budget.team, "0.4")
    assert settle(budget.team, attempt, None, usage=TokenUsage(), estimated=True) == Decimal("0.4")
    assert figures(budget) == (Decimal("0.4"), 0)
    assert Charge.objects.get().estimated


def test_the_last_cent_may_be_held_and_not_a_trillionth_more() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    reserve(budget.team, "0.6")
    refused(budget.team, "0.400000000001")
    reserve(budget.team, "0.4")
    assert figures(budget) == (0, 1)
    assert Reservation.objects.count() == 2


@pytest.mark.parametrize(("limit", "held"), [("5", "0.9"), ("0.7", "0.7"), ("0.3", "0.3")])
def test_what_is_held_shrinks_to_the_money_that_is_left(limit: str, held: str) -> None:
    budget = BudgetFactory(limit_usd=Decimal(limit))
    attempt = reserve(budget.team, "0.3", most="0.9")
    assert Reservation.objects.get(pk=attempt).amount_usd == figures(budget)[1] == Decimal(held)


def test_below_the_least_nothing_is_held() -> None:
    budget = BudgetFactory(limit_usd=Decimal("0.299999999999"))
    assert refused(budget.team, "0.3", most="0.9").needed_usd == Decimal("0.3")
    assert figures(budget) == (0, 0)


@pytest.mark.parametrize(
    ("spent", "held", "asked", "reason"),
    [
        ("0", "0.7", "0.4", "in_flight"),
        ("0.3", "0.6", "0.7", "in_flight"),
        ("0.7", "0", "0.4", "budget_exhausted"),
        ("0.7", "0.2", "0.4", "budget_exhausted"),
        ("1.2", "0", "0.1", "budget_exhausted"),  # the limit was lowered after the spending
        ("0", "0", "1.1", "request_too_expensive"),
    ],
)
def test_a_refusal_says_why_with_its_figures_and_holds_nothing(spent: str, held: str, asked: str, reason: str) -> None:
    budget = BudgetFactory(limit_usd=Decimal(2))
    if Decimal(spent):
        spend(budget.team, spent)
    if Decimal(held):
        reserve(budget.team, held)
    Budget.objects.update(limit_usd=1)
    refusal = refused(budget.team, asked)
    state = refusal.state
    assert (refusal.reason, state.scope, state.period, state.limit_usd) == (reason, "team", "day", Decimal(1))
    assert (state.spent_usd, state.reserved_usd, refusal.needed_usd) == tuple(map(Decimal, (spent, held, asked)))
    assert state.external_usd.is_zero()
    assert state.resets_at == NOON.replace(hour=0) + timedelta(days=1)
    assert (state.budget_id, state.starts_at) == (budget.pk, NOON.replace(hour=0))
    assert not refusal.may_degrade
    assert str(refusal)
    assert figures(budget) == (Decimal(spent), Decimal(held))
    assert Reservation.objects.count() == bool(Decimal(held))


def test_a_team_without_a_budget_has_no_limit_but_is_charged() -> None:
    team = TeamFactory()
    assert settle(team, reserve(team, "1000"), "999") == 999
    assert Charge.objects.get().team_id == team.pk
    assert not BudgetWindow.objects.exists()
    assert budget_state(spender(team), now=NOON) is None


def test_money_that_was_spent_outside_counts() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    window = window_open(budget=budget, at=NOON)
    BudgetWindow.objects.filter(pk=window.pk).update(external_usd=Decimal("0.8"))
    refusal = refused(budget.team, "0.3")
    assert (refusal.reason, refusal.state.external_usd) == ("budget_exhausted", Decimal("0.8"))
    reserve(budget.team, "0.2")


def test_as_many_questions_as_allowed_and_a_retry_is_no_new_one() -> None:
    budget = BudgetFactory(request_limit=2)
    spend(budget.team, "0.01")
    reserve(budget.team, "0.01")
    reserve(budget.team, "0.01", is_new_question=False)
    refusal = refused(budget.team, "0.01")
    assert (refusal.reason, window_of(budget).requests) == ("requests_exhausted", 2)
    reserve(budget.team, "0.01", now=NOON + timedelta(days=1))


def test_a_call_that_could_cost_more_than_the_cap_is_refused_or_shrunk_to_it() -> None:
    budget = BudgetFactory(request_cap_usd=Decimal("0.05"))
    refusal = refused(budget.team, "0.06")
    assert (refusal.reason, refusal.cap_usd) == ("request_too_expensive", Decimal("0.05"))
    reserve(budget.team, "0.02", most="0.09")
    assert figures(budget) == (0, Decimal("0.05"))


def test_a_charge_after_midnight_is_booked_in_the_window_that_held_it() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), team__time_zone="Europe/Berlin")
    before = datetime(2026, 11, 23, 22, 59, 59, tzinfo=UTC)
    after = before + timedelta(seconds=10)
    attempt = reserve(budget.team, "0.9", now=before)
    reserve(budget.team, "0.8", now=after)  # the new day has its whole budget
    settle(budget.team, attempt, "0.5", now=after)
    assert figures(budget, at=before) == (Decimal("0.5"), 0)
    assert figures(budget, at=after) == (0, Decimal("0.8"))
    old, new = BudgetWindow.objects.order_by("starts_at")
    assert old.ends_at == new.starts_at == datetime(2026, 11, 23, 23, tzinfo=UTC)


def test_the_second_reservation_of_a_period_is_one_statement_and_the_settlement_two() -> None:
    team = TeamFactory()
    key, _, _ = make_key(team)
    for scope in ({"team": None}, {"team": team}, {"team": team, "api_key": key}):
        for period in Budget.Period.values:
            BudgetFactory(**scope, period=period)
    who = spender(team, key.pk)
    reserve(who, "0.001")
    with CaptureQueriesContext(connection) as queries:
        attempt = reserve(who, "0.001")
    assert [query["sql"].split()[0] for query in queries] == ["SAVEPOINT", "WITH", "RELEASE"]
    with CaptureQueriesContext(connection) as queries:
        settle(who, attempt, "0.001")
    assert [query["sql"].split()[0] for query in queries] == ["SAVEPOINT", "DELETE", "WITH", "RELEASE"]
    assert {figures(budget) for budget in Budget.objects.all()} == {(Decimal("0.001"), Decimal("0.001"))}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("window_reserved_not_negative", {"reserved_usd": Decimal("-0.000000000001")}),
        ("window_ends_after_start", {"ends_at": NOON - timedelta(days=1)}),
        ("window_counts_from_its_period", {"counts_from": NOON}),
    ],
)
def test_the_database_keeps_windows_sane(name: str, changes: dict[str, Any]) -> None:
    window_open(budget=BudgetFactory(), at=NOON)
    with pytest.raises(IntegrityError, match=name):
        BudgetWindow.objects.update(**changes)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("budget_limit_not_negative", {"limit_usd": Decimal(-1)}),
        ("budget_at_limit_known", {"at_limit": "beg"}),
        ("budget_of_a_key_names_its_team", {"team": None, "api_key_id": "key"}),
    ],
)
def test_the_database_refuses_a_budget_that_makes_no_sense(name: str, values: dict[str, Any]) -> None:
    if "api_key_id" in values:
        values = {**values, "api_key_id": make_key(TeamFactory())[0].pk}
    with pytest.raises(IntegrityError, match=name):
        BudgetFactory(**values)


@pytest.mark.parametrize("scope", ["organisation", "team", "key"])
def test_there_is_one_budget_of_a_scope_and_period(scope: str) -> None:
    team = TeamFactory()
    values: dict[str, Any] = {"team": None if scope == "organisation" else team}
    if scope == "key":
        values["api_key"] = make_key(team)[0]
    assert BudgetFactory(**values).scope == scope
    BudgetFactory(**values, period="month")
    with pytest.raises(IntegrityError, match="one_budget_per_scope_and_period"):
        BudgetFactory(**values)


def test_the_state_is_of_the_window_that_leaves_the_least() -> None:
    team = TeamFactory()
    BudgetFactory(team=None, limit_usd=Decimal(100))
    tight = BudgetFactory(team=team, period="month", limit_usd=Decimal(2))
    BudgetFactory(team=team, period="day", limit_usd=Decimal("0.1"), at_limit="alert")  # limits nobody
    reserve(team, "0.5")
    state = budget_state(spender(team), now=NOON)
    assert state is not None
    assert (state.budget_id, state.remaining_usd) == (tight.pk, Decimal("1.5"))
    assert state.resets_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_windows_are_opened_for_the_budgets_that_apply() -> None:
    team, other = TeamFactory(), TeamFactory()
    mine, hers = make_key(team)[0], make_key(team)[0]
    made = [BudgetFactory(team=None), BudgetFactory(team=team), BudgetFactory(team=team, api_key=mine)]
    BudgetFactory(team=team, api_key=hers)
    BudgetFactory(team=other)

    def opened(team_id: str, key: UUID | None) -> list[int]:
        windows = windows_open(budgets_applying(team_id=team_id, api_key_id=key), at=NOON)
        return [window.budget_id for window in windows]

    assert opened(team.pk, mine.pk) == [budget.pk for budget in made]
    assert opened(team.pk, None) == [budget.pk for budget in made[:2]]
    assert opened("nobody", uuid4()) == [made[0].pk]
