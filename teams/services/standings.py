"""Where budgets stand in their present periods, for people to look at."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from teams.models import Budget, BudgetWindow
from teams.services.forecasts import Forecast, forecasts
from teams.services.windows import budget_zone, window_bounds

NEARLY = 80
"""Percent of the limit from which a budget is shown as nearly spent."""


@dataclass(frozen=True)
class Standing:
    """A budget, its present window, and what is foretold of it (None with too little history)."""

    budget: Budget
    window: BudgetWindow
    forecast: Forecast | None

    @property
    def limit_usd(self) -> Decimal:
        """With the window's top-ups."""
        limit: Decimal = self.window.limit_usd
        return limit

    @property
    def remaining_usd(self) -> Decimal:
        """What is neither spent nor held; never below zero."""
        free: Decimal = self.limit_usd - self.window.used_usd - self.window.reserved_usd
        return max(free, Decimal(0))

    @property
    def state(self) -> str:
        """`exhausted`, `nearly spent`, `will not last` (by the forecast) or `fine`."""
        used = self.percent(self.window.used_usd)
        if used >= 100:
            return "exhausted"
        if used >= NEARLY:
            return "nearly spent"
        return "will not last" if self.forecast and self.forecast.total_usd > self.limit_usd else "fine"

    def percent(self, amount: Decimal) -> float:
        """Of the limit; of a limit of nothing everything is all of it."""
        return float(amount / self.limit_usd * 100) if self.limit_usd else 100.0


def budget_standings(budgets: Collection[Budget], *, now: datetime) -> list[Standing]:
    """In the order given; three queries, however many budgets there are. Give budgets with their team and key."""
    present = BudgetWindow.objects.filter(budget__in=budgets, starts_at__lte=now, ends_at__gt=now)
    windows = {window.budget_id: window for window in present}
    for budget in budgets:
        # Until the first question of a period there is no row, and nothing is spent.
        if budget.pk not in windows:
            windows[budget.pk] = _empty(budget, now)
        windows[budget.pk].budget = budget
    foretold = forecasts(windows.values(), now=now)
    return [Standing(budget, windows[budget.pk], foretold.get(budget.pk)) for budget in budgets]


def _empty(budget: Budget, now: datetime) -> BudgetWindow:
    zone = budget_zone(budget)
    start, end = window_bounds(budget.period, zone, now)
    return BudgetWindow(budget=budget, starts_at=start, ends_at=end, counts_from=start, time_zone=zone.key)
