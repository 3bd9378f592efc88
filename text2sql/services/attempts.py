"""One Claude call of a question: the money is held, the call is made, the true cost is settled."""

import hashlib
import time
import traceback
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from observability.services.prices import TokenUsage, cost_of_usage, cost_upper_bound
from teams.models import Team
from teams.services.budgets import budget_reserve, charge_settle
from text2sql.models import Attempt, Generation
from text2sql.pipeline.claude import Bill, ClaudeFailure, Reply, Usage, claude_call, client_open
from text2sql.pipeline.prompt import Prompt
from text2sql.services.connections import connection_release

HIDDEN_TOKENS = 2048
"""Input tokens that Claude bills beyond what we send (structured outputs bring a system prompt), at most."""


@dataclass(frozen=True)
class Call:
    """What one attempt has become."""

    attempt: Attempt
    outcome: Reply | ClaudeFailure
    usage: Usage
    cost: Decimal
    estimated: bool


def claude_name() -> str:
    """Who answers: `claude`, or `stand-in` where no API key is set and the demo's stand-in plays Claude."""
    return "claude" if settings.ANTHROPIC_API_KEY else "stand-in"


def claude_client() -> Any:
    """The process's client, for Claude or for the stand-in.

    Raises:
        ClaudeFailure: Neither a key nor a stand-in is there.
    """
    if settings.ANTHROPIC_API_KEY:
        return client_open(api_key=settings.ANTHROPIC_API_KEY, base_url=settings.ANTHROPIC_BASE_URL)
    if settings.CLAUDE_STAND_IN_URL:
        return client_open(api_key="stand-in", base_url=settings.CLAUDE_STAND_IN_URL)
    raise ClaudeFailure("claude-misconfigured", "No ANTHROPIC_API_KEY is set, and the stand-in is not running.")


def attempt_open(*, generation: Generation, team: Team, number: int, prompt: Prompt) -> Attempt:
    """Record the attempt and hold its worst case, in the caller's transaction.

    Raises:
        BudgetExceeded, PriceUnknown: Nothing may be called.
    """
    now = timezone.now()
    amount = cost_upper_bound(
        model=generation.model,
        prompt_tokens=prompt.byte_count + HIDDEN_TOKENS,
        max_tokens=settings.CLAUDE_MAX_TOKENS,
        at=now,
    )
    attempt = Attempt(
        id=uuid4(),
        generation=generation,
        number=number,
        model=generation.model,
        max_tokens=settings.CLAUDE_MAX_TOKENS,
        started_at=now,
        prompt={"system": prompt.system, "messages": prompt.messages} if settings.LANGFUSE_FULL_PROMPT else None,
    )
    budget_reserve(
        attempt_id=attempt.id,
        generation_id=generation.id,
        team=team,
        amount=amount,
        now=now,
        expires_at=generation.lost_at,
    )
    attempt.save(force_insert=True)
    return attempt


def attempt_call(attempt: Attempt, *, prompt: Prompt, team_id: str, deadline: float) -> Call:
    """Make the call, holding no connection; the outcome is returned, not written."""
    connection_release()
    outcome: Reply | ClaudeFailure
    try:
        outcome = claude_call(
            claude_client(),
            prompt=prompt,
            model=attempt.model,
            max_tokens=attempt.max_tokens,
            effort=settings.CLAUDE_EFFORT,
            user=hashlib.sha256(team_id.encode()).hexdigest(),
            deadline=deadline,
        )
    except ClaudeFailure as failure:
        outcome = failure
    attempt.finished_at = timezone.now()
    return _priced(attempt, outcome)


def attempt_close(call: Call, *, generation: Generation, database: str) -> None:
    """Write the outcome and settle its cost, in the caller's transaction."""
    attempt, outcome = call.attempt, call.outcome
    # The sweeper locks in this order too: generation, then its attempts, then the windows.
    Generation.objects.select_for_update().only("pk").get(pk=generation.pk)
    attempt.first_token_at, attempt.request_id = outcome.first_token_at, outcome.request_id
    attempt.output, attempt.stop_reason = outcome.text, outcome.stop_reason
    attempt.status = Attempt.Status.SUCCEEDED
    if isinstance(outcome, ClaudeFailure):
        attempt.status = Attempt.Status.FAILED
        attempt.problem, attempt.problem_detail = outcome.problem, outcome.detail
        attempt.stack_trace = "".join(traceback.format_exception(outcome))
    attempt.save(
        update_fields=[
            "first_token_at", "request_id", "output", "stop_reason", "problem", "problem_detail", "stack_trace",
            "status", "finished_at",
        ]
    )  # fmt: skip
    charge_book(
        attempt_id=attempt.id, generation=generation, database=database, model=attempt.model,
        usage=call.usage, cost=call.cost, estimated=call.estimated,
    )  # fmt: skip


def charge_book(
    *, attempt_id: UUID, generation: Generation, database: str, model: str,
    usage: Usage, cost: Decimal | None, estimated: bool,
) -> None:  # fmt: skip
    """Settle one attempt's reservation and add what was charged to the generation's sums."""
    charged = charge_settle(
        attempt_id=attempt_id, model=model, database=database, api_key_id=generation.api_key_id,
        usage=TokenUsage(**asdict(usage)), cost=cost, estimated=estimated, now=timezone.now(),
    )  # fmt: skip
    if charged is not None:
        Generation.objects.filter(pk=generation.pk).update(
            attempt_count=F("attempt_count") + 1,
            cost_usd=F("cost_usd") + charged,
            input_tokens=F("input_tokens") + usage.input,
            cache_write_5m_tokens=F("cache_write_5m_tokens") + usage.cache_write_5m,
            cache_write_1h_tokens=F("cache_write_1h_tokens") + usage.cache_write_1h,
            cache_read_tokens=F("cache_read_tokens") + usage.cache_read,
            output_tokens=F("output_tokens") + usage.output,
        )


def attempt_retry_pause(outcome: Reply | ClaudeFailure, *, number: int, deadline: float) -> float | None:
    """Seconds to wait before the next try; None where none is needed, or it cannot help, or would come too late."""
    if not isinstance(outcome, ClaudeFailure) or not outcome.passing or number > settings.CLAUDE_RETRIES:
        return None
    pause: float = max(outcome.retry_after or 0.0, 0.5 * 2 ** (number - 1))
    return pause if time.monotonic() + pause < deadline - 1 else None


def _priced(attempt: Attempt, outcome: Reply | ClaudeFailure) -> Call:
    """What the call cost; an output that will never be known is booked at its upper bound."""
    usage, estimated = outcome.usage, False
    if isinstance(outcome, ClaudeFailure) and outcome.bill is Bill.OUTPUT_UNKNOWN:
        usage, estimated = replace(usage, output=attempt.max_tokens), True
    # The price at the start of the call: a price change in its midst must not raise it above what was reserved.
    cost = cost_of_usage(model=attempt.model, usage=TokenUsage(**asdict(usage)), at=attempt.started_at)
    return Call(attempt, outcome, usage, cost, estimated)
