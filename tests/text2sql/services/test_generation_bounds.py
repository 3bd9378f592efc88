"""The worst case that is held is never less than what is billed, whatever is asked and however long is thought."""

import random
import time
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from django.utils import timezone

from observability.services.prices import cost_upper_bound
from tests.text2sql.pipeline.schemas import CUSTOMERS, ORDERS, make_schema
from text2sql.demo.claude import ClaudeStandIn
from text2sql.pipeline.claude import Bill, ClaudeFailure, Reply, claude_call, client_open
from text2sql.pipeline.context import schema_text
from text2sql.pipeline.prompt import Asked, Prompt, prompt_build
from text2sql.services.attempts import HIDDEN_TOKENS
from text2sql.services.bills import call_bill

LETTERS = 'abc xyz éß東京🙂"\\<>&\n0123'
ODD = ["refusal", "max_tokens", "cut_stream", "mid_stream_error", "early_end", "empty_content"]


def make_prompt(dice: random.Random) -> Prompt:
    comment = "".join(dice.choices(LETTERS, k=dice.randint(0, 300)))
    schema = make_schema(
        *[replace(CUSTOMERS, name=f"t{n}", comment=comment) for n in range(dice.randint(1, 30))], ORDERS
    )
    return prompt_build(
        Asked("".join(dice.choices(LETTERS, k=dice.randint(1, 2000))), date(2026, 11, 23), "UTC"),
        schema_text=schema_text(schema, name="shop", description=comment),
        dialect="postgres",
    )


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5-5"])
def test_the_reservation_covers_every_bill_and_our_charge_covers_it_too(model: str) -> None:
    dice = random.Random(20261123)
    now = timezone.now()
    with ClaudeStandIn(seed=dice.randint(0, 10**6)) as stand_in:
        client = client_open(api_key="stand-in", base_url=stand_in.base_url)
        for _ in range(70):
            prompt, limit = make_prompt(dice), dice.choice([1024, 4096])
            stand_in.workspace_geo = dice.choice(["global", "us"])
            if dice.random() < 0.3:
                stand_in.play(dice.choice(ODD))
            elif dice.random() < 0.3:
                stand_in.play("answer", thinking_tokens=dice.randint(0, 5000))
            bound = cost_upper_bound(
                model=model, prompt_tokens=prompt.byte_count + HIDDEN_TOKENS, max_tokens=limit, at=now
            )
            outcome: Reply | ClaudeFailure
            try:
                outcome = claude_call(
                    client, prompt=prompt, model=model, max_tokens=limit, effort="", user="u",
                    deadline=time.monotonic() + 20,
                )  # fmt: skip
            except ClaudeFailure as failure:
                outcome = failure
            bill, billed = call_bill(outcome, model=model, max_tokens=limit, at=now), stand_in.billed[-1].cost
            assert Decimal(0) <= billed <= bound
            assert bill.cost <= bound
            if isinstance(outcome, ClaudeFailure) and outcome.bill is Bill.OUTPUT_UNKNOWN:
                assert bill.estimated
                assert bill.cost >= billed
            else:
                assert bill.cost == billed
    assert len(stand_in.billed) == 70
    assert {bill.usage.geo for bill in stand_in.billed} == {"global", "us"}
