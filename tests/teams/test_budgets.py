"""The gate: what is held, what is refused with which figures, and what is booked."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from observability.services.prices import TokenUsage
from teams.models import Budget, BudgetWindow, Charge, Reservation, Team
from teams.services.budgets import BudgetExceeded, budget_reserve, charge_settle, windows_open
from tests.factories import BudgetFactory, TeamFactory
from tests.teams.conftest import Crowd

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
USAGE = TokenUsage(input=100, cache_write_5m=20, cache_write_1h=3, cache_read=4000, output=350, thinking=200)


def reserve(team: Team, amount: str, *, now: datetime = NOON) -> UUID:
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
    return attempt_id


def settle(attempt_id: UUID, cost: str | None, **changes: Any) -> Decimal | None:
    values: dict[str, Any] = {"usage": USAGE, "now": NOON, "estimated": False, **changes}
    return charge_settle(
        attempt_id=attempt_id,
        model="claude-sonnet-5-5",
        database="shop",
        api_key_id=None,
        cost=None if cost is None else Decimal(cost),
        **values,
    )


def window_of(budget: Budget) -> BudgetWindow:
    return BudgetWindow.objects.get(budget=budget)


@pytest.mark.django_db
def test_money_is_held_then_booked_and_the_rest_given_back() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    attempt = reserve(budget.team, "0.4")
    window = window_of(budget)
    assert (window.reserved_usd, window.spent_usd) == (Decimal("0.4"), 0)
    assert (window.starts_at, window.ends_at) == (NOON.replace(hour=0), NOON.replace(hour=0) + timedelta(days=1))
    assert settle(attempt, "0.000000000001") == Decimal("0.000000000001")
    window.refresh_from_db()
    assert (window.reserved_usd, window.spent_usd) == (0, Decimal("0.000000000001"))
    charge = Charge.objects.get(attempt_id=attempt)
    assert (charge.input_tokens, charge.cache_write_5m_tokens, charge.cache_write_1h_tokens) == (100, 20, 3)
    assert (charge.cache_read_tokens, charge.output_tokens, charge.estimated) == (4000, 350, False)
    assert not Reservation.objects.exists()


@pytest.mark.django_db
def test_settling_twice_books_once() -> None:
    budget = BudgetFactory()
    attempt = reserve(budget.team, "0.4")
    assert settle(attempt, "0.1") == Decimal("0.1")
    assert settle(attempt, "0.3") is None
    assert window_of(budget).spent_usd == Decimal("0.1")
    assert Charge.objects.get().cost_usd == Decimal("0.1")


@pytest.mark.django_db
def test_an_unknown_bill_books_the_whole_reservation_and_says_so() -> None:
    budget = BudgetFactory()
    assert settle(reserve(budget.team, "0.4"), None, usage=TokenUsage(), estimated=True) == Decimal("0.4")
    assert (window_of(budget).spent_usd, window_of(budget).reserved_usd) == (Decimal("0.4"), 0)
    assert Charge.objects.get().estimated


@pytest.mark.django_db
def test_the_last_cent_may_be_held_and_not_a_trillionth_more() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    reserve(budget.team, "0.6")
    with pytest.raises(BudgetExceeded):
        reserve(budget.team, "0.400000000001")
    reserve(budget.team, "0.4")
    assert window_of(budget).reserved_usd == 1
    assert Reservation.objects.count() == 2


@pytest.mark.django_db
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
        settle(reserve(budget.team, spent), spent)
    if Decimal(held):
        reserve(budget.team, held)
    Budget.objects.update(limit_usd=1)
    with pytest.raises(BudgetExceeded) as raised:
        reserve(budget.team, asked)
    refusal = raised.value
    assert (refusal.reason, refusal.period, refusal.limit_usd) == (reason, "day", Decimal(1))
    assert (refusal.spent_usd, refusal.reserved_usd, refusal.needed_usd) == tuple(map(Decimal, (spent, held, asked)))
    assert refusal.resets_at == NOON.replace(hour=0) + timedelta(days=1)
    assert "day" in str(refusal)
    assert sum(window.reserved_usd for window in BudgetWindow.objects.all()) == Decimal(held)
    assert Reservation.objects.count() == bool(Decimal(held))


@pytest.mark.django_db
def test_a_team_without_a_budget_has_no_limit_but_is_charged() -> None:
    team = TeamFactory()
    assert settle(reserve(team, "1000"), "999") == 999
    assert Charge.objects.get().team_id == team.pk
    assert not BudgetWindow.objects.exists()


@pytest.mark.django_db
def test_another_teams_spending_does_not_count() -> None:
    mine, theirs = BudgetFactory(limit_usd=Decimal(1)), BudgetFactory(limit_usd=Decimal(1))
    reserve(theirs.team, "1")
    reserve(mine.team, "1")
    with pytest.raises(BudgetExceeded):
        reserve(mine.team, "0.01")


@pytest.mark.django_db
def test_a_charge_after_midnight_is_booked_in_the_window_that_held_it() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), team__time_zone="Europe/Berlin")
    before = datetime(2026, 11, 23, 22, 59, 59, tzinfo=UTC)
    attempt = reserve(budget.team, "0.9", now=before)
    after = before + timedelta(seconds=10)
    reserve(budget.team, "0.8", now=after)  # the new day has its whole budget
    settle(attempt, "0.5", now=after)
    old, new = BudgetWindow.objects.order_by("starts_at")
    assert (old.spent_usd, old.reserved_usd) == (Decimal("0.5"), 0)
    assert (new.spent_usd, new.reserved_usd) == (0, Decimal("0.8"))
    assert old.ends_at == new.starts_at == datetime(2026, 11, 23, 23, tzinfo=UTC)


@pytest.mark.django_db
def test_a_deleted_budget_still_leaves_the_charge() -> None:
    budget = BudgetFactory()
    attempt = reserve(budget.team, "0.4")
    budget.delete()
    assert settle(attempt, "0.3") == Decimal("0.3")
    assert Charge.objects.get().cost_usd == Decimal("0.3")
    assert not Reservation.objects.exists()


@pytest.mark.django_db
def test_a_budget_made_while_a_question_runs_is_not_charged_for_it() -> None:
    team = TeamFactory()
    attempt = reserve(team, "0.4")
    budget = BudgetFactory(team=team)
    windows_open(team=team, at=NOON)
    settle(attempt, "0.3")
    assert (window_of(budget).spent_usd, window_of(budget).reserved_usd) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("window_reserved_not_negative", {"reserved_usd": Decimal("-0.000000000001")}),
        ("window_ends_after_start", {"ends_at": NOON - timedelta(days=1)}),
    ],
)
def test_the_database_keeps_windows_sane(name: str, changes: dict[str, Any]) -> None:
    team = BudgetFactory().team
    windows_open(team=team, at=NOON)
    with pytest.raises(IntegrityError, match=name):
        BudgetWindow.objects.update(**changes)


@pytest.mark.django_db
def test_the_database_refuses_a_negative_limit() -> None:
    with pytest.raises(IntegrityError, match="budget_limit_not_negative"):
        BudgetFactory(limit_usd=Decimal(-1))


@pytest.mark.services
def test_of_64_at_once_exactly_as_many_are_admitted_as_the_budget_holds(crowd: Crowd[Any]) -> None:
    budget = BudgetFactory(limit_usd=Decimal("0.23"))

    def work(_: int) -> UUID | str:
        try:
            return reserve(budget.team, "0.01", now=timezone.now())
        except BudgetExceeded as refusal:
            return refusal.reason

    outcomes = crowd(64, work)
    admitted = [outcome for outcome in outcomes if isinstance(outcome, UUID)]
    assert len(admitted) == 23
    assert outcomes.count("in_flight") == 64 - 23
    window = window_of(budget)  # one, though all of them tried to make it
    assert (window.reserved_usd, window.spent_usd) == (Decimal("0.23"), 0)

    # Settled twice each, all at once: booked once each.
    doubled = crowd(46, lambda number: settle(admitted[number // 2], "0.004"))
    assert sorted(outcome is None for outcome in doubled) == [False] * 23 + [True] * 23
    window.refresh_from_db()
    assert (window.reserved_usd, window.spent_usd) == (0, 23 * Decimal("0.004"))
    assert Charge.objects.count() == 23


@pytest.mark.services
def test_reserving_and_settling_at_once_never_passes_the_limit(crowd: Crowd[Any]) -> None:
    budget = BudgetFactory(limit_usd=Decimal("0.20"))

    def work(number: int) -> Decimal:
        booked = Decimal(0)
        for _ in range(4):
            try:
                attempt = reserve(budget.team, "0.03", now=timezone.now())
            except BudgetExceeded:
                continue
            booked += settle(attempt, f"0.0{number % 3 + 1}") or 0
        return booked

    booked = sum(crowd(24, work))
    window = window_of(budget)
    assert window.spent_usd == booked == sum(charge.cost_usd for charge in Charge.objects.all())
    assert window.reserved_usd == 0
    assert window.spent_usd <= budget.limit_usd
    assert window.spent_usd > Decimal("0.17")  # it stopped only when 0.03 did not fit any more
