"""What a stress run has come to, by the bills of the stand-in: what Claude would have charged, whatever we booked."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from teams.models import Budget, BudgetWindow, Charge, Reservation
from tests.benchmarks.stress import NUMBER, Stress
from text2sql.demo.claude.prompt import read_question
from text2sql.models import Attempt, Generation

NOTHING = Decimal(0)
WORST_CASE = "its worst case, but for two seconds others were quicker"
TOLD_SPENT = "its worst case, and the budget was called spent"
HELD_BY_THE_DEAD = "its worst case, but a killed process held money until it was swept"
AVERAGE = "only a call of average cost, not its worst case"
MONEY = {"budget-exhausted", "budget-in-flight", "request-too-expensive"}


@dataclass(frozen=True)
class Bought:
    """One attempt: what we booked for it, and what the stand-in billed."""

    team: str
    key: str
    started_at: datetime
    charged_at: datetime
    booked: Decimal
    billed: Decimal
    estimated: bool
    lost: bool
    held: Decimal | None


@dataclass
class Audit:
    stress: Stress
    unbooked: list[str] = field(default_factory=list)
    """Calls that the stand-in billed and nobody charged."""

    @cached_property
    def attempts(self) -> list[Bought]:
        """Every attempt, found in the stand-in's log by its question's number and its place among that one's calls."""
        bills = {bill.request_id: bill.cost for bill in self.stress.stand_in.billed}
        calls: dict[int, list[Decimal]] = defaultdict(list)
        for request in self.stress.stand_in.requests:
            if request.path == "/v1/messages":
                found = NUMBER.search(read_question(request.body).text or "")
                calls[int(found[1]) if found else 0].append(bills.get(request.id, NOTHING))
        charges = {charge.attempt_id: charge for charge in Charge.objects.filter(cached=False)}
        attempts, known = [], Attempt.objects.select_related("generation").order_by("generation", "number")
        for attempt in known:
            number = int((NUMBER.search(attempt.generation.question) or [0, 0])[1])
            billed = calls[number].pop(0) if calls[number] else NOTHING  # killed before it had called
            attempts.append(self._bought(attempt, charges[attempt.pk], billed))
        self.unbooked = [f"question {number}: {costs}" for number, costs in calls.items() if costs]
        return attempts

    def _bought(self, attempt: Attempt, charge: Charge, billed: Decimal) -> Bought:
        return Bought(
            charge.team_id, str(charge.api_key_id), charge.started_at, charge.charged_at, charge.cost_usd, billed,
            charge.estimated, attempt.problem == "question-lost", self.stress.held.get(attempt.pk),
        )  # fmt: skip

    def of_budget(self, budget: Budget) -> list[Bought]:
        key = str(budget.api_key_id) if budget.api_key_id else None
        return [
            one
            for one in self.attempts
            if budget.team_id in (None, one.team) and key in (None, one.key)
        ]  # fmt: skip

    # --- What must be nothing

    def overspent(self) -> dict[str, Decimal]:
        """By how much each budget that limits was passed, by what the stand-in says that it billed."""
        passed: dict[str, Decimal] = {}
        for window in BudgetWindow.objects.select_related("budget__team", "budget__api_key"):
            if window.budget.at_limit != Budget.AtLimit.ALERT:
                inside = [
                    one for one in self.of_budget(window.budget) if window.starts_at <= one.started_at < window.ends_at
                ]
                billed = sum((one.billed for one in inside), NOTHING)
                passed[str(window.budget)] = max(billed - window.limit_usd, NOTHING)
        return passed

    def faults(self) -> list[str]:
        """Everything else that must not be."""
        faults = list(self.unbooked) if self.attempts else ["no attempt was made"]
        faults += [f"billed {one.billed}, booked {one.booked}" for one in self.attempts if not self._is_right(one)]
        charges = Charge.objects.filter(cached=False)
        if len({charge.attempt_id for charge in charges}) != len(charges) or len(charges) != len(self.attempts):
            faults.append(f"{len(self.attempts)} attempts have {len(charges)} charges")
        for window in BudgetWindow.objects.select_related("budget__team", "budget__api_key"):
            booked = [
                one.booked for one in self.of_budget(window.budget)
                if window.counts_from <= one.started_at < window.ends_at
            ]  # fmt: skip
            if window.spent_usd != sum(booked, NOTHING) or window.reserved_usd:
                faults.append(f"{window.budget}: spent {window.spent_usd} of {sum(booked)}, held {window.reserved_usd}")
        faults += [f"{found} after the sweep" for found in self._left()]
        strange = Counter(one["kind"] for one in self.stress.outcomes if one["status"] in (0, 500))
        return faults + [f"{count} x {kind}" for kind, count in strange.items()]

    def _is_right(self, one: Bought) -> bool:
        return one.booked >= one.billed if one.estimated else one.booked == one.billed

    def _left(self) -> Iterable[str]:
        if leases := Reservation.objects.count():
            yield f"{leases} leases"
        if running := Generation.objects.filter(status="running").count():
            yield f"{running} questions running"

    # --- What is told

    def refusals(self) -> Counter[str]:
        """How many questions were refused with 402, by reason and scope."""
        return Counter(
            f"{one['reason']} ({one['scope']} {one['period']})" for one in self.stress.outcomes if one["status"] == 402
        )

    def held_share(self) -> Decimal:
        """What was held, as a multiple of what was billed; of the calls that were seen while they ran."""
        seen = [(one.held, one.billed) for one in self.attempts if one.held is not None and one.billed and not one.lost]
        return sum((held for held, _ in seen), NOTHING) / (sum((billed for _, billed in seen), NOTHING) or 1)

    def phantoms(self) -> Counter[str]:
        """Refusals for want of money that was there: the limit without what was spent and what truly was in flight.

        By what that would have paid: the worst case of the question that was refused, or only a call of average cost.
        """
        average = sum((one.billed for one in self.attempts), NOTHING) / max(len(self.attempts), 1)
        found: Counter[str] = Counter()
        for one in self.stress.outcomes:
            if one["kind"] in MONEY:
                free, lost = self._truly_free(one)
                if free >= Decimal(one["needed_usd"]):
                    waited = HELD_BY_THE_DEAD if lost else WORST_CASE
                    found[waited if one["reason"] == "in_flight" else TOLD_SPENT] += 1
                elif free >= average:
                    found[AVERAGE] += 1
        return found

    def _truly_free(self, refusal: dict[str, Any]) -> tuple[Decimal, bool]:
        """What was left of the budget that refused, and whether a killed process was holding some of it."""
        at = datetime.fromtimestamp(refusal["ended"], UTC)
        budget = self._budget(refusal["scope"], refusal["period"], refusal["team"], refusal["key"])
        free, lost = budget.limit_usd, False
        for one in self.of_budget(budget):
            if one.charged_at <= at:
                free -= one.booked
            elif one.started_at <= at:
                free -= one.billed
                lost = lost or one.lost
        return free, lost

    def _budget(self, scope: str, period: str, team: str, key: str) -> Budget:
        place: dict[str, Any] = {"period": period, "team": None, "api_key": None}
        if scope != "organisation":
            place["team"] = team
        if scope == "key":
            place["api_key"] = UUID(key)
        return Budget.objects.get(**place)
