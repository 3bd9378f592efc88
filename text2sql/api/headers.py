"""What answers tell in their headers."""

from django.utils import timezone

from teams.access import Principal
from teams.services.budgets import Spender, budget_state
from text2sql.services.questions import Asked
from text2sql.services.usage import money_text


def budget_headers(principal: Principal) -> dict[str, str]:
    """What is left of the tightest budget that applies, and when its next period begins; nothing without a budget."""
    state = budget_state(Spender(principal.team_id, principal.api_key_id), now=timezone.now())
    if state is None:
        return {}
    resets_at = state.resets_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"X-Budget-Remaining-USD": money_text(state.remaining_usd), "X-Budget-Resets": resets_at}


def replay_headers(asked: Asked) -> dict[str, str]:
    """That the answer is one that was given, or begun, before."""
    return {"Idempotency-Replayed": "true"} if asked.stored else {}
