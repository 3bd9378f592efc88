"""Budgets and limits of models as people set them; each change is audited with old and new values."""

from contextlib import AbstractContextManager

from django.db import transaction
from django.utils import timezone

from observability.services.audit import change_audited
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
    with _budget_audited(budget, actor):
        if Budget.objects.filter(pk=budget.pk).exists():
            budget.save(update_fields=BUDGET_TERMS)
        else:
            budget.save(force_insert=True)
            window_open(budget=budget, at=timezone.now())


def budget_delete(budget: Budget, *, actor: str) -> None:
    """Its windows go with it; the charges stay."""
    with _budget_audited(budget, actor):
        budget.delete()


@transaction.atomic
def model_limit_save(limit: ModelLimit, *, actor: str) -> None:
    """Other processes follow within a minute."""
    with change_audited(limit, actor=actor, kind="modellimit", fields=MODEL_LIMIT_TERMS):
        if ModelLimit.objects.filter(pk=limit.pk).exists():
            limit.save(update_fields=MODEL_LIMIT_TERMS)  # what is observed is the worker's to write
        else:
            limit.save(force_insert=True)
    transaction.on_commit(model_limits_forget)


def _budget_audited(budget: Budget, actor: str) -> AbstractContextManager[None]:
    return change_audited(budget, actor=actor, scope=budget.team_id or "", fields=[*BUDGET_SCOPE, *BUDGET_TERMS])
