"""What a day of questions costs with the schema as a cached prefix: `python -m tests.quality.replay`.

A day of 500 questions on one database with a schema of 10,000 tokens is asked twice of the Claude stand-in, which
keeps a prompt cache and bills as Claude does, at the dated prices: once as the product asks, once with the schema sent
fresh each time. The clock is the stand-in's, so the day takes seconds.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from text2sql.demo.claude import ClaudeStandIn
from text2sql.demo.claude.billing import Bill
from text2sql.demo.claude.models import find_model
from text2sql.pipeline.claude import claude_call, client_open
from text2sql.pipeline.context import schema_text
from text2sql.pipeline.lifetime import LIFETIMES, Lifetime, lifetime_choose
from text2sql.pipeline.prompt import Asked, Prompt, prompt_build
from text2sql.pipeline.schema import Column, Schema, Table

DAY = datetime(2026, 11, 23, tzinfo=UTC)
QUESTIONS = 500
SCHEMA_TOKENS = 10_000
MODEL = "claude-sonnet-5-5"
INPUT_LIMIT, WHOLE_LIMIT = Decimal(1) / 8, Decimal(1) / 4
# Of a hundred questions, how many come in each hour of the day: a company of one time zone.
BY_HOUR = [0, 0, 0, 0, 0, 0, 1, 3, 8, 12, 13, 11, 6, 9, 12, 11, 7, 4, 2, 1, 0, 0, 0, 0]
WORDS = ["revenue", "orders", "customers", "country", "month", "product", "returns", "average", "growth", "channel"]


def questions(dice: random.Random) -> list[tuple[datetime, str]]:
    """When each question is asked, and its words; the earliest first."""
    asked = []
    for number in range(QUESTIONS):
        hour = dice.choices(range(24), BY_HOUR)[0]
        at = DAY + timedelta(hours=hour, seconds=dice.uniform(0, 3600))
        asked.append((at, f"Question {number}: {' '.join(dice.choices(WORDS, k=dice.randint(5, 18)))}?"))
    return sorted(asked)


def make_schema_text(dice: random.Random) -> str:
    """The text of a schema of about 10,000 tokens."""
    columns = tuple(
        Column(f"{dice.choice(WORDS)}_{number}", dice.choice(["text", "integer", "numeric(12,2)", "date"]))
        for number in range(14)
    )
    tables: tuple[Table, ...] = ()
    text = ""
    while len(text) < SCHEMA_TOKENS * 3.2:
        tables = (*tables, Table(f"{dice.choice(WORDS)}_{len(tables)}", columns, comment="What it is for."))
        text = schema_text(Schema("postgres", tables), name="warehouse", description="")
    return text


def fresh(prompt: Prompt) -> Prompt:
    """The same prompt with nothing asked to be cached."""
    system = tuple({name: value for name, value in block.items() if name != "cache_control"} for block in prompt.system)
    return replace(prompt, system=system)


def cost_of_output(bill: Bill) -> Decimal:
    rates = find_model(bill.model, bill.at.date()).rates(bill.usage.prompt, bill.at.date())
    return bill.usage.output * rates.output / 1_000_000


def replay(*, cached: bool) -> tuple[Decimal, Decimal, int]:
    """Input cost, whole cost (USD) and prefix writes of the day."""
    dice = random.Random(7)  # the same day twice
    now = DAY
    text = make_schema_text(dice)
    with ClaudeStandIn(clock=lambda: now) as stand_in:
        client = client_open(api_key="replay", base_url=stand_in.base_url)
        used_at: datetime | None = None
        lifetime: Lifetime = "5m"
        for at, question in questions(dice):
            if used_at is None or at - used_at > LIFETIMES[lifetime]:  # cold: as services/warmth.py decides
                lifetime = lifetime_choose(used_at, at)
            now = used_at = at
            prompt = prompt_build(Asked(question, at.date(), "UTC"), schema_text=text, dialect="postgres")
            claude_call(
                client, prompt=prompt if cached else fresh(prompt), model=MODEL, max_tokens=4096, effort="", user="u",
                deadline=time.monotonic() + 60, lifetime=lifetime,
            )  # fmt: skip
        bills = stand_in.billed
    whole = sum((bill.cost for bill in bills), Decimal(0))
    output = sum((cost_of_output(bill) for bill in bills), Decimal(0))
    return whole - output, whole, sum(bill.usage.written_5m + bill.usage.written_1h > 0 for bill in bills)


def rows() -> Iterator[str]:
    input_cached, whole_cached, writes = replay(cached=True)
    input_fresh, whole_fresh, _ = replay(cached=False)
    yield f"{QUESTIONS} questions, {MODEL}: ${whole_fresh:.2f} fresh, ${whole_cached:.2f} cached, {writes} cache writes"
    for name, cached, fresh_cost, limit in (
        ("input cost", input_cached, input_fresh, INPUT_LIMIT),
        ("whole cost", whole_cached, whole_fresh, WHOLE_LIMIT),
    ):
        share = cached / fresh_cost
        verdict = "ok" if share <= limit else "TOO MUCH"
        yield f"{name}: 1/{1 / share:.1f} of sending the schema fresh (limit 1/{1 / limit:.0f}): {verdict}"


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    failed = False
    for row in rows():
        sys.stdout.write(f"{row}\n")
        failed = failed or "TOO MUCH" in row
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
