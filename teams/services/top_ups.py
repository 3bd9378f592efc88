"""Money added to one window."""

from decimal import Decimal

from django.db import transaction
from django.db.models import F

from observability.services.audit import audit_record
from teams.models import BudgetWindow, TopUp


@transaction.atomic
def window_top_up(*, window: BudgetWindow, amount: Decimal, reason: str, actor: str) -> TopUp:
    """Raise this window's limit, not the next one's; takes effect with the next question."""
    top_up = TopUp.objects.create(window=window, amount_usd=amount, reason=reason, actor=actor)
    BudgetWindow.objects.filter(pk=window.pk).update(top_up_usd=F("top_up_usd") + amount)
    audit_record(
        actor=actor,
        verb="budget.topped_up",
        target=str(window.budget_id),
        scope=window.budget.team_id or "",
        data={"amount_usd": str(amount), "reason": reason, "window": window.starts_at.isoformat()},
    )
    return top_up
