"""A question's way through the house: cache, context, gate, Claude, checks, settle. Read `generation_create` first."""

import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from observability.services.traces import trace_id_for
from teams.access import Principal
from teams.services.budget_alerts import exhausted_tell
from teams.services.budgets import BudgetExceeded, charge_cached
from text2sql.cache.answers import CacheHit, answer_cache
from text2sql.models import Generation
from text2sql.pipeline.claude import Reply
from text2sql.pipeline.prompt import Turn
from text2sql.problems import Problem
from text2sql.question_log import generation_log
from text2sql.services.admission import CheaperModel, refusal_problem
from text2sql.services.answers import answer_find, answer_key, answer_remember
from text2sql.services.asking import Asking, Ending
from text2sql.services.attempts import attempt_close, spender_of
from text2sql.services.clients import claude_client, claude_name
from text2sql.services.context import Context, context_build
from text2sql.services.conversation import conversation_read
from text2sql.services.events import Event, Listener, nobody
from text2sql.services.examples import Shown, memory_of, uses_record
from text2sql.services.flights import StillAsked, answer_shared
from text2sql.services.outcomes import generation_score, generation_stamp, generation_trace, generation_write
from text2sql.services.places import place_taken
from text2sql.services.rules import Rules, rules_current
from text2sql.services.steps import step_taken
from text2sql.services.targets import Rung, Target, target_find

LOST_AFTER = timedelta(seconds=15)
"""How long after its deadline a running question is called lost: time to settle what arrived at the last moment."""


def lost_after(started_at: datetime) -> datetime:
    """When a question that began then can no longer be answered by whoever began it."""
    return started_at + timedelta(seconds=settings.QUESTION_DEADLINE_SECONDS) + LOST_AFTER


@dataclass(frozen=True)
class Trial:
    """How the question of an evaluation is answered: past the cache, first by this model, under these rules."""

    rung: Rung
    rules: Rules


@dataclass(frozen=True)
class Question:
    team_id: str
    database: str
    text: str
    session_id: str = ""
    end_user: str = ""
    parent_id: UUID | None = None
    """The generation that this question follows; None: the last one answered in its session, if it has one."""
    trial: Trial | None = None
    """Set for a question of an evaluation."""
    id: UUID = field(default_factory=uuid4)
    """Of the generation that it becomes."""


@dataclass(frozen=True)
class Case:
    """A question with all that its answer depends on."""

    question: Question
    target: Target
    rules: Rules
    parent: Generation | None
    turns: tuple[Turn, ...]
    examples: tuple[Shown, ...]
    """What was verified of questions like it."""

    def key(self, rung: Rung) -> str:
        return answer_key(
            question=self.question.text, turns=self.turns, examples=self.examples, target=self.target,
            rules=self.rules, rung=rung,
        )  # fmt: skip


def generation_create(*, principal: Principal, question: Question, listener: Listener = nobody) -> Generation:
    """Answer one question.

    Raises:
        Problem: What kept it from being answered, with the `generation_id` in its extras where one was recorded.
    """
    deadline = time.monotonic() + settings.QUESTION_DEADLINE_SECONDS
    case = _case(principal, question)
    return _answer(_generation(principal, case), case, deadline, listener, is_limited=question.trial is None)


def generation_queue(*, principal: Principal, question: Question) -> Generation:
    """Write one question down, for `generation_resume` to answer. Raises Problem, as `generation_create`."""
    generation = _generation(principal, _case(principal, question))
    generation.status = Generation.Status.QUEUED
    generation.save(force_insert=True)
    return generation


def generation_resume(*, principal: Principal, generation: Generation) -> Generation:
    """Answer a queued question, which the caller has set running; its time begins now. Raises Problem likewise."""
    deadline = time.monotonic() + settings.QUESTION_DEADLINE_SECONDS
    question = Question(
        generation.team_id, generation.database.name, generation.question, generation.session_id, generation.end_user,
        generation.parent_id, id=generation.pk,
    )  # fmt: skip
    case = _case(principal, question)
    _place(generation, case)
    return _answer(generation, case, deadline, nobody)


