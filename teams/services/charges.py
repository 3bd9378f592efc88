"""Charges that were estimated, put right once the bill is known."""

from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from observability.services.audit import audit_change, value_told
from teams.models import BudgetWindow, Charge


class ChargeNotCorrectable(Exception):  # a state of the charge, told to the person
    """Only an estimated charge may be corrected; what Claude reported stands."""


@transaction.atomic
def charge_correct(*, charge: Charge, cost: Decimal, reason: str, actor: str) -> Decimal:
    """Set the true cost of an estimated charge, in its windows too; returns by how much it changed, in USD.

    Raises:
        ChargeNotCorrectable: Claude reported this cost.
    """
    locked = Charge.objects.select_for_update().get(pk=charge.pk)
    if not locked.estimated:
        raise ChargeNotCorrectable("Claude reported this cost; only estimates can be corrected.")
    change: Decimal = cost - locked.cost_usd
    windows = BudgetWindow.objects.filter(counts_from__lte=locked.started_at, ends_at__gt=locked.started_at)
    ids = [window.pk for window in windows.select_related("budget") if _counts(window, locked)]
    # In the order of their ids, as the gate locks them.
    for window in BudgetWindow.objects.filter(pk__in=ids).order_by("pk").select_for_update():
        BudgetWindow.objects.filter(pk=window.pk).update(spent_usd=F("spent_usd") + change)
    if locked.booked_usd is None:
        locked.booked_usd = locked.cost_usd
    audit_change(
        actor=actor,
        verb="charge.corrected",
        target=str(locked.pk),
        scope=locked.team_id,
        was={"cost_usd": value_told(locked.cost_usd)},
        now={"cost_usd": value_told(cost)},
        told={"reason": reason},
    )
    locked.cost_usd, locked.corrected_at = cost, timezone.now()
    locked.save(update_fields=["cost_usd", "booked_usd", "corrected_at"])
    return change


def _counts(window: BudgetWindow, charge: Charge) -> bool:
    budget = window.budget
    return budget.team_id in (None, charge.team_id) and budget.api_key_id in (None, charge.api_key_id)
