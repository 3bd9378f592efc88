"""What a trace tells of a question, read back from Langfuse's stand-in."""

import pytest
from pytest_django import Settings

from feedback.models import Feedback
from feedback.services import Opinion, feedback_give
from observability.services.scores import scores_export
from observability.services.traces import traces_export
from tests.standins.langfuse import LangfuseStandIn, Trace
from tests.text2sql.services.conftest import Asker, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database, Generation
from text2sql.services.executions import execution_run

pytestmark = pytest.mark.django_db(transaction=True)


def trace_of(generation: Generation, langfuse: LangfuseStandIn) -> Trace:
    traces_export()
    trace = langfuse.traces()[generation.trace_id]
    assert trace.root is not None
    return trace


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
    assert names(trace) == ["build_context", "generate_sql", "guard", "look_up_cache", "text2sql_generation"]
    assert trace.root is not None
    guard = trace.named("guard")
    assert guard.parent_id == trace.root.id
    assert guard.end is not None
    assert trace.root.start <= guard.start <= guard.end


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
    claude.play("answer", sql="DELETE FROM customers /* xylophone */")
    asker.problem_of("Which xylophone?")
    traces_export()
    scores_export()
    sent = str([langfuse.traces(), langfuse.scores()])
    assert "xylophone" not in sent
    assert "customers" not in sent
    attempt = langfuse.traces()[generation.trace_id].named("generate_sql")
    assert attempt.usage["output"] > 0
    assert {score.name for score in langfuse.scores()} == {"sql_valid", "sql_execution_success", "user_feedback"}


def test_scores_tell_whether_the_sql_was_valid_and_whether_it_ran(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    play_sql(claude)
    good = asker.ask()
    execution_run(principal=asker.principal, generation=good)
    claude.play("answer", sql="DROP TABLE customers")
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
