"""What an evaluation may cost, told before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Avg, Count
from django.utils import timezone

from observability.services.prices import TokenUsage, cost_of_usage, cost_upper_bound
from teams.services.model_limits import output_limits
from text2sql.models import Generation
from text2sql.pipeline.prompt import Prompt
from text2sql.services.attempts import prompt_tokens_bound
from text2sql.services.clients import claude_name
from text2sql.services.context import context_build
from text2sql.services.examples import memory_of
from text2sql.services.generation import Trial
from text2sql.services.targets import Target

OUTPUT_TOKENS = 600
"""What an answer takes, thinking included, where none has been seen yet."""
BYTES_PER_TOKEN = 3.5
ENOUGH_SEEN = 10


@dataclass(frozen=True)
class Estimate:
    """In USD."""

    bound: Decimal
    """One call for each question, of the greatest length; a repair is a further call."""
    likely: Decimal
    basis: str


def evaluation_estimate(target: Target, trial: Trial, questions: Sequence[str]) -> Estimate:
    """Raises PriceUnknown."""
    prompts = [_prompt(target, trial, text) for text in questions]
    bound = sum((_bound(prompt, trial.rung.model) for prompt in prompts), Decimal(0))
    seen = Generation.objects.filter(
        database=target.database_id, model=trial.rung.model, answered_by=claude_name(), cached=False, cost_usd__gt=0
    ).aggregate(mean=Avg("cost_usd"), count=Count("pk"))
    if seen["count"] >= ENOUGH_SEEN:
        return Estimate(bound, seen["mean"] * len(questions), f"as {seen['count']} earlier questions cost on average")
    likely = sum((_likely(prompt, trial.rung.model) for prompt in prompts), Decimal(0))
    basis = f"with the schema read from Claude's cache and {OUTPUT_TOKENS} tokens written"
    return Estimate(bound, likely + _writing(prompts[:1], trial.rung.model), basis)


def _prompt(target: Target, trial: Trial, question: str) -> Prompt:
    examples = memory_of(target).like(question, but_itself=True)
    return context_build(target, question=question, rules=trial.rules, examples=examples, but_itself=True).prompt


def _bound(prompt: Prompt, model: str) -> Decimal:
    tokens = prompt_tokens_bound(prompt, model=model)
    return cost_upper_bound(model=model, prompt_tokens=tokens, max_tokens=output_limits(model).cap, at=timezone.now())


def _likely(prompt: Prompt, model: str) -> Decimal:
    usage = TokenUsage(
        input=_tokens(prompt.rest_byte_count), cache_read=_tokens(prompt.prefix_byte_count), output=OUTPUT_TOKENS
    )
    return cost_of_usage(model=model, usage=usage, at=timezone.now())


def _writing(prompts: Sequence[Prompt], model: str) -> Decimal:
    """The first question puts the schema into Claude's cache."""
    written = [TokenUsage(cache_write_5m=_tokens(prompt.prefix_byte_count)) for prompt in prompts]
    return sum((cost_of_usage(model=model, usage=usage, at=timezone.now()) for usage in written), Decimal(0))


def _tokens(byte_count: int) -> int:
    return round(byte_count / BYTES_PER_TOKEN)
