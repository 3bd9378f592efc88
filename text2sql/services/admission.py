"""Money before the call: a question waits briefly for what others hold, goes to the cheaper model, or is refused."""

import time
from dataclasses import dataclass

from django.db import transaction

from observability.services.prices import PriceUnknown
from teams.services.budgets import BudgetExceeded, BudgetState
from text2sql.models import Attempt, Generation
from text2sql.pipeline.prompt import Prompt
from text2sql.problems import Problem
from text2sql.services.attempts import attempt_open, prompt_tokens_bound
from text2sql.services.connections import connection_release
from text2sql.services.targets import Rung
from text2sql.services.usage import money_text

SHORTEST_PAUSE = 0.01
WAIT_SECONDS = 2.0
"""How long a question waits for running ones to settle, where what they hold is all that it lacks."""


@dataclass
class CheaperModel(Exception):  # a way to go on, taken by the caller
    """The budget allows this question with the team's cheaper model only."""

    refusal: BudgetExceeded


def attempt_admit(
    *,
    generation: Generation,
    rung: Rung,
    kind: str,
    number: int,
    prompt: Prompt,
    deadline: float,
    is_whole: bool = False,
) -> Attempt:
    """Open an attempt as soon as there is money for it. `is_whole`: not with fewer output tokens than the cap.

    Raises:
        BudgetExceeded, PriceUnknown: Nothing may be called.
        CheaperModel: Nothing may be called of this model.
    """
    prompt_tokens = prompt_tokens_bound(prompt, model=rung.model)
    until = min(time.monotonic() + WAIT_SECONDS, deadline - 1)
    while True:
        try:
            with transaction.atomic(durable=True):
                return attempt_open(
                    generation=generation, rung=rung, kind=kind, number=number, prompt=prompt,
                    prompt_tokens=prompt_tokens, is_whole=is_whole,
                )  # fmt: skip
        except BudgetExceeded as refusal:
            left = until - time.monotonic()
            is_worth_waiting = refusal.reason == "in_flight" and left > SHORTEST_PAUSE
            if not is_worth_waiting and refusal.may_degrade:
                raise CheaperModel(refusal) from refusal
            if not is_worth_waiting:
                raise
        connection_release()
        # More and more often: who has waited longest looks more often than who has just come.
        time.sleep(min(max(left / 20, SHORTEST_PAUSE), left))


def refusal_problem(refusal: BudgetExceeded | PriceUnknown) -> Problem:
    """The refusal as clients are told it."""
    if isinstance(refusal, PriceUnknown):
        return Problem("model-unpriced", f"{refusal} An admin can add one under Prices.")
    kind = "budget-in-flight" if refusal.reason == "in_flight" else refusal.reason.replace("_", "-")
    extras = {"reason": refusal.reason, **state_document(refusal.state), "needed_usd": money_text(refusal.needed_usd)}
    if refusal.cap_usd is not None:
        extras["cap_usd"] = money_text(refusal.cap_usd)
    return Problem(kind, str(refusal), extras, retry_after=_retry_after(refusal))


def state_document(state: BudgetState) -> dict[str, str]:
    return {
        "scope": state.scope,
        "period": state.period,
        "limit_usd": money_text(state.limit_usd),
        "spent_usd": money_text(state.spent_usd),
        "external_usd": money_text(state.external_usd),
        "reserved_usd": money_text(state.reserved_usd),
        "resets_at": state.resets_at.isoformat(),
    }


def _retry_after(refusal: BudgetExceeded) -> float | None:
    """Seconds; None where time alone changes nothing."""
    match refusal.reason:
        case "in_flight":
            return WAIT_SECONDS
        case "budget_exhausted" | "requests_exhausted":
            return max((refusal.state.resets_at - refusal.at).total_seconds(), 1.0)
    return None
