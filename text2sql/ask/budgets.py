"""What a team has left to spend, in the words of the page."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from teams.services.budgets import Spender, budget_state

WHOSE = {"organisation": "the organisation", "team": "the team"}
PERIODS = {"day": "today", "week": "this week", "month": "this month"}


@dataclass(frozen=True)
class BudgetLeft:
    """The tightest budget that applies to what people of the team ask here."""

    whose: str
    period: str
    """`today` and the like."""
    remaining_usd: Decimal
    limit_usd: Decimal
    resets_at: datetime

    @property
    def share(self) -> int:
        """Percent that are left, 0 to 100."""
        return int(100 * self.remaining_usd / self.limit_usd) if self.limit_usd else 0

    @property
    def is_low(self) -> bool:
        return self.share < 20

    @property
    def remaining(self) -> str:
        return dollars(self.remaining_usd)

    @property
    def limit(self) -> str:
        return dollars(self.limit_usd)


def budget_left(team_id: str) -> BudgetLeft | None:
    """None where no budget limits the team."""
    state = budget_state(Spender(team_id), now=timezone.now())
    if state is None:
        return None
    return BudgetLeft(WHOSE[state.scope], PERIODS[state.period], state.remaining_usd, state.limit_usd, state.resets_at)


def dollars(amount: Decimal) -> str:
    """With cents, and with four places where cents would hide it."""
    return f"${amount:,.4f}" if 0 < amount < Decimal("0.1") else f"${amount:,.2f}"
