"""What a trace tells of a question, read back from Langfuse's stand-in."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from feedback.models import Feedback
from feedback.services.opinions import Opinion, feedback_give
from observability.services.scores import scores_export
from observability.services.traces import traces_export
from tests.standins.langfuse import LangfuseStandIn, Trace
from tests.text2sql.services.conftest import SQL, Asker, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database, Generation
from text2sql.services.executions import execution_run

pytestmark = pytest.mark.django_db(transaction=True)


def trace_of(generation: Generation, langfuse: LangfuseStandIn) -> Trace:
    traces_export()
    trace = langfuse.traces()[generation.trace_id]
    assert trace.root is not None
    return trace


def milliseconds_of(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def names(trace: Trace) -> list[str]:
    return sorted(observation.name for observation in trace.observations)


def test_compact_tells_the_attempt_and_the_steps_as_numbers(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    trace = trace_of(asker.ask(), langfuse)
    assert names(trace) == ["generate_sql", "text2sql_generation"]
    assert trace.root is not None
    assert {"look_up_cache_ms", "build_context_ms", "guard_ms", "strategy"} <= set(trace.root.metadata)
    assert trace.root.metadata["strategy"] == "whole_schema"


def test_full_tells_every_step_as_an_observation(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn, settings: Settings
) -> None:
    settings.LANGFUSE_DETAIL = "full"
    play_sql(claude)
    trace = trace_of(asker.ask(), langfuse)
    assert names(trace) == ["build_context", "check", "generate_sql", "guard", "look_up_cache", "text2sql_generation"]
    assert trace.root is not None
    guard = trace.named("guard")
    assert guard.parent_id == trace.root.id
    assert guard.end is not None
    assert trace.root.start <= guard.start <= guard.end


def test_full_tells_every_run_of_the_sql_below_the_root(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn, settings: Settings
) -> None:
    settings.LANGFUSE_DETAIL = "full"
    Database.objects.update(row_cap=1)
    play_sql(claude)
    generation = asker.ask(session_id="s-1")
    before = trace_of(generation, langfuse)
    asked_at = timezone.now()
    runs = [execution_run(principal=asker.principal, generation=generation).execution for _ in range(2)]
    trace = trace_of(generation, langfuse)
    assert trace.root == before.root
    told = [one for one in trace.observations if one.name == "execute_sql"]
    assert len(trace.observations) == len(before.observations) + 2 == len({one.id for one in trace.observations})
    for span, run in zip(told, runs, strict=True):
        assert span.parent_id == before.root.id  # type: ignore[union-attr]  # trace_of has looked
        assert (span.level, span.status_message, span.input) == ("DEFAULT", "", SQL)
        assert span.output is None  # rows stay where they are
        assert span.end == milliseconds_of(run.executed_at)
        assert milliseconds_of(asked_at) <= span.start <= span.end
        counted = {name: span.metadata[name] for name in ("execution_id", "row_count", "truncated", "elapsed_ms")}
        assert counted == {
            "execution_id": str(run.pk), "row_count": "1", "truncated": "true", "elapsed_ms": str(run.elapsed_ms),
        }  # fmt: skip
        assert (span.user_id, span.session_id, span.tags) == ("sales", "s-1", before.root.tags)  # type: ignore[union-attr]  # as above


def test_a_run_that_fails_is_an_error_and_the_question_stays_answered(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn, settings: Settings, shop: Path
) -> None:
    settings.LANGFUSE_DETAIL = "full"
    play_sql(claude)
    generation = asker.ask()
    with closing(sqlite3.connect(shop)) as target:
        target.execute("ALTER TABLE customers RENAME COLUMN name TO title")
    failed = execution_run(principal=asker.principal, generation=generation).execution
    trace = trace_of(generation, langfuse)
    span = trace.named("execute_sql")
    assert failed.problem == "execution-failed"
    assert (span.level, span.status_message) == ("ERROR", f"execution-failed: {failed.problem_detail}")
    assert "row_count" not in span.metadata
    assert trace.root is not None
    assert trace.root.level == "DEFAULT"


def test_compact_tells_nothing_of_a_run_but_its_score(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    generation = asker.ask()
    execution_run(principal=asker.principal, generation=generation)
    assert names(trace_of(generation, langfuse)) == ["generate_sql", "text2sql_generation"]
    scores_export()
    assert {score.name for score in langfuse.scores()} == {"sql_valid", "sql_execution_success"}


def test_a_call_in_the_us_says_so_and_its_cost_is_the_ledgers(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    claude.workspace_geo = "us"
    play_sql(claude)
    generation = asker.ask()
    attempt = trace_of(generation, langfuse).named("generate_sql")
    assert attempt.metadata["inference_geo"] == "us"
    assert attempt.total_cost == generation.cost_usd == claude.billed[0].cost


def test_the_whole_prompt_is_told_only_where_it_is_asked_for(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn, settings: Settings
) -> None:
    play_sql(claude)
    assert "read-only" not in str(trace_of(asker.ask(), langfuse).named("generate_sql").input)
    settings.LANGFUSE_FULL_PROMPT = True
    play_sql(claude)
    told = trace_of(asker.ask("Another question?"), langfuse).named("generate_sql").input
    assert "read-only" in str(told)


def test_a_failure_has_its_level_its_message_and_its_stack_trace(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    claude.play("max_tokens")
    asker.problem_of()
    trace = trace_of(Generation.objects.get(), langfuse)
    attempt = trace.named("generate_sql")
    assert trace.root is not None
    for observation in (trace.root, attempt):
        assert observation.level == "ERROR"
        assert observation.status_message is not None
        assert observation.status_message.startswith("answer-truncated")
        assert "ClaudeFailure" in str(observation.output)


def test_a_failure_that_a_later_attempt_repairs_leaves_the_root_clean(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    claude.play("server_error")
    play_sql(claude)
    trace = trace_of(asker.ask(), langfuse)
    assert trace.root is not None
    assert trace.root.level == "DEFAULT"
    failed, good = sorted((o for o in trace.observations if o.name == "generate_sql"), key=lambda o: o.start)
    assert (failed.level, good.level) == ("ERROR", "DEFAULT")
    assert failed.total_cost == 0
    assert not any(failed.usage.values())


def test_a_database_that_shares_no_text_sends_numbers_only(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn, settings: Settings
) -> None:
    settings.LANGFUSE_DETAIL, settings.LANGFUSE_FULL_PROMPT = "full", True
    Database.objects.update(share_text=False)
    play_sql(claude)
    generation = asker.ask("Who is our xylophone customer?")
    execution_run(principal=asker.principal, generation=generation)
    opinion = Opinion(rating=Feedback.Rating.DOWN, comment="xylophone again")
    feedback_give(principal=asker.principal, generation=generation, opinion=opinion)
    claude.play("answer", times=3, sql="DELETE FROM customers /* xylophone */")
    asker.problem_of("Which xylophone?")
    traces_export()
    scores_export()
    sent = str([langfuse.traces(), langfuse.scores()])
    assert "xylophone" not in sent
    assert "customers" not in sent
    trace = langfuse.traces()[generation.trace_id]
    assert trace.named("generate_sql").usage["output"] > 0
    run = trace.named("execute_sql")
    assert (run.input, run.metadata["row_count"]) == (None, "2")
    assert {score.name for score in langfuse.scores()} == {"sql_valid", "sql_execution_success", "user_feedback"}


def test_scores_tell_whether_the_sql_was_valid_and_whether_it_ran(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    good = asker.ask()
    execution_run(principal=asker.principal, generation=good)
    claude.play("answer", times=3, sql="DROP TABLE customers")
    asker.problem_of("Something else?")
    scores_export()
    scores_export()
    told = {(score.trace_id, score.name): bool(score.value) for score in langfuse.scores()}
    bad = Generation.objects.get(status=Generation.Status.FAILED)
    assert told == {
        (good.trace_id, "sql_valid"): True,
        (good.trace_id, "sql_execution_success"): True,
        (bad.trace_id, "sql_valid"): False,
    }
