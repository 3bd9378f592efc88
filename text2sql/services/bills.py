"""What a call to Claude has cost, or at most can have."""

import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal

from observability.services.prices import PriceUnknown, TokenUsage, cost_of_usage, cost_upper_bound
from text2sql.pipeline.claude import Bill, ClaudeFailure, Reply, Usage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CallBill:
    usage: Usage
    cost: Decimal
    estimated: bool
    """The cost is an upper bound: the truth will never be known."""


def call_bill(outcome: Reply | ClaudeFailure, *, model: str, max_tokens: int, at: datetime) -> CallBill:
    """What of it will never be known (its output, its price) is put at its upper bound.

    `at` is the start of the call: a price change in its midst must not raise it above what was reserved.
    """
    usage, estimated = outcome.usage, False
    if isinstance(outcome, ClaudeFailure) and outcome.bill is Bill.OUTPUT_UNKNOWN:
        usage, estimated = replace(usage, output=max_tokens), True
    tokens = TokenUsage(**asdict(usage))
    try:
        cost = cost_of_usage(model=model, usage=tokens, at=at, geo=outcome.geo)
    except PriceUnknown:
        # Claude computed in a place that our prices do not name; it is paid for all the same.
        logger.warning("There is no price for %s in %r: booked at its upper bound", model, outcome.geo)
        cost = cost_upper_bound(model=model, prompt_tokens=tokens.prompt, max_tokens=tokens.output, at=at)
        estimated = True
    return CallBill(usage, cost, estimated)
