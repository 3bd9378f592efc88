"""Holding and settling money as a question's two transactions do it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from observability.services.prices import TokenUsage
from teams.models import Budget, BudgetWindow, Team
from teams.services.budgets import BudgetExceeded, Spender, budget_reserve, charge_settle
from teams.services.windows import window_open

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
USAGE = TokenUsage(input=100, cache_write_5m=20, cache_write_1h=3, cache_read=4000, output=350, thinking=200)


def spender(team: Team | str, key: UUID | None = None, end_user: str = "") -> Spender:
    return Spender(team if isinstance(team, str) else team.pk, key, end_user)


def reserve(
    who: Spender | Team, amount: str | Decimal, *, most: str | Decimal | None = None, now: datetime = NOON, **more: Any
) -> UUID:
    """Hold this much (or up to `most`) for a new attempt, in a transaction of its own; returns the attempt's id."""
    attempt_id: UUID = more.pop("attempt_id", None) or uuid4()
    who = who if isinstance(who, Spender) else spender(who)
    with transaction.atomic():
        budget_reserve(
            attempt_id=attempt_id, generation_id=more.pop("generation_id", None) or uuid4(), spender=who,
            least=Decimal(amount), most=Decimal(most or amount), now=now, expires_at=now + timedelta(minutes=2), **more,
        )  # fmt: skip
    return attempt_id


def settle(who: Spender | Team, attempt_id: UUID, cost: str | Decimal | None, **changes: Any) -> Decimal | None:
    """Settle an attempt, in a transaction of its own."""
    values: dict[str, Any] = {"usage": USAGE, "now": NOON, "model": "claude-sonnet-5-5", "database": "shop", **changes}
    who = who if isinstance(who, Spender) else spender(who)
    with transaction.atomic():
        return charge_settle(
            attempt_id=attempt_id, spender=who, cost=None if cost is None else Decimal(cost), **values
        )  # fmt: skip


def spend(who: Spender | Team, amount: str | Decimal, *, now: datetime = NOON) -> None:
    """Hold and settle the same amount."""
    settle(who, reserve(who, amount, now=now), amount, now=now)


def refused(who: Spender | Team, amount: str | Decimal, **more: Any) -> BudgetExceeded:
    """The refusal that this reservation meets."""
    with pytest.raises(BudgetExceeded) as raised:
        reserve(who, amount, **more)
    return raised.value


def window_of(budget: Budget, *, at: datetime = NOON) -> BudgetWindow:
    """The budget's window at that moment; opened here where the first question was refused, which leaves none."""
    return window_open(budget=budget, at=at)


def figures(budget: Budget, *, at: datetime = NOON) -> tuple[Decimal | int, Decimal | int]:
    """What the budget's window at that moment has spent and holds."""
    window = window_of(budget, at=at)
    return window.spent_usd, window.reserved_usd
