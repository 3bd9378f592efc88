"""Budgets made, changed and taken away at any time while money is held, settled, lost and put right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from teams.models import Budget, BudgetWindow, Charge, Reservation
from teams.services.budgets import BudgetExceeded, Spender, charge_cached
from teams.services.charges import charge_correct
from teams.services.top_ups import window_top_up
from teams.services.windows import budgets_applying, window_open, window_recount, windows_open
from tests.factories import BudgetFactory, GenerationFactory, TeamFactory, make_key
from tests.teams.spending import NOON, reserve, settle
from text2sql.models import Attempt, Database, Generation
from text2sql.services.sweeping import questions_sweep

FAR = datetime(2099, 1, 1, tzinfo=UTC)
CENTS = st.integers(0, 60).map(lambda cents: Decimal(cents) / 100)
SHARES = st.integers(0, 10).map(lambda tenths: Decimal(tenths) / 10)
CLOCKS = st.sampled_from(["UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "Pacific/Niue"])


@dataclass(frozen=True)
class Held:
    """One attempt whose money is held."""

    attempt: UUID
    who: Spender
    amount: Decimal


class Money(RuleBasedStateMachine):
    running: Bundle[Held] = Bundle("running")
    settled: Bundle[Held] = Bundle("settled")

    def __init__(self) -> None:
        super().__init__()
        self.now, self.admitted = NOON, 0
        self.all = transaction.atomic()
        self.all.__enter__()
        # The sweeper wants the outermost transaction: this one is a test's.
        transaction.get_connection().atomic_blocks[-1]._from_testcase = True
        self.teams = [TeamFactory(slug="sales"), TeamFactory(slug="marketing")]
        self.keys = [make_key(team)[0] for team in self.teams]
        self.database = Database.objects.create(name="machine", dialect="sqlite")

    def teardown(self) -> None:
        """Whatever happened: once the sweeper has been there, nothing is held and nothing was charged twice."""
        try:
            self.lose_all()
            assert not Reservation.objects.exists()
            assert Charge.objects.filter(cached=False).count() == self.admitted
            self.windows_add_up()
        finally:
            transaction.set_rollback(True)
            self.all.__exit__(None, None, None)

    # --- Budgets and clocks

    @rule(
        scope=st.sampled_from(["organisation", "team", "key"]), number=st.integers(0, 1), limit=CENTS,
        period=st.sampled_from(Budget.Period.values), at_limit=st.sampled_from(Budget.AtLimit.values),
        questions=st.none() | st.integers(1, 4), cap=st.none() | CENTS, degrade_from=st.integers(50, 100),
    )  # fmt: skip
    def make_budget(self, scope: str, number: int, limit: Decimal, period: str, **values: Any) -> None:
        place: dict[str, Any] = {
            "team": None if scope == "organisation" else self.teams[number],
            "api_key": self.keys[number] if scope == "key" else None,
            "period": period,
        }
        values["request_limit"], values["request_cap_usd"] = values.pop("questions"), values.pop("cap")
        if not Budget.objects.filter(**place).exists():
            BudgetFactory(**place, limit_usd=3 * limit, **values)

    @rule(data=st.data(), limit=CENTS, at_limit=st.sampled_from(Budget.AtLimit.values))
    def change_budget(self, data: st.DataObject, limit: Decimal, at_limit: str) -> None:
        for budget in some_budget(data):
            budget.limit_usd, budget.at_limit = 3 * limit, at_limit
            budget.save()

    @rule(data=st.data())
    def delete_budget(self, data: st.DataObject) -> None:
        for budget in some_budget(data):
            budget.delete()

    @rule(data=st.data(), amount=CENTS)
    def top_up(self, data: st.DataObject, amount: Decimal) -> None:
        for budget in some_budget(data):
            window_top_up(window=window_open(budget=budget, at=self.now), amount=amount, reason="x", actor="root")

    @rule(data=st.data(), amount=CENTS)
    def spend_elsewhere(self, data: st.DataObject, amount: Decimal) -> None:
        for budget in some_budget(data):
            window = window_open(budget=budget, at=self.now)
            BudgetWindow.objects.filter(pk=window.pk).update(external_usd=F("external_usd") + amount / 10)

    @rule(hours=st.integers(0, 40))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours, minutes=7)

    @rule(number=st.integers(0, 1), zone=CLOCKS)
    def move(self, number: int, zone: str) -> None:
        self.teams[number].time_zone = ZoneInfo(zone)
        self.teams[number].save()

    # --- Questions

    @rule(
        target=running, number=st.integers(0, 1), by_key=st.booleans(), least=CENTS, more=CENTS,
        degraded=st.booleans(), is_new=st.booleans(),
    )  # fmt: skip
    def hold(self, number: int, by_key: bool, least: Decimal, more: Decimal, degraded: bool, is_new: bool) -> Any:
        who = Spender(self.teams[number].pk, self.keys[number].pk if by_key else None)
        windows = windows_open(budgets_applying(team_id=who.team_id, api_key_id=who.api_key_id), at=self.now)
        expected = room(windows, least=least, most=least + more, degraded=degraded, questions=int(is_new))
        question = GenerationFactory(
            team=self.teams[number], api_key=self.keys[number] if by_key else None, database=self.database,
            status="running", lost_at=FAR, finished_at=None,
        )  # fmt: skip
        try:
            attempt_id = reserve(
                who, least, most=least + more, now=self.now, generation_id=question.pk, degraded=degraded,
                is_new_question=is_new,
            )  # fmt: skip
        except BudgetExceeded:
            if expected is not None:
                raise
            question.delete()
            return multiple()
        Attempt.objects.create(
            pk=attempt_id, generation=question, number=1, model="m", max_tokens=1, started_at=self.now
        )
        self.admitted += 1
        held = Reservation.objects.get(attempt_id=attempt_id)
        assert held.amount_usd == expected
        assert held.window_ids == sorted(window.pk for window in windows)
        for window in BudgetWindow.objects.select_related("budget").filter(pk__in=held.window_ids):
            assert window.budget.at_limit == "alert" or window.used_usd + window.reserved_usd <= window.limit_usd
        return Held(attempt_id, who, held.amount_usd)

    @rule(target=settled, held=consumes(running), share=SHARES, minutes=st.integers(0, 9))
    def settle_it(self, held: Held, share: Decimal, minutes: int) -> Held:
        """The true cost is never above what was held: then no window comes nearer to its limit by it."""
        lease = Reservation.objects.filter(attempt_id=held.attempt).first()
        before = taken(lease.window_ids) if lease else {}
        at = self.now + timedelta(minutes=minutes)
        charged = settle(held.who, held.attempt, held.amount * share, now=at)
        assert charged == (held.amount * share if lease else None)  # None: the sweeper was there first
        Generation.objects.filter(attempts=held.attempt).update(status="succeeded")
        Attempt.objects.filter(pk=held.attempt).update(status="succeeded")
        for window_id, amount in taken(before).items():
            assert amount <= before[window_id]
        return held

    @rule(held=settled, share=SHARES)
    def settle_again(self, held: Held, share: Decimal) -> None:
        before = list(Charge.objects.order_by("pk").values())
        assert settle(held.who, held.attempt, held.amount * share, now=self.now) is None
        assert list(Charge.objects.order_by("pk").values()) == before

    @rule()
    def lose_all(self) -> None:
        """Every process was killed, and the sweeper comes: what was held is booked whole."""
        held = dict(Reservation.objects.values_list("attempt_id", "amount_usd"))
        Generation.objects.filter(status="running").update(lost_at=NOON)
        assert questions_sweep(limit=1000) == len(held)
        booked = Charge.objects.filter(attempt_id__in=held, estimated=True)
        assert dict(booked.values_list("attempt_id", "cost_usd")) == held

    @rule(number=st.integers(0, 1), cost=CENTS)
    def read_cache(self, number: int, cost: Decimal) -> None:
        charge_cached(
            generation_id=uuid4(), spender=Spender(self.teams[number].pk, self.keys[number].pk), model="m",
            database="machine", cost=cost / 1000, now=self.now,
        )  # fmt: skip

    @rule(share=SHARES)
    def correct_estimates(self, share: Decimal) -> None:
        for charge in Charge.objects.filter(estimated=True, corrected_at=None)[:2]:
            charge_correct(charge=charge, cost=charge.cost_usd * share, reason="Invoice", actor="root")

    # --- What always holds

    @invariant()
    def windows_add_up(self) -> None:
        held: dict[int, Decimal] = {}
        for lease in Reservation.objects.all():
            for window_id in lease.window_ids:
                held[window_id] = held.get(window_id, Decimal(0)) + lease.amount_usd
        for window in BudgetWindow.objects.select_related("budget"):
            assert window.reserved_usd == held.get(window.pk, 0)
            assert window.spent_usd == charged_in(window)
            assert window_recount(window) == 0

    @invariant()
    def windows_do_not_overlap(self) -> None:
        for budget in Budget.objects.all():
            windows = BudgetWindow.objects.filter(budget=budget).order_by("starts_at")
            assert all(earlier.ends_at <= later.starts_at for earlier, later in pairwise(windows))


def some_budget(data: st.DataObject) -> list[Budget]:
    budgets = list(Budget.objects.select_related("team").order_by("pk"))
    return [data.draw(st.sampled_from(budgets))] if budgets else []


def taken(window_ids: Any) -> dict[int, Decimal]:
    """What each window has spent and holds."""
    windows = BudgetWindow.objects.filter(pk__in=list(window_ids))
    return {window.pk: window.spent_usd + window.reserved_usd for window in windows}


def charged_in(window: BudgetWindow) -> Decimal:
    """What the ledger says of a window, by another way than the product's."""
    charges = Charge.objects.filter(started_at__gte=window.counts_from, started_at__lt=window.ends_at)
    if window.budget.scope == "team":
        charges = charges.filter(team=window.budget.team_id)
    if window.budget.scope == "key":
        charges = charges.filter(api_key_id=window.budget.api_key_id)
    return charges.aggregate(sum=Sum("cost_usd"))["sum"] or Decimal(0)


def room(
    windows: Sequence[BudgetWindow], *, least: Decimal, most: Decimal, degraded: bool, questions: int
) -> Decimal | None:
    """How much the gate must hold, None where it must refuse: the rules once more, window by window."""
    amount = most
    for window in windows:
        budget, limit = window.budget, window.limit_usd
        if budget.request_cap_usd is not None:
            amount = min(amount, budget.request_cap_usd)
        if budget.at_limit == "alert":
            continue
        amount = min(amount, limit - window.used_usd - window.reserved_usd)
        if budget.request_limit is not None and window.requests + questions > budget.request_limit:
            return None
        if budget.at_limit == "degrade" and not degraded and is_nearly_used(window):
            return None
    return amount if amount >= least else None


def is_nearly_used(window: BudgetWindow) -> bool:
    share, questions = window.budget.degrade_from, window.budget.request_limit
    by_money = window.used_usd >= window.limit_usd * share / 100
    return by_money or (questions is not None and window.requests >= questions * Decimal(share) / 100)


@pytest.mark.django_db
@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_whatever_happens_to_budgets_the_money_adds_up(examples: int) -> None:
    how = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Money, settings=how)
