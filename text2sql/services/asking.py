"""Claude is asked until an answer passes, or until nothing more can help."""

import logging
import time
from dataclasses import dataclass, replace

from django.db import transaction

from observability.services.prices import PriceUnknown
from teams.services.budgets import BudgetExceeded
from text2sql.models import Attempt, Generation
from text2sql.pipeline.claude import ClaudeFailure, Reply
from text2sql.pipeline.finding import Finding
from text2sql.pipeline.guard import GuardedStatement
from text2sql.pipeline.partial import sql_so_far
from text2sql.pipeline.prompt import Prompt, prompt_repair
from text2sql.problems import Problem
from text2sql.services.admission import CheaperModel, attempt_admit, refusal_problem
from text2sql.services.attempts import (
    Call,
    attempt_call,
    attempt_close,
    attempt_retry_pause,
    attempt_was_cut,
)
from text2sql.services.checking import statement_check, statement_guard
from text2sql.services.connections import connection_release
from text2sql.services.events import Event, Listener
from text2sql.services.steps import step_taken
from text2sql.services.targets import Rung, Target

logger = logging.getLogger(__name__)

REPAIRS = 2
"""How often SQL is sent back with what is wrong with it."""
REPAIR_SECONDS = 5.0
"""With less time than this left, a repair would not be answered."""


@dataclass(frozen=True)
class Ending:
    """How the asking ended. `call` is the last one, still to be settled with the generation; None: all are settled."""

    call: Call | None = None
    statement: GuardedStatement | None = None
    problem: Problem | None = None
    finding: Finding | None = None
    refusal: BudgetExceeded | PriceUnknown | None = None


@dataclass
class Asking:
    """One question on its way, and what was tried so far."""

    generation: Generation
    target: Target
    prompt: Prompt
    rung: Rung
    deadline: float
    listener: Listener
    number: int = 1
    retries: int = 0
    repairs: int = 0
    kind: Attempt.Kind = Attempt.Kind.FIRST
    is_whole: bool = False
    """The answer was cut for want of money: this one must have room for all of it."""

    def run(self) -> Ending:
        """Call until an answer passes or none can help any more.

        Raises:
            CheaperModel: Before the first call, where a budget wants the cheaper model.
        """
        last = Ending()
        while True:
            try:
                attempt = attempt_admit(
                    generation=self.generation, rung=self.rung, kind=self.kind, number=self.number, prompt=self.prompt,
                    deadline=self.deadline, is_whole=self.is_whole,
                )  # fmt: skip
            except CheaperModel as cheaper:
                if last.call is None:  # nothing was called yet
                    raise
                return _without_money(last, cheaper.refusal)
            except (BudgetExceeded, PriceUnknown) as refusal:
                return _without_money(last, refusal)
            last = self._try(attempt)
            pause = self._prepare_next(last)
            if pause is None or last.call is None:
                return last
            with transaction.atomic(durable=True):
                attempt_close(last.call, generation=self.generation, database=self.target.name)
            connection_release()
            time.sleep(pause)

    def _try(self, attempt: Attempt) -> Ending:
        self.listener(Event("attempt", {"number": self.number, "kind": attempt.kind, "model": attempt.model}))
        written = ""

        def tell_sql(text: str) -> None:
            nonlocal written
            sql = sql_so_far(text)
            if len(sql) > len(written):
                self.listener(Event("sql", {"delta": sql[len(written) :]}))
                written = sql

        call = attempt_call(
            attempt, prompt=self.prompt, team_id=self.generation.team_id, deadline=self.deadline, on_text=tell_sql
        )
        if isinstance(call.outcome, ClaudeFailure):
            failure = call.outcome
            return Ending(call, problem=Problem(failure.problem, failure.detail, retry_after=failure.retry_after))
        if call.outcome.status != "ok":
            return Ending(call)
        return self._check(call, call.outcome)

    def _check(self, call: Call, reply: Reply) -> Ending:
        call.attempt.sql = reply.sql
        try:
            with step_taken(self.generation, "guard"):
                checked = statement_guard(self.target, reply.sql)
            if checked.statement is not None:
                with step_taken(self.generation, "check"):
                    checked = statement_check(self.target, checked.statement)
        except Exception:
            # The answer is paid for: whatever went wrong with it, its bill is settled and the question ends.
            logger.exception("The answer to %s could not be checked", self.generation.pk)
            detail = "Claude's answer could not be checked; the error has been logged."
            return Ending(call, problem=Problem("internal-error", detail))
        finding = checked.finding
        if finding is None:
            return Ending(call, checked.statement)
        call.attempt.finding = finding.as_document()
        self.listener(Event("finding", finding.as_document()))
        extras = {"code": finding.code, "closest": list(finding.closest), "sql": reply.sql}
        kind = "sql-refused" if checked.is_refused else "sql-invalid"
        return Ending(call, problem=Problem(kind, finding.message, extras), finding=finding)

    def _prepare_next(self, ending: Ending) -> float | None:
        """Make ready for a further try; the seconds to wait before it, None where none would help."""
        call = ending.call
        if call is None or ending.problem is None:
            return None
        pause: float | None
        if not self.is_whole and attempt_was_cut(call):
            self.is_whole, pause, self.kind = True, 0.0, Attempt.Kind.RETRY
        elif ending.finding is not None:
            if not self._may_repair():
                return None
            self._repair(call, ending.finding)
            pause = 0.0
        else:
            pause = attempt_retry_pause(call.outcome, number=self.retries + 1, deadline=self.deadline)
            self.retries, self.kind = self.retries + 1, Attempt.Kind.RETRY
        self.number += 1
        return pause

    def _may_repair(self) -> bool:
        in_time = time.monotonic() + REPAIR_SECONDS < self.deadline
        return in_time and self.repairs < REPAIRS and not self.generation.degraded

    def _repair(self, call: Call, finding: Finding) -> None:
        self.repairs, self.kind, self.retries = self.repairs + 1, Attempt.Kind.REPAIR, 0
        rung = self.target.ladder.repair
        self.prompt = prompt_repair(
            self.prompt, answer=call.outcome.text, finding=str(finding), is_same_model=rung.model == self.rung.model
        )
        self.rung, self.generation.rung = rung, Generation.Rung.REPAIR


def _without_money(last: Ending, refusal: BudgetExceeded | PriceUnknown) -> Ending:
    """Nothing was called; with what the try before came to, where there was one."""
    if last.problem is None:
        return Ending(problem=refusal_problem(refusal), refusal=refusal)
    problem = replace(last.problem, detail=f"{last.problem.detail} There is no money for another try: {refusal}")
    return Ending(problem=problem, refusal=refusal)
