"""Money added to one window."""

from decimal import Decimal

from django.db import transaction
from django.db.models import F

from observability.services.audit import audit_change, value_told
from teams.models import BudgetWindow, TopUp


@transaction.atomic
def window_top_up(*, window: BudgetWindow, amount: Decimal, reason: str, actor: str) -> TopUp:
    """Raise this window's limit, not the next one's; takes effect with the next question."""
    top_up = TopUp.objects.create(window=window, amount_usd=amount, reason=reason, actor=actor)
    BudgetWindow.objects.filter(pk=window.pk).update(top_up_usd=F("top_up_usd") + amount)
    # The row is locked by now: what it holds is what this amount made of it.
    total = BudgetWindow.objects.values_list("top_up_usd", flat=True).get(pk=window.pk)
    audit_change(
        actor=actor,
        verb="budget.topped_up",
        target=str(window.budget_id),
        scope=window.budget.team_id or "",
        was={"top_up_usd": value_told(total - amount)},
        now={"top_up_usd": value_told(total)},
        told={"name": str(window.budget), "reason": reason, "window": window.starts_at.isoformat()},
    )
    return top_up
