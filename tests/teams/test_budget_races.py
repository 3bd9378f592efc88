"""Many threads at one budget, and what happens to it while questions are being admitted and settled."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from teams.models import Budget, BudgetWindow, Charge, Reservation
from teams.services.budgets import BudgetExceeded
from teams.services.windows import window_open
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.teams.conftest import Crowd
from tests.teams.spending import NOON, reserve, settle, spend, spender

pytestmark = pytest.mark.services


def only_window(budget: Budget) -> BudgetWindow:
    return BudgetWindow.objects.get(budget=budget)


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
    window = only_window(budget)  # one, though all of them tried to make it
    assert (window.reserved_usd, window.spent_usd, window.requests) == (Decimal("0.23"), 0, 23)

    # Settled twice each, all at once: booked once each.
    doubled = crowd(46, lambda number: settle(budget.team, admitted[number // 2], "0.004"))
    assert sorted(outcome is None for outcome in doubled) == [False] * 23 + [True] * 23
    window.refresh_from_db()
    assert (window.reserved_usd, window.spent_usd) == (0, 23 * Decimal("0.004"))
    assert Charge.objects.count() == 23


def test_reserving_and_settling_at_once_never_passes_a_limit_of_any_scope(crowd: Crowd[Any]) -> None:
    # Opened in another order than the budgets are found in, so that locking in any order but one would deadlock.
    now, teams = timezone.now(), [TeamFactory() for _ in range(3)]
    keys = [make_key(team)[0] for team in teams]
    budgets = [
        BudgetFactory(team=team, api_key=key, limit_usd=Decimal("0.15")) for team, key in zip(teams, keys, strict=True)
    ]
    budgets += [BudgetFactory(team=team, limit_usd=Decimal("0.25")) for team in teams]
    budgets += [BudgetFactory(team=None, period="month", limit_usd=Decimal("0.50"))]
    for number in (3, 6, 0, 2, 5, 1, 4):
        window_open(budget=budgets[number], at=now)

    def work(number: int) -> Decimal:
        team = teams[number % 3]
        who, booked = spender(team, keys[number % 3].pk if number % 2 else None), Decimal(0)
        for _ in range(6):
            try:
                attempt = reserve(who, "0.02", most="0.03", now=timezone.now())
            except BudgetExceeded:
                continue
            booked += settle(who, attempt, f"0.0{number % 2 + 1}") or 0
        return booked

    booked = sum(crowd(24, work))
    assert booked == sum(charge.cost_usd for charge in Charge.objects.all())
    for window in BudgetWindow.objects.select_related("budget"):
        assert window.reserved_usd == 0
        assert window.spent_usd <= window.budget.limit_usd
    assert only_window(budgets[-1]).spent_usd == booked > Decimal("0.45")  # it stopped only when nothing fitted


def test_two_hosts_open_one_window(crowd: Crowd[Any]) -> None:
    budget, now = BudgetFactory(), timezone.now()
    spend(budget.team, "0.25", now=now)
    BudgetWindow.objects.all().delete()
    opened = crowd(16, lambda _: window_open(budget=budget, at=now).pk)
    assert len(set(opened)) == BudgetWindow.objects.count() == 1
    assert only_window(budget).spent_usd == Decimal("0.25")


def test_hosts_that_disagree_about_the_clock_make_no_windows_that_overlap(crowd: Crowd[Any]) -> None:
    budget = BudgetFactory()
    crowd(16, lambda number: window_open(budget=budget, at=NOON + timedelta(hours=number % 4 * 9)).pk)
    windows = list(BudgetWindow.objects.order_by("starts_at"))
    assert [one.ends_at for one in windows[:-1]] == [other.starts_at for other in windows[1:]]
    assert len(windows) == 2


def test_budgets_made_and_taken_away_in_between_lose_and_double_nothing(crowd: Crowd[Any]) -> None:
    team = TeamFactory()
    BudgetFactory(team=None, period="month", limit_usd=Decimal(100))

    def work(number: int) -> int:
        if number < 2:
            for turn in range(12):
                budget = BudgetFactory(team=team, period=("day", "week")[number], limit_usd=Decimal(100))
                if turn < 11:
                    budget.delete()
            return 0
        for _ in range(12):
            settle(team, reserve(team, "0.03", now=timezone.now()), "0.01")
        return 12

    count = sum(crowd(12, work))
    assert not Reservation.objects.exists()
    assert Charge.objects.count() == count == 120
    for budget in Budget.objects.all():
        window = window_open(budget=budget, at=timezone.now())
        assert (budget.period, window.spent_usd, window.reserved_usd) == (budget.period, Decimal("1.20"), 0)


def test_a_new_budget_waits_for_a_reservation_that_is_being_made_and_holds_it(transactional_db: None) -> None:
    team, now = TeamFactory(), timezone.now()
    with transaction.atomic():
        reserve(team, "0.4", now=now)
        made = in_background(lambda: BudgetFactory(team=team, limit_usd=Decimal(1)))
        made.join(0.3)
        assert made.is_alive()
    made.join()
    assert window_open(budget=Budget.objects.get(), at=now).reserved_usd == Decimal("0.4")


def test_a_reservation_waits_for_a_budget_that_is_being_made_and_is_held_in_it(transactional_db: None) -> None:
    team, now = TeamFactory(), timezone.now()
    with transaction.atomic():
        budget = BudgetFactory(team=team, limit_usd=Decimal(1))
        held = in_background(lambda: reserve(team, "0.4", now=now))
        held.join(0.3)
        assert held.is_alive()
    held.join()
    assert only_window(budget).reserved_usd == Decimal("0.4")


def test_opening_a_window_waits_for_who_settles_and_never_the_other_way_round(transactional_db: None) -> None:
    # A question that settles holds its reservation and wants the organisation's window; the one that opens the team's
    # new window wants that reservation: whoever held the window meanwhile would stop both for ever.
    team, now = TeamFactory(), timezone.now()
    organisation = BudgetFactory(team=None, limit_usd=Decimal(5))
    attempt = reserve(team, "0.4", now=now)
    budget = BudgetFactory(team=team, limit_usd=Decimal(5))
    deleted, opening = Event(), Event()

    def pausing(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith("DELETE FROM teams_reservation"):
            deleted.set()
            opening.wait(20)
        return result

    def settling() -> None:
        with connection.execute_wrapper(pausing):
            settle(team, attempt, "0.3")

    first = in_background(settling)
    assert deleted.wait(20)
    second = in_background(lambda: reserve(team, "0.2", now=now))
    second.join(0.3)  # it has come as far as the reservation
    assert second.is_alive()
    opening.set()
    first.join()
    second.join()
    for window in (only_window(organisation), only_window(budget)):
        assert (window.spent_usd, window.reserved_usd) == (Decimal("0.3"), Decimal("0.2"))


class Background(Thread):
    """A thread with a connection of its own; what it raises is raised where it is joined."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None

    def run(self) -> None:
        with closing(connection):
            try:
                self._work()
            except BaseException as error:  # noqa: BLE001  # raised again by `join`
                self._error = error

    def join(self, timeout: float | None = 60) -> None:
        super().join(timeout)
        if self._error is not None:
            raise self._error


def in_background(work: Callable[[], object]) -> Background:
    thread = Background(work)
    thread.start()
    return thread
