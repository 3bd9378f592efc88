"""A question's way through the house: what is answered, recorded, charged and refused."""

import time
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from observability.models import Price, Trace
from observability.services.prices import TokenUsage, cost_of_usage, cost_upper_bound
from teams.models import BudgetWindow, Charge, Reservation, Team
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.services.conftest import SQL, Asker, assert_settled, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Catalog, Database, Generation
from text2sql.services.generation import Question, generation_create


def test_an_answer_is_recorded_whole_and_charged_as_billed(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, thinking_tokens=30)
    answer = asker.ask(session_id="s-1", end_user="nina")
    assert (answer.status, answer.sql, answer.tables) == ("succeeded", SQL, ["customers"])
    stored = assert_settled(answer)
    assert (stored.session_id, stored.end_user, stored.api_key_id) == ("s-1", "nina", asker.key.pk)
    assert (stored.model, stored.answered_by, stored.dialect) == ("claude-sonnet-5-5", "stand-in", "sqlite")
    (billed,) = claude.billed
    charge = Charge.objects.get()
    assert charge.cost_usd == stored.cost_usd == billed.cost
    assert (charge.database, charge.api_key_id, charge.estimated) == ("shop", asker.key.pk, False)
    assert (charge.input_tokens, charge.cache_write_5m_tokens) == (billed.usage.input, billed.usage.written_5m)
    assert (charge.cache_read_tokens, charge.output_tokens) == (billed.usage.read, billed.usage.output)
    attempt = stored.attempts.get()
    assert (attempt.status, attempt.stop_reason, attempt.request_id) == ("succeeded", "end_turn", billed.request_id)
    assert attempt.finished_at is not None
    assert attempt.first_token_at is not None
    assert attempt.started_at <= attempt.first_token_at <= attempt.finished_at


# Scenario, its arguments, our problem, its HTTP status, whether it is tried again.
TROUBLES: list[tuple[str, dict[str, Any], str, int, bool]] = [
    ("invalid_key", {}, "claude-misconfigured", 503, False),
    ("billing_error", {}, "claude-misconfigured", 503, False),
    ("permission_denied", {}, "claude-misconfigured", 503, False),
    ("rate_limited", {"seconds": 0.1}, "claude-overloaded", 503, True),
    ("spend_limit", {}, "claude-spend-limit", 503, False),
    ("usage_limit", {}, "claude-spend-limit", 503, False),
    ("overloaded", {}, "claude-overloaded", 503, True),
    ("server_error", {}, "claude-overloaded", 503, True),
    ("html", {}, "claude-unreachable", 503, True),
    ("mid_stream_error", {}, "claude-overloaded", 503, True),
    ("cut_stream", {}, "claude-unreachable", 503, True),
    ("early_end", {}, "claude-unreachable", 503, True),
    ("malformed_json", {"where": "wire"}, "claude-unreachable", 503, True),
    ("malformed_json", {"where": "text"}, "answer-malformed", 502, True),
    ("empty_content", {}, "answer-malformed", 502, True),
    ("max_tokens", {}, "answer-truncated", 502, False),
    ("refusal", {"category": "bio"}, "claude-refused", 422, False),
    ("refusal", {"category": "cyber"}, "claude-refused", 422, False),
    ("refusal", {"category": "cyber", "mid_stream": True}, "claude-refused", 422, False),
]
BROKEN = {"mid_stream_error", "cut_stream", "early_end"}


@pytest.mark.parametrize(("name", "arguments", "kind", "status", "again"), TROUBLES)
def test_a_trouble_ends_the_question_with_every_attempt_settled(
    asker: Asker, claude: ClaudeStandIn, settings: Settings, name: str, arguments: dict[str, Any], kind: str,
    status: int, again: bool,
) -> None:  # fmt: skip
    settings.CLAUDE_RETRIES = 1
    BudgetFactory(team=asker.team, limit_usd=Decimal(5))
    claude.play(name, times=2, **arguments)
    problem = asker.problem_of()
    assert (problem.kind, problem.type.status) == (kind, status)
    stored = assert_settled()
    assert problem.extras["generation_id"] == str(stored.pk)
    assert (stored.status, stored.problem, stored.problem_detail) == ("failed", kind, problem.detail)
    assert stored.attempt_count == len(claude.requests) == (2 if again else 1)
    charges = list(Charge.objects.order_by("charged_at"))
    costs = [bill.cost for bill in claude.billed] or [Decimal(0)] * len(charges)
    for charge, cost in zip(charges, costs, strict=True):
        unknown = name in BROKEN or arguments.get("where") == "wire"
        assert charge.estimated is unknown
        assert charge.cost_usd >= cost if unknown else charge.cost_usd == cost
    window = BudgetWindow.objects.get()
    assert (window.reserved_usd, window.spent_usd) == (0, stored.cost_usd)