def _answer(
    generation: Generation, case: Case, deadline: float, listener: Listener, *, is_limited: bool = False
) -> Generation:
    answering = _Answering(generation, case, deadline, listener)
    ladder = case.target.ladder
    if recalled := answering.recall():
        return recalled
    with place_taken(generation.team_id) if is_limited else nullcontext():
        try:
            return answering.run(ladder.first)
        except CheaperModel as cheaper:
            if case.question.trial is not None:
                # Of another model than the one on trial nobody wants to know.
                ending = Ending(problem=refusal_problem(cheaper.refusal), refusal=cheaper.refusal)
                return _finish(generation, ending, case)
            generation.rung, generation.model = Generation.Rung.DEGRADED, ladder.degraded.model
            generation.cache_key = case.key(ladder.degraded)
            return answering.recall() or answering.run(ladder.degraded)


@dataclass
class _Answering:
    """One question, by one model or then by another."""

    generation: Generation
    case: Case
    deadline: float
    listener: Listener

    def recall(self) -> Generation | None:
        """Answer with what the model said before, if that was kept."""
        hit = answer_find(self.generation) if self.generation.cache_key else None
        return _finish_cached(self.generation, hit, self.case) if hit else None

    def run(self, rung: Rung) -> Generation:
        """Answer with what the model says to another right now, or says now. Raises CheaperModel."""
        try:
            with answer_shared(self.generation, deadline=self.deadline) as hit:
                if hit is not None:
                    return _finish_cached(self.generation, hit, self.case)
                return _finish(self.generation, self._ask(rung), self.case)
        except StillAsked:
            _save(self.generation)
            problem = Problem("deadline-exceeded", "Claude is still answering the same question to others; ask again.")
            return _finish(self.generation, Ending(problem=problem), self.case)

    def _ask(self, rung: Rung) -> Ending:
        # Those of a worker that died before count on: a number is used once, and the question was counted then.
        context, generation = self._context, self.generation
        number = generation.attempts.count() + 1 if generation.run_count > 1 else 1
        return Asking(generation, self.case.target, context.prompt, rung, self.deadline, self.listener, number).run()

    @cached_property
    def _context(self) -> Context:
        case, generation = self.case, self.generation
        with step_taken(generation, "build_context"):
            context = context_build(
                case.target, question=case.question.text, rules=case.rules, turns=case.turns, examples=case.examples,
                but_itself=case.question.trial is not None,
            )  # fmt: skip
        generation.strategy, generation.strategy_reason = context.strategy, context.reason
        _save(generation)
        self.listener(Event("context", _context_document(context, case)))
        return context


def warm_up() -> None:
    """Build what the first question would otherwise wait for. Called when a web worker starts."""
    answer_cache()
    if settings.ANTHROPIC_API_KEY or settings.CLAUDE_STAND_IN_URL:
        claude_client()


def _case(principal: Principal, question: Question) -> Case:
    target = target_find(principal=principal, team_id=question.team_id, name=question.database)
    parent, turns = conversation_read(
        principal=principal,
        target=target,
        question=question.text,
        parent_id=question.parent_id,
        session_id=question.session_id,
    )
    told = " ".join([question.text, *(turn.question for turn in turns)])
    if (trial := question.trial) is None:
        return Case(question, target, rules_current(), parent, turns, memory_of(target).like(told))
    # What was verified of the very question that is judged would be the answer.
    examples = memory_of(target).like(told, but_itself=True)
    ladder = replace(target.ladder, first=trial.rung, repair=target.ladder.repair_after(trial.rung))
    return Case(question, replace(target, ladder=ladder), trial.rules, parent, turns, examples)


def _generation(principal: Principal, case: Case) -> Generation:
    now, question = timezone.now(), case.question
    generation = Generation(
        id=question.id,
        team_id=question.team_id,
        api_key_id=principal.api_key_id,
        user_id=principal.user_id,
        question=question.text,
        session_id=question.session_id,
        end_user=question.end_user,
        trace_id=trace_id_for(f"generation:{question.id}"),
        created_at=now,
        lost_at=lost_after(now),
    )
    _place(generation, case)
    return generation


def _place(generation: Generation, case: Case) -> None:
    """Put what its answer depends on, as it stands now, into the generation."""
    target, rung = case.target, case.target.ladder.first
    generation.database, generation.parent = target.database(), case.parent
    generation.dialect, generation.schema_version = target.dialect, target.schema_version
    generation.prompt_version, generation.glossary_number = case.rules.version, target.glossary_number
    generation.model, generation.answered_by = rung.model, claude_name()
    generation.cache_key = "" if case.question.trial is not None else case.key(rung)


