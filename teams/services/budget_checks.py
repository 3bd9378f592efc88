"""The scheduled check: our ledger beside Langfuse's figures, and alerts when a budget nears its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from observability.langfuse.client import langfuse_configured
from observability.services.alerts import alert_raise
from observability.services.costs import LangfuseUnavailable, costs_read
from observability.services.deliveries import connection_release
from teams.models import Budget, BudgetCheck, BudgetWindow, Team
from teams.services.budgets import window_open

TAG = "text2sql"
"""What marks an observation in Langfuse as ours."""

THRESHOLDS = (80, 100)
"""Percent of the limit at which an alert goes out, once per window each."""


@dataclass(frozen=True)
class _Reading:
    by_team: Mapping[str, Decimal]
    error: str = ""
    complete: bool = True

    def cost_of(self, team_id: str) -> Decimal | None:
        if self.error or (team_id not in self.by_team and not self.complete):
            return None
        return self.by_team.get(team_id, Decimal(0))


def budgets_check(*, now: datetime | None = None) -> int:
    """Check every budget's present window; one query to Langfuse serves all windows with the same bounds.

    Langfuse down or not configured is noted in the checks, and the alerts then rest on our ledger alone. Returns how
    many windows were checked.
    """
    now = now or timezone.now()
    windows, checked = _windows(now), 0
    reading: _Reading | None = None
    for bounds, group in groupby(windows, key=lambda window: (window.starts_at, window.ends_at)):
        connection_release()  # Langfuse may take its time
        # What could not be read for one window is not asked again for the next: a slow Langfuse is slow for all.
        reading = reading if reading and reading.error else _read(*bounds)
        checked += sum(_check(window, reading, now) for window in group)
    return checked


def _windows(now: datetime) -> list[BudgetWindow]:
    budgets = Budget.objects.filter(team__active=True).select_related("team")
    windows = [window_open(budget=budget, zone=budget.team.time_zone, at=now) for budget in budgets]
    return sorted(windows, key=lambda window: (window.starts_at, window.ends_at))


def _read(starts_at: datetime, ends_at: datetime) -> _Reading:
    if not langfuse_configured():
        return _Reading({}, "Langfuse is not configured.")
    try:
        costs = costs_read(starts_at=starts_at, ends_at=ends_at, tags=[TAG])
    except LangfuseUnavailable as error:
        return _Reading({}, str(error))
    return _Reading(costs.by_user, complete=costs.complete)


@transaction.atomic(durable=True)
def _check(window: BudgetWindow, reading: _Reading, now: datetime) -> bool:
    team, limit = window.budget.team, window.budget.limit_usd
    ledger = BudgetWindow.objects.filter(pk=window.pk).values_list("spent_usd", flat=True).first()
    if ledger is None:
        return False  # the budget was deleted while Langfuse was asked
    langfuse = reading.cost_of(team.pk)
    BudgetCheck.objects.create(
        window=window, ledger_usd=ledger, langfuse_usd=langfuse, error=reading.error, checked_at=now
    )
    spent = max(ledger, langfuse or Decimal(0))
    for threshold in THRESHOLDS:
        if limit and spent * 100 >= limit * threshold:
            _alert(window, team, threshold, spent)
    return True


def _alert(window: BudgetWindow, team: Team, threshold: int, spent: Decimal) -> None:
    limit, period = window.budget.limit_usd, window.budget.period
    end = window.ends_at.astimezone(team.time_zone)
    alert_raise(
        # One alert per budget, window and threshold, however often the check runs.
        key=f"budget:{window.budget_id}:{window.starts_at:%Y%m%dT%H%M%SZ}:{threshold}",
        kind="budget",
        scope=team.pk,
        level="critical" if threshold >= 100 else "warning",
        subject=f"{team.name}: {threshold} % of this {period}'s budget is spent",
        body=(
            f"The team {team.name} has spent {spent:.4f} of {limit:.4f} USD of this {period}'s budget.\n"
            f"The next {period} begins at {end:%Y-%m-%d %H:%M} ({team.time_zone.key}).\n"
            + ("Until then questions are refused; cached answers still work.\n" if threshold >= 100 else "")
        ),
        recipients=_recipients(team),
    )


def _recipients(team: Team) -> list[str]:
    """The team's leads and the admins."""
    told = Q(memberships__team=team, memberships__role="lead") | Q(is_superuser=True)
    people = User.objects.filter(told, is_active=True).exclude(email="")
    return sorted(set(people.values_list("email", flat=True)))
