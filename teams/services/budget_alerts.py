"""What people are told of budgets, and who: each thing once, in the transaction that caused it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from observability.models import Alert
from observability.services.alerts import alert_raise
from teams.models import Budget
from teams.services.windows import budget_zone


def thresholds_tell(windows: Iterable[Mapping[str, Any]], *, added: Decimal) -> None:
    """Raise an alert for each threshold that `added` USD have just crossed, in the caller's transaction.

    `windows`: rows with budget_id, starts_at, ends_at, spent_usd and external_usd (both with what was added),
    limit_usd and thresholds.
    """
    for window in windows:
        used, limit = window["spent_usd"] + window["external_usd"], window["limit_usd"]
        for threshold in window["thresholds"]:
            line = limit * threshold / 100
            if used - added < line <= used:
                _threshold_tell(window, threshold, used=used)


def _threshold_tell(window: Mapping[str, Any], threshold: int, *, used: Decimal) -> None:
    budget = Budget.objects.select_related("team", "api_key").get(pk=window["budget_id"])
    level = Alert.Level.CRITICAL if threshold >= 100 else Alert.Level.WARNING if threshold >= 80 else Alert.Level.INFO
    subject = f"{budget.scope_name}: {threshold} % of this {budget.period}'s budget is spent"
    external = f" ({window['external_usd']:.4f} of it outside this platform)" if window["external_usd"] else ""
    body = (
        f"{budget.scope_name} has spent {used:.4f} of {window['limit_usd']:.4f} USD of this {budget.period}'s"
        f" budget{external}.\n" + _next_period(budget, window["ends_at"])
    )
    if threshold >= 100:
        body += _consequence(budget)
    budget_tell(budget, f"{window['starts_at']:%Y%m%dT%H%M%SZ}:{threshold}", "budget_threshold", level, subject, body)


def exhausted_tell(*, budget_id: int, starts_at: datetime, reason: str) -> None:
    """Raise the alert that questions are being refused, once per window, in the caller's transaction."""
    budget = Budget.objects.select_related("team", "api_key").filter(pk=budget_id).first()
    if budget is None:  # deleted since
        return
    what = "has no questions left" if reason == "requests_exhausted" else "has too little left for a question"
    subject = f"{budget.scope_name}: this {budget.period}'s budget {what}"
    body = f"A question was refused: the budget of {budget.scope_name} {what}.\n" + _consequence(budget)
    key = f"{starts_at:%Y%m%dT%H%M%SZ}:exhausted"
    budget_tell(budget, key, "budget_exhausted", Alert.Level.CRITICAL, subject, body)


def budget_tell(budget: Budget, key: str, kind: str, level: str, subject: str, body: str) -> bool:
    """Raise an alert about a budget in the caller's transaction; False where `key` was raised for it before."""
    alert = alert_raise(
        key=f"budget:{budget.pk}:{key}",
        kind=kind,
        scope=budget.team_id or "",
        level=level,
        subject=subject,
        body=body,
        recipients=recipients(budget.team_id),
    )
    return alert is not None


def recipients(team_id: str | None) -> list[str]:
    """The addresses of the team's leads and of the admins; of the admins alone for the organisation."""
    told = Q(is_superuser=True)
    if team_id is not None:
        told |= Q(memberships__team=team_id, memberships__role="lead")
    people = User.objects.filter(told, is_active=True).exclude(email="")
    return sorted(set(people.values_list("email", flat=True)))


def _next_period(budget: Budget, ends_at: datetime) -> str:
    zone = budget_zone(budget)
    return f"The next {budget.period} begins at {ends_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key}).\n"


def _consequence(budget: Budget) -> str:
    if budget.at_limit == Budget.AtLimit.ALERT:
        return "This budget only warns: questions go on being answered.\n"
    return "Until then questions are refused, except where the answer is cached. An admin can top the budget up.\n"
