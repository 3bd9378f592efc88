"""Budgets and limits of models as people set them; each change is audited with old and new values."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from observability.services.audit import audit_record
from teams.models import Budget, ModelLimit
from teams.services.model_limits import model_limits_forget
from teams.services.windows import window_open

BUDGET_SCOPE = ["team_id", "api_key_id", "period"]
"""Fixed once a budget is made."""
BUDGET_TERMS = ["limit_usd", "at_limit", "degrade_from", "thresholds", "request_limit", "request_cap_usd"]
MODEL_LIMIT_TERMS = ["cap_tokens", "floor_tokens"]


@transaction.atomic
def budget_save(budget: Budget, *, actor: str) -> None:
    """Add a budget, or change its terms. A new one counts at once what its period has spent so far."""
    before = Budget.objects.select_for_update(no_key=True).filter(pk=budget.pk).first()
    if before is None:
        budget.save(force_insert=True)
        window_open(budget=budget, at=timezone.now())
    else:
        budget.save(update_fields=BUDGET_TERMS)
    _audit("budget", before, budget, [*BUDGET_SCOPE, *BUDGET_TERMS], actor=actor, scope=budget.team_id or "")


@transaction.atomic
def budget_delete(budget: Budget, *, actor: str) -> None:
    """Its windows go with it; the charges stay."""
    fields = [*BUDGET_SCOPE, *BUDGET_TERMS]
    data = {"name": str(budget), "was": {name: _text(getattr(budget, name)) for name in fields}}
    audit_record(
        actor=actor, verb="budget.deleted", target=str(budget.pk), scope=budget.team_id or "", data=data
    )  # fmt: skip
    budget.delete()


@transaction.atomic
def model_limit_save(limit: ModelLimit, *, actor: str) -> None:
    """Other processes follow within a minute."""
    before = ModelLimit.objects.select_for_update().filter(pk=limit.pk).first()
    if before is None:
        limit.save(force_insert=True)
    else:
        limit.save(update_fields=MODEL_LIMIT_TERMS)  # what is observed is the worker's to write
    _audit("modellimit", before, limit, MODEL_LIMIT_TERMS, actor=actor, scope="")
    transaction.on_commit(model_limits_forget)


def _audit(
    kind: str, before: models.Model | None, after: models.Model, fields: Collection[str], *, actor: str, scope: str
) -> None:
    now = {name: _text(getattr(after, name)) for name in fields}
    was = {name: _text(getattr(before, name)) for name in fields} if before else {}
    changed = [name for name in fields if before is None or was[name] != now[name]]
    if not changed:
        return
    audit_record(
        actor=actor,
        verb=f"{kind}.{'changed' if before else 'added'}",
        target=str(after.pk),
        scope=scope,
        data={
            "name": str(after),
            "was": {name: was[name] for name in changed if name in was},
            "now": {name: now[name] for name in changed},
        },
    )


def _text(value: Any) -> Any:
    """As JSON holds it; money as text without idle zeros."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value if value is None or isinstance(value, int | list) else str(value)
