"""What a question's prefix may cost: Claude's count where there is one, bytes where not, never less than the bill."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from tests.factories import BudgetFactory
from tests.text2sql.pipeline.schemas import CUSTOMERS, ORDERS, make_schema
from tests.text2sql.services.conftest import Asker, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import PrefixCount
from text2sql.pipeline.claude import ClaudeFailure, claude_call, client_open, tokens_count
from text2sql.pipeline.context import schema_text
from text2sql.pipeline.prompt import RULES, Asked, Prompt, prompt_build
from text2sql.services.attempts import HIDDEN_TOKENS, prompt_tokens_bound
from text2sql.services.prefixes import (
    REMEMBERED,
    _tokens_read,
    prefix_tokens_bound,
    prefixes_count,
    prefixes_prune,
)

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = "claude-sonnet-5-5"
LETTERS = 'abc xyz éß東京🙂"\\<>&\n\x000123'


@pytest.fixture(autouse=True)
def fresh_memory() -> Iterator[None]:
    _tokens_read.cache_clear()
    yield
    _tokens_read.cache_clear()


def make_prompt(question: str = "How many?", *, tables: int = 60, comment: str = "", rules: str = RULES) -> Prompt:
    schema = make_schema(*[replace(CUSTOMERS, name=f"t{n}", comment=comment) for n in range(tables)], ORDERS)
    return prompt_build(
        Asked(question, date(2026, 11, 23), "UTC"),
        schema_text=schema_text(schema, name="shop", description=""),
        dialect="postgres",
        rules=rules,
    )


def make_refused() -> Prompt:
    """A prompt whose schema no Claude compiles."""
    return replace(make_prompt(), output_schema={"type": "object", "properties": {}})


def counted(claude: ClaudeStandIn) -> list[Any]:
    return [one.body for one in claude.requests if one.path == "/v1/messages/count_tokens"]


def come_due() -> None:
    PrefixCount.objects.update(next_try_at=timezone.now())


def test_a_prefix_is_counted_once_for_all_its_questions(claude: ClaudeStandIn) -> None:
    one, other = make_prompt("How many?"), make_prompt("Who buys most, and why? 東京")
    assert prefix_tokens_bound(one, model=MODEL) == one.prefix_byte_count
    assert prefix_tokens_bound(other, model=MODEL) == one.prefix_byte_count
    assert prefixes_count() == 1
    assert prefixes_count() == 0
    (body,) = counted(claude)
    assert body["system"] == list(one.system)
    assert body["output_config"]["format"]["schema"] == one.output_schema
    row = PrefixCount.objects.get()
    assert (row.state, row.content, row.last_error, row.counted_by) == ("delivered", "", "", "stand-in")
    assert row.tokens is not None
    bound = prefix_tokens_bound(other, model=MODEL)
    assert row.tokens * 1.1 + 256 <= bound < row.tokens * 1.1 + 258
    assert bound < one.prefix_byte_count
    assert claude.billed == []


def test_each_model_has_its_own_count_and_another_prefix_too(claude: ClaudeStandIn) -> None:
    for model in (MODEL, "claude-haiku-5-5"):
        prefix_tokens_bound(make_prompt(), model=model)
        prefix_tokens_bound(make_prompt(comment="other"), model=model)
    assert prefixes_count() == 4
    assert len({(body["model"], body["system"][1]["text"]) for body in counted(claude)}) == 4


def test_what_the_stand_in_counted_says_nothing_about_claude(claude: ClaudeStandIn, settings: Settings) -> None:
    prompt = make_prompt()
    prefix_tokens_bound(prompt, model=MODEL)
    prefixes_count()
    assert prefix_tokens_bound(prompt, model=MODEL) < prompt.prefix_byte_count
    settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL = "sk-ant-test", claude.base_url
    assert prefix_tokens_bound(prompt, model=MODEL) == prompt.prefix_byte_count
    assert prefixes_count() == 1
    assert set(PrefixCount.objects.values_list("counted_by", flat=True)) == {"claude", "stand-in"}


def test_what_is_wanted_of_claude_is_not_counted_by_the_stand_in(claude: ClaudeStandIn, settings: Settings) -> None:
    settings.ANTHROPIC_API_KEY = "sk-ant-test"
    prefix_tokens_bound(make_prompt(), model=MODEL)
    settings.ANTHROPIC_API_KEY = ""
    assert prefixes_count() == 0
    assert counted(claude) == []


def test_a_count_never_raises_the_bound_above_the_bytes() -> None:
    prompt, today = make_prompt(), timezone.now().date()
    PrefixCount.objects.create(
        digest=prompt.prefix_digest, model=MODEL, counted_by="stand-in", used_on=today,
        state="delivered", tokens=prompt.prefix_byte_count - 1,
    )  # fmt: skip
    assert prefix_tokens_bound(prompt, model=MODEL) == prompt.prefix_byte_count


@pytest.mark.parametrize("model", [MODEL, "claude-haiku-5-5"])
def test_the_bound_covers_every_bill(claude: ClaudeStandIn, model: str) -> None:
    dice = random.Random(20261124)
    client = client_open(api_key="stand-in", base_url=claude.base_url)
    prompts = [
        make_prompt(
            "".join(dice.choices(LETTERS, k=dice.randint(1, 2000))),
            tables=dice.choice([0, 3, 50, 200]),
            comment="".join(dice.choices(LETTERS, k=dice.randint(0, 200))),
            rules="".join(dice.choices(LETTERS, k=dice.randint(1, 300))) + "!",
        )
        for _ in range(60)
    ]
    for prompt in prompts:
        prefix_tokens_bound(prompt, model=model)
    assert prefixes_count(limit=100) == len(prompts)
    lower = 0
    for prompt in prompts:
        claude_call(
            client, prompt=prompt, model=model, max_tokens=4096, effort="", user="u", deadline=time.monotonic() + 20
        )
        billed, bound = claude.billed[-1].usage.prompt, prefix_tokens_bound(prompt, model=model)
        if bound < prompt.prefix_byte_count:
            # The count has the hidden tokens in it: what is added for them is not needed to cover the bill.
            assert billed <= bound + prompt.rest_byte_count
            lower += 1
        assert bound <= prompt.prefix_byte_count
        assert billed <= prompt_tokens_bound(prompt, model=model)
        assert prompt_tokens_bound(prompt, model=model) == bound + prompt.rest_byte_count + HIDDEN_TOKENS
    assert lower > len(prompts) / 2


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ("rate_limited", "claude-overloaded"),
        ("overloaded", "claude-overloaded"),
        ("server_error", "claude-overloaded"),
        ("invalid_key", "claude-misconfigured"),
        ("usage_limit", "claude-spend-limit"),
        ("html", "claude-unreachable"),
    ],
)
def test_trouble_leaves_the_row_waiting_and_the_bytes_bound(claude: ClaudeStandIn, trouble: str, told: str) -> None:
    prompt = make_prompt()
    prefix_tokens_bound(prompt, model=MODEL)
    claude.play_counting(trouble)
    before = timezone.now()
    assert prefixes_count() == 0
    assert len(counted(claude)) == 1
    row = PrefixCount.objects.get()
    assert (row.state, row.tries) == ("pending", 1)
    assert row.last_error.startswith(told)
    assert row.next_try_at > before
    assert prefix_tokens_bound(prompt, model=MODEL) == prompt.prefix_byte_count
    come_due()
    assert prefixes_count() == 1
    assert prefix_tokens_bound(prompt, model=MODEL) < prompt.prefix_byte_count


def test_claude_down_is_asked_once_per_run_and_counts_all_when_it_is_back(settings: Settings) -> None:
    prompts = [make_prompt(comment=f"number {n}") for n in range(3)]
    with ClaudeStandIn() as stand_in:
        port = stand_in.port
    settings.CLAUDE_STAND_IN_URL = f"http://127.0.0.1:{port}"
    for prompt in prompts:
        prefix_tokens_bound(prompt, model=MODEL)
    assert prefixes_count() == 0
    assert sorted(PrefixCount.objects.values_list("tries", flat=True)) == [0, 0, 1]
    assert not PrefixCount.objects.exclude(state="pending").exists()
    assert [prefix_tokens_bound(one, model=MODEL) for one in prompts] == [one.prefix_byte_count for one in prompts]
    come_due()
    with ClaudeStandIn(port):
        assert prefixes_count() == 3


def test_a_claude_that_says_nothing_is_left_after_the_time(claude: ClaudeStandIn) -> None:
    prompt = make_prompt()
    claude.play_counting("timeout")
    client = client_open(api_key="stand-in", base_url=claude.base_url)
    with pytest.raises(ClaudeFailure, match="deadline-exceeded"):
        tokens_count(client, system=prompt.system, output_schema=prompt.output_schema, model=MODEL, seconds=0.3)


def test_what_claude_refuses_is_not_asked_again_and_holds_up_nobody(claude: ClaudeStandIn) -> None:
    refused = make_refused()
    prefix_tokens_bound(refused, model=MODEL)
    prefix_tokens_bound(make_prompt(), model="claude-none-such")
    prefix_tokens_bound(make_prompt(), model=MODEL)
    assert prefixes_count() == 1
    assert len(counted(claude)) == 3
    no_schema, no_model = PrefixCount.objects.filter(state="failed").order_by("pk")
    assert "additionalProperties" in no_schema.last_error
    assert "claude-none-such" in no_model.last_error
    assert no_schema.content == no_model.content == ""
    come_due()
    assert prefix_tokens_bound(refused, model=MODEL) == refused.prefix_byte_count
    assert prefixes_count() == 0
    assert len(counted(claude)) == 3


def test_what_a_killed_worker_claimed_is_counted_by_the_next(claude: ClaudeStandIn) -> None:
    prefix_tokens_bound(make_prompt(), model=MODEL)
    PrefixCount.objects.all().claim(limit=1, lease=timedelta(seconds=-1))
    assert prefixes_count() == 1
    assert len(counted(claude)) == 1


def test_with_nobody_to_ask_nothing_is_claimed(settings: Settings) -> None:
    settings.CLAUDE_STAND_IN_URL = ""
    prefix_tokens_bound(make_prompt(), model=MODEL)
    assert prefixes_count() == 0
    assert PrefixCount.objects.get().tries == 0


def test_a_question_makes_one_query_and_none_once_the_count_is_known(
    claude: ClaudeStandIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    prompt = make_prompt()
    with django_assert_num_queries(4):  # looked up; written down between BEGIN and COMMIT
        prefix_tokens_bound(prompt, model=MODEL)
    with django_assert_num_queries(1):
        prefix_tokens_bound(prompt, model=MODEL)
    prefixes_count()
    with django_assert_num_queries(1):
        prefix_tokens_bound(prompt, model=MODEL)
    with django_assert_num_queries(0):
        prefix_tokens_bound(make_prompt("Another question?"), model=MODEL)


def test_a_process_remembers_a_bounded_number_of_counts_and_nothing_that_waits(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    prompt = make_prompt()
    today, digests = timezone.now().date(), [f"{n:064x}" for n in range(REMEMBERED + 20)]
    for _ in range(3):
        prefix_tokens_bound(prompt, model=MODEL)
    assert _tokens_read.cache_info().currsize == 0
    PrefixCount.objects.bulk_create(
        PrefixCount(digest=digest, model=MODEL, counted_by="stand-in", state="delivered", tokens=n, used_on=today)
        for n, digest in enumerate(digests)
    )
    for n, digest in enumerate(digests):
        assert _tokens_read(digest, MODEL, "stand-in", today) == n
    assert _tokens_read.cache_info().currsize == REMEMBERED
    with django_assert_num_queries(1):
        assert _tokens_read(digests[0], MODEL, "stand-in", today) == 0


def test_first_questions_at_once_want_one_count() -> None:
    prompt, ready = make_prompt(), threading.Barrier(6)
    bounds: list[int] = []

    def ask() -> None:
        ready.wait()
        bounds.append(prefix_tokens_bound(prompt, model=MODEL))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bounds == [prompt.prefix_byte_count] * 6
    assert PrefixCount.objects.count() == 1


def test_counts_that_nobody_uses_and_old_refusals_are_pruned(claude: ClaudeStandIn) -> None:
    now = timezone.now()
    used, unused, refused = make_prompt(comment="used"), make_prompt(comment="unused"), make_refused()
    for prompt in (used, unused, refused):
        prefix_tokens_bound(prompt, model=MODEL)
    prefixes_count()
    PrefixCount.objects.update(used_on=now.date() - timedelta(days=30))
    prefix_tokens_bound(used, model=MODEL)
    prefix_tokens_bound(refused, model=MODEL)
    assert PrefixCount.objects.get(digest=used.prefix_digest).used_on == now.date()
    assert prefixes_prune(now) == 0
    assert prefixes_prune(now + timedelta(days=1)) == 1
    assert not PrefixCount.objects.filter(digest=unused.prefix_digest).exists()
    assert prefixes_prune(now + timedelta(days=8)) == 1
    assert PrefixCount.objects.get().digest == used.prefix_digest
    prefix_tokens_bound(refused, model=MODEL)
    assert PrefixCount.objects.get(digest=refused.prefix_digest).content


def test_a_question_wants_its_prefix_counted_also_where_the_budget_refuses_it(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    # What bytes make too dear must be counted all the same: by its count it may fit the budget.
    BudgetFactory(team=asker.team, limit_usd=Decimal("0.000001"))
    assert "budget" in asker.problem_of().kind or "expensive" in asker.problem_of().kind
    assert PrefixCount.objects.get().state == "pending"
    assert prefixes_count() == 1


def test_a_question_with_a_counted_prefix_is_answered(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=2)
    asker.ask("Who are the customers?")
    assert prefixes_count() == 1
    assert asker.ask("Who are the customers, all of them?").status == "succeeded"
    assert PrefixCount.objects.count() == 1
