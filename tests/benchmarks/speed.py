"""How long the gate takes: one thread alone, then eight at one team's window."""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Self
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.utils import timezone

from observability.services.prices import TokenUsage
from teams.services.budgets import Spender, budget_reserve, charge_settle
from tests.factories import BudgetFactory, TeamFactory, make_key

ROUNDS = 1000
THREADS = 8
SECONDS = 5.0
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Speed:
    """Medians in milliseconds, and how many a second eight threads reach."""

    floor_ms: float
    reserve_ms: float
    transaction_ms: float
    settle_ms: float
    floor_per_second: float
    one_budget_per_second: float
    four_budgets_per_second: float

    @classmethod
    def measured(cls) -> Self:
        """Of a team with one budget, and of a team's key under four: the organisation's, the team's two and its own."""
        plenty = Decimal(1_000_000)
        alone = BudgetFactory(team__slug="marketing", limit_usd=plenty).team
        one_budget = _per_second(_cycle(Spender(alone.pk)))
        team = TeamFactory(slug="sales")
        key = make_key(team)[0]
        BudgetFactory(team=None, period="month", limit_usd=plenty)
        BudgetFactory(team=team, period="day", limit_usd=plenty)
        BudgetFactory(team=team, period="month", limit_usd=plenty)
        BudgetFactory(team=team, api_key=key, limit_usd=plenty)
        who = Spender(team.pk, key.pk)
        _cycle(who)()
        floor, statements, transactions, settlements = [], [], [], []
        for _ in range(ROUNDS):
            floor.append(_milliseconds(_nothing))
            begun = time.perf_counter()
            attempt, statement = _reserve(who)
            transactions.append((time.perf_counter() - begun) * 1000)
            statements.append(statement)
            begun = time.perf_counter()
            _settle(who, attempt)
            settlements.append((time.perf_counter() - begun) * 1000)
        return cls(
            floor_ms=statistics.median(floor),
            reserve_ms=statistics.median(statements),
            transaction_ms=statistics.median(transactions),
            settle_ms=statistics.median(settlements),
            floor_per_second=_per_second(_nothing),
            one_budget_per_second=one_budget,
            four_budgets_per_second=_per_second(_cycle(who)),
        )


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _nothing() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _reserve(who: Spender) -> tuple[UUID, float]:
    """The attempt, and the milliseconds of the statement that holds its money."""
    attempt_id, now = uuid4(), timezone.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # BEGIN goes out with the first statement, and is not the gate's
        begun = time.perf_counter()
        budget_reserve(
            attempt_id=attempt_id, generation_id=uuid4(), spender=who, least=CENT, most=2 * CENT, now=now,
            expires_at=now + timedelta(minutes=2),
        )  # fmt: skip
        milliseconds = (time.perf_counter() - begun) * 1000
    return attempt_id, milliseconds


def _settle(who: Spender, attempt_id: UUID) -> None:
    with transaction.atomic():
        charge_settle(
            attempt_id=attempt_id, spender=who, model="m", database="shop", usage=TokenUsage(input=9), cost=CENT,
            now=timezone.now(),
        )  # fmt: skip


def _cycle(who: Spender) -> Callable[[], None]:
    return lambda: _settle(who, _reserve(who)[0])


def _per_second(work: Callable[[], object]) -> float:
    counts, ready = [0] * THREADS, threading.Barrier(THREADS)

    def loop(number: int) -> None:
        connection.ensure_connection()
        ready.wait()
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            work()
            counts[number] += 1
        connection.close()

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS
