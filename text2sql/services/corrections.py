"""Estimated charges, put right together with what their questions are said to have cost."""

from decimal import Decimal

from django.db import transaction
from django.db.models import F

from teams.models import Charge
from teams.services.charges import charge_correct
from text2sql.models import Generation


@transaction.atomic
def estimate_correct(*, charge: Charge, cost: Decimal, reason: str, actor: str) -> Decimal:
    """Set the true cost of an estimated charge, in its windows and its question too; returns the change in USD.

    Raises:
        ChargeNotCorrectable: Claude reported this cost.
    """
    change = charge_correct(charge=charge, cost=cost, reason=reason, actor=actor)
    Generation.objects.filter(pk=charge.generation_id).update(cost_usd=F("cost_usd") + change)
    return change