def _save(generation: Generation) -> None:
    """Write a new row, or what may have changed in a queued one; never its sums, which another may be adding to."""
    if generation._state.adding:
        generation.save(force_insert=True)
    else:
        generation.save(update_fields=_PLACED)


_PLACED = [
    "parent", "dialect", "schema_version", "prompt_version", "glossary_number", "model", "answered_by", "cache_key",
    "strategy", "strategy_reason",
]  # fmt: skip


def _context_document(context: Context, case: Case) -> dict[str, object]:
    return {
        "strategy": context.strategy,
        "reason": context.reason,
        "tables": list(context.tables),
        "examples": [example.question for example in case.examples],
    }


def _finish_cached(generation: Generation, hit: CacheHit, case: Case) -> Generation:
    answer = hit.answer
    generation.cached, generation.origin_id, generation.saved_usd = True, UUID(answer.generation_id), answer.cost_usd
    generation.sql, generation.explanation, generation.tables = answer.sql, answer.explanation, list(answer.tables)
    generation.status, generation.choices, generation.model = hit.status, list(hit.choices), answer.model
    generation_stamp(generation)
    with transaction.atomic(durable=True):
        if generation._state.adding:
            generation.cost_usd = hit.cost_usd
            generation.save(force_insert=True)
        else:
            Generation.objects.filter(pk=generation.pk).update(cost_usd=F("cost_usd") + hit.cost_usd)
            _write(generation)
        generation_trace(generation)
        if hit.cost_usd:
            charge_cached(
                generation_id=generation.id, spender=spender_of(generation), model=answer.model,
                database=case.target.name, cost=hit.cost_usd, now=generation.created_at,
            )  # fmt: skip
    generation_log(generation, database=case.target.name)
    return generation


def _finish(generation: Generation, ending: Ending, case: Case) -> Generation:
    _take(generation, ending)
    _close(generation, ending, case)
    if ending.problem:
        raise ending.problem
    if ending.statement is not None and case.question.trial is None:
        answer_remember(generation, ending.statement, clock=ZoneInfo(case.target.clock))
    return generation


def _take(generation: Generation, ending: Ending) -> None:
    """Put what was answered into the generation."""
    if ending.call is not None:
        generation.model = ending.call.attempt.model
        if isinstance(reply := ending.call.outcome, Reply):
            generation.explanation, generation.choices = reply.explanation, list(reply.choices)
            generation.status = _STATUS[reply.status]
    if ending.statement is not None:
        generation.sql, generation.tables = ending.statement.sql, list(ending.statement.tables)
    if problem := ending.problem:
        generation.status = Generation.Status.FAILED
        generation.problem, generation.problem_detail = problem.kind, problem.detail
        problem.extras["generation_id"] = str(generation.id)


_STATUS = {
    "ok": Generation.Status.SUCCEEDED,
    "clarify": Generation.Status.CLARIFY,
    "cannot_answer": Generation.Status.CANNOT_ANSWER,
}


def _close(generation: Generation, ending: Ending, case: Case) -> None:
    """What happened, its cost and its trace, in one transaction."""
    generation_stamp(generation)
    call = ending.call
    with transaction.atomic(durable=True):
        if call is not None:
            attempt_close(call, generation=generation, database=case.target.name)
        _write(generation)
        if generation.attempt_count and case.question.trial is None:
            uses_record(generation, case.examples)
        generation_trace(generation, call)
        if isinstance(ending.refusal, BudgetExceeded) and ending.refusal.reason in _EXHAUSTED:
            state = ending.refusal.state
            exhausted_tell(budget_id=state.budget_id, starts_at=state.starts_at, reason=ending.refusal.reason)
        if call is not None and isinstance(call.outcome, Reply) and call.outcome.sql:
            is_valid = ending.problem is None
            generation_score(generation, "sql_valid", passed=is_valid, comment=str(ending.problem or ""))
    generation_log(generation, database=case.target.name)


def _write(generation: Generation) -> None:
    if not generation_write(generation):
        lost = "The answer came after the question had been given up."
        raise Problem("question-lost", lost, {"generation_id": str(generation.pk)})


_EXHAUSTED = ("budget_exhausted", "requests_exhausted")