@pytest.mark.parametrize("name", ["overloaded", "cut_stream", "malformed_json"])
def test_a_passing_trouble_passes_and_the_answer_comes(asker: Asker, claude: ClaudeStandIn, name: str) -> None:
    claude.play(name)
    play_sql(claude)
    answer = asker.ask()
    assert (answer.status, answer.attempt_count) == ("succeeded", 2)
    stored = assert_settled(answer)
    first, second = stored.attempts.order_by("number")
    assert (first.number, first.status, second.number, second.status) == (1, "failed", 2, "succeeded")
    assert Charge.objects.get(attempt_id=second.pk).cost_usd == claude.billed[-1].cost


@pytest.mark.parametrize("retries", [0, 2])
def test_there_are_as_many_further_tries_as_the_setting_says(
    asker: Asker, claude: ClaudeStandIn, settings: Settings, retries: int
) -> None:
    settings.CLAUDE_RETRIES = retries
    claude.play("server_error", times=5)
    asker.problem_of()
    assert len(claude.requests) == retries + 1
    assert_settled()


def test_retry_after_is_honoured(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.play("rate_limited", seconds=1.3)
    play_sql(claude)
    asker.ask()
    first, second = claude.requests
    assert (second.at - first.at).total_seconds() >= 1.3


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.play("rate_limited", seconds=3600)
    begun = time.monotonic()
    problem = asker.problem_of()
    assert (problem.kind, problem.retry_after) == ("claude-overloaded", 3600)
    assert time.monotonic() - begun < 60
    assert len(claude.requests) == 1
    assert_settled()


@pytest.mark.parametrize(
    ("name", "arguments", "estimated"),
    [
        ("timeout", {}, False),
        ("slow_stream", {"seconds": 60.0}, True),
    ],
)
def test_the_deadline_ends_the_question(
    asker: Asker, claude: ClaudeStandIn, settings: Settings, name: str, arguments: dict[str, Any], estimated: bool
) -> None:
    settings.QUESTION_DEADLINE_SECONDS = 1
    claude.play(name, **arguments)
    problem = asker.problem_of()
    assert (problem.kind, problem.type.status) == ("deadline-exceeded", 504)
    assert_settled()
    assert Charge.objects.get().estimated is estimated
    assert Charge.objects.get().cost_usd >= sum(bill.cost for bill in claude.billed)


def test_with_neither_key_nor_stand_in_the_question_fails_at_once_and_costs_nothing(
    asker: Asker, settings: Settings
) -> None:
    settings.CLAUDE_STAND_IN_URL = ""
    BudgetFactory(team=asker.team)
    problem = asker.problem_of()
    assert (problem.kind, problem.type.status) == ("claude-misconfigured", 503)
    assert assert_settled().cost_usd == 0
    assert BudgetWindow.objects.get().spent_usd == 0


def test_sql_that_is_not_allowed_is_refused_and_paid(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, "DELETE FROM customers", times=3)
    problem = asker.problem_of()
    assert (problem.kind, problem.type.status) == ("sql-refused", 422)
    assert problem.extras["code"]
    stored = assert_settled()
    assert (stored.status, stored.sql, stored.tables) == ("failed", "", [])
    assert stored.cost_usd == sum(bill.cost for bill in claude.billed) > 0
    tried = list(stored.attempts.all())
    assert [attempt.kind for attempt in tried] == ["first", "repair", "repair"]
    assert all("DELETE" in attempt.sql for attempt in tried)  # what Claude wrote can still be looked at
    assert all(problem.extras["code"] in str(attempt.finding) for attempt in tried)
    play_sql(claude)
    assert not asker.ask().cached  # a refusal is not kept


def test_a_budget_that_is_spent_stops_the_question_before_any_call(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team, limit_usd=Decimal("0.000001"))
    problem = asker.problem_of()
    assert (problem.kind, problem.type.status) == ("request-too-expensive", 402)
    assert problem.extras["limit_usd"] == "0.000001"
    assert (problem.extras["spent_usd"], problem.extras["reserved_usd"]) == ("0", "0")
    assert problem.extras["period"] == "day"
    assert claude.requests == []
    assert assert_settled().attempt_count == 0


def test_a_retry_that_the_budget_does_not_allow_is_not_made(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    asker.ask("How dear is one question at most?")
    claude.play("cut_stream", times=3)
    budget = BudgetFactory(team=asker.team, limit_usd=Decimal("0.07"))  # enough for one worst case
    problem = asker.problem_of()
    assert problem.kind == "claude-unreachable"
    assert "There is no money for another try" in problem.detail
    assert len(claude.requests) == 2
    assert BudgetWindow.objects.get(budget=budget).spent_usd <= Decimal("0.07")


def test_a_model_without_a_price_is_never_called(asker: Asker, claude: ClaudeStandIn) -> None:
    Team.objects.update(model="claude-unheard-of")
    problem = asker.problem_of()
    assert (problem.kind, problem.type.status) == ("model-unpriced", 503)
    assert claude.requests == []
    assert_settled()


def test_a_price_that_rises_while_claude_thinks_does_not_raise_the_charge(asker: Asker, claude: ClaudeStandIn) -> None:
    look_up = claude._desk.lookup

    def raise_price(database: str, question: str) -> Any:
        price_raise()
        connection.close()
        return look_up(database, question)

    claude._desk.lookup = raise_price
    first = asker.ask("Asked before the rise?")
    assert first.cost_usd == claude.billed[-1].cost
    second = asker.ask("Asked after it?")
    assert second.cost_usd > 100 * first.cost_usd


def price_raise() -> None:
    if not Price.objects.filter(output__gt=1000).exists():
        dear = Price.objects.filter(model="claude-sonnet-5-5", above_tokens=0).latest("effective_from")
        dear.pk, dear.effective_from = None, timezone.now()
        dear.input, dear.output = dear.input * 1000, dear.output * 1000
        dear.save(force_insert=True)


@pytest.mark.parametrize("place", ["foreign", "missing", "unread"])
def test_a_database_that_cannot_be_asked_leaves_no_generation(asker: Asker, place: str) -> None:
    if place == "foreign":
        other = TeamFactory(slug="marketing")
        question = Question(other.pk, "shop", "?")
        with pytest.raises(Exception, match="not-found"):
            generation_create(principal=make_key(other)[2], question=question)
        with pytest.raises(Exception, match="not-found"):
            generation_create(principal=asker.principal, question=question)
    elif place == "missing":
        assert asker.problem_of(database="nowhere").kind == "not-found"
        assert asker.problem_of(database="no\0where").kind == "not-found"
    else:
        Database.objects.update(catalog=None)
        Catalog.objects.all().delete()
        problem = asker.problem_of()
        assert (problem.kind, problem.type.status) == ("database-not-read", 409)
    assert not Generation.objects.exists()


def test_no_question_is_asked_inside_a_transaction(asker: Asker, claude: ClaudeStandIn) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        asker.ask()
    assert claude.requests == []
    assert not Reservation.objects.exists()


def test_no_connection_is_held_while_claude_answers(asker: Asker, claude: ClaudeStandIn) -> None:
    held: list[bool] = []
    look_up = claude._desk.lookup

    def watch(database: str, question: str) -> Any:
        held.append(asker_connection.connection is not None)
        return look_up(database, question)

    asker_connection = connection
    claude._desk.lookup = watch
    asker.ask("Nobody recorded this.")
    assert held == [False]


def test_every_end_of_a_question_leaves_one_trace(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    answered = asker.ask()
    cached = asker.ask()
    claude.play("max_tokens")
    asker.problem_of("A long one?")
    play_sql(claude, "DROP TABLE customers", times=3)
    asker.problem_of("A bad one?")
    traces = {trace.trace_id for trace in Trace.objects.all()}
    assert traces == set(Generation.objects.values_list("trace_id", flat=True))
    assert {answered.trace_id, cached.trace_id} < traces
    assert len(traces) == 4


def test_what_no_store_can_hold_is_replaced_and_the_bill_settled(asker: Asker, claude: ClaudeStandIn) -> None:
    # JSON can spell what neither UTF-8 nor PostgreSQL can hold.
    escaped = '{"status": "ok", "sql": "%s", "explanation": "a\\u0000b \\ud83d half an emoji"}'
    claude.play("answer", sql=SQL, text=escaped % SQL)
    generation = asker.ask()
    assert assert_settled(generation).explanation == "a\ufffdb ? half an emoji"


def test_an_answer_from_the_us_is_charged_as_it_is_billed_and_says_so(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.workspace_geo = "us"
    play_sql(claude)
    stored = assert_settled(asker.ask())
    (billed,) = claude.billed
    usage = TokenUsage(
        input=billed.usage.input, cache_write_5m=billed.usage.written_5m, cache_write_1h=billed.usage.written_1h,
        cache_read=billed.usage.read, output=billed.usage.output,
    )  # fmt: skip
    elsewhere = cost_of_usage(model=stored.model, usage=usage, at=stored.created_at)
    assert stored.cost_usd == Charge.objects.get().cost_usd == billed.cost == elsewhere * Decimal("1.1")
    assert stored.attempts.get().inference_geo == "us"


def test_a_place_without_a_price_is_charged_at_the_most_that_is_known_and_marked(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    BudgetFactory(team=asker.team, limit_usd=Decimal(5))
    claude.workspace_geo = "eu"
    play_sql(claude)
    stored = assert_settled(asker.ask())
    charge, (billed,) = Charge.objects.get(), claude.billed
    assert (stored.status, charge.estimated, stored.attempts.get().inference_geo) == ("succeeded", True, "eu")
    most = cost_upper_bound(
        model=stored.model, prompt_tokens=billed.usage.prompt, max_tokens=billed.usage.output, at=stored.created_at
    )
    assert charge.cost_usd == most >= billed.cost * Decimal("1.1")


def test_a_model_that_knows_no_places_is_charged_as_ever(asker: Asker, claude: ClaudeStandIn) -> None:
    claude.workspace_geo = "us"
    Team.objects.update(model="claude-haiku-4-5-20251001")
    play_sql(claude)
    stored = assert_settled(asker.ask())
    assert (stored.attempts.get().inference_geo, stored.cost_usd) == ("not_available", claude.billed[0].cost)
    assert not Charge.objects.get().estimated
