"""One Claude call of a question: the money is held, the call is made, the true cost is settled."""

import hashlib
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from observability.services.prices import TokenUsage, cost_upper_bound
from teams.services.budgets import Spender, budget_reserve, charge_settle
from teams.services.model_limits import output_limits
from text2sql.models import Attempt, Generation
from text2sql.pipeline.claude import ClaudeFailure, Reply, Usage, claude_call
from text2sql.pipeline.prompt import Prompt
from text2sql.services.bills import CallBill, call_bill
from text2sql.services.clients import claude_client
from text2sql.services.connections import connection_release
from text2sql.services.prefixes import prefix_tokens_bound
from text2sql.services.targets import Rung
from text2sql.services.warmth import prefix_await, prefix_warmed

HIDDEN_TOKENS = 2048
"""Input tokens that Claude bills beyond what we send (structured outputs bring a system prompt), at most."""


@dataclass(frozen=True)
class Call:
    """What one attempt has become."""

    attempt: Attempt
    outcome: Reply | ClaudeFailure
    bill: CallBill


def prompt_tokens_bound(prompt: Prompt, *, model: str) -> int:
    """The most tokens that the prompt can be billed as, whatever of it is written to a cache or read from one.

    Called before the transaction of `attempt_open`, see `prefix_tokens_bound`.
    """
    return prefix_tokens_bound(prompt, model=model) + prompt.rest_byte_count + HIDDEN_TOKENS


def attempt_open(
    *, generation: Generation, rung: Rung, kind: str, number: int, prompt: Prompt, prompt_tokens: int, is_whole: bool
) -> Attempt:
    """Record the attempt and hold its worst case, in the caller's transaction; `prompt_tokens` are its input's bound.

    Where money is short, the call may write fewer tokens than the model's cap, down to its floor; not if `is_whole`.

    Raises:
        BudgetExceeded, PriceUnknown: Nothing may be called.
    """
    now, model, limits = timezone.now(), rung.model, output_limits(rung.model)
    floor = limits.cap if is_whole else limits.floor
    least, most = (
        cost_upper_bound(model=model, prompt_tokens=prompt_tokens, max_tokens=tokens, at=now)
        for tokens in (floor, limits.cap)
    )
    attempt_id = uuid4()
    held = budget_reserve(
        attempt_id=attempt_id,
        generation_id=generation.id,
        spender=spender_of(generation),
        least=least,
        most=most,
        now=now,
        expires_at=generation.lost_at,
        degraded=generation.degraded,
        is_new_question=number == 1,
    )
    # The bound is convex in the output tokens (dearer tiers begin, none ends), so it lies below this straight line.
    share = (held - least) / (most - least) if most > least else Decimal(1)
    attempt = Attempt(
        id=attempt_id,
        generation=generation,
        number=number,
        kind=kind,
        model=model,
        effort=rung.effort,
        max_tokens=floor + int((limits.cap - floor) * share),
        is_shrunk=held < most,
        started_at=now,
        prompt={"system": prompt.system, "messages": prompt.messages} if settings.LANGFUSE_FULL_PROMPT else None,
    )
    attempt.save(force_insert=True)
    return attempt


def spender_of(generation: Generation) -> Spender:
    return Spender(generation.team_id, generation.api_key_id, generation.end_user)


def attempt_call(
    attempt: Attempt, *, prompt: Prompt, team_id: str, deadline: float, on_text: Callable[[str], None]
) -> Call:
    """Make the call, holding no connection; the outcome is returned, not written."""
    warming = prefix_await(prompt, model=attempt.model, deadline=deadline)
    connection_release()

    def started() -> None:
        prefix_warmed(warming)
        connection_release()

    outcome: Reply | ClaudeFailure
    try:
        outcome = claude_call(
            claude_client(),
            prompt=prompt,
            model=attempt.model,
            max_tokens=attempt.max_tokens,
            effort=attempt.effort,
            user=hashlib.sha256(team_id.encode()).hexdigest(),
            deadline=deadline,
            lifetime=warming.lifetime,
            on_start=started,
            on_text=on_text,
        )
    except ClaudeFailure as failure:
        outcome = failure
    attempt.finished_at = timezone.now()
    bill = call_bill(outcome, model=attempt.model, max_tokens=attempt.max_tokens, at=attempt.started_at)
    return Call(attempt, outcome, bill)


def attempt_close(call: Call, *, generation: Generation, database: str) -> None:
    """Write the outcome and settle its cost, in the caller's transaction."""
    attempt, outcome = call.attempt, call.outcome
    # The sweeper locks in this order too: generation, then its attempts, then the windows.
    Generation.objects.select_for_update().only("pk").get(pk=generation.pk)
    attempt.first_token_at, attempt.request_id = outcome.first_token_at, outcome.request_id
    attempt.output, attempt.stop_reason, attempt.inference_geo = outcome.text, outcome.stop_reason, outcome.geo
    attempt.status = Attempt.Status.SUCCEEDED
    if isinstance(outcome, ClaudeFailure):
        attempt.status = Attempt.Status.FAILED
        attempt.problem, attempt.problem_detail = outcome.problem, outcome.detail
        attempt.stack_trace = "".join(traceback.format_exception(outcome))
    attempt.save(
        update_fields=[
            "first_token_at", "request_id", "output", "stop_reason", "inference_geo", "sql", "finding", "problem",
            "problem_detail", "stack_trace", "status", "finished_at",
        ]
    )  # fmt: skip
    charge_book(
        attempt_id=attempt.id, generation=generation, database=database, model=attempt.model,
        usage=call.bill.usage, cost=call.bill.cost, estimated=call.bill.estimated,
    )  # fmt: skip


def charge_book(
    *, attempt_id: UUID, generation: Generation, database: str, model: str,
    usage: Usage, cost: Decimal | None, estimated: bool,
) -> bool:  # fmt: skip
    """Settle one attempt's reservation and add what was charged to the generation's sums; False if it was settled."""
    charged = charge_settle(
        attempt_id=attempt_id, spender=spender_of(generation), model=model, database=database,
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
    return charged is not None


def attempt_retry_pause(outcome: Reply | ClaudeFailure, *, number: int, deadline: float) -> float | None:
    """Seconds to wait before the next try; None where none is needed, or it cannot help, or would come too late."""
    if not isinstance(outcome, ClaudeFailure) or not outcome.passing or number > settings.CLAUDE_RETRIES:
        return None
    pause: float = max(outcome.retry_after or 0.0, 0.5 * 2 ** (number - 1))
    return pause if time.monotonic() + pause < deadline - 1 else None


def attempt_was_cut(call: Call) -> bool:
    """Whether the answer is incomplete because money was short, not because it is that long."""
    outcome = call.outcome
    return isinstance(outcome, ClaudeFailure) and outcome.stop_reason == "max_tokens" and call.attempt.is_shrunk
