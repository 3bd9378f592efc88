"""One verified question, asked as anyone would ask it: both queries are run, and their rows compared."""

from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from teams.access import Principal
from text2sql.models import EvaluationItem, Generation
from text2sql.pipeline.comparison import (
    Comparison,
    Gold,
    ResultSet,
    gold_query,
    golds_accepted,
    order_asked,
    results_compare,
)
from text2sql.problems import Problem
from text2sql.services.executions import statement_run
from text2sql.services.generation import Question, Trial, generation_create
from text2sql.services.targets import Target
from text2sql.targets.run import QueryResult

Outcome = EvaluationItem.Outcome

ROWS = 10_000
"""Rows read of either query, if the database's own cap is not higher."""
REFUSALS = frozenset({"sql-refused", "claude-refused"})
MISTAKES = frozenset({"sql-invalid", "answer-truncated", "answer-malformed", "execution-failed", "execution-timeout"})
"""What an answer came to that is wrong whatever the rows."""
STATUSES = {Generation.Status.CLARIFY: "It asks back", Generation.Status.CANNOT_ANSWER: "It cannot answer"}


@dataclass(frozen=True)
class Judgement:
    outcome: Outcome
    why: str = ""
    is_weak: bool = False
    generation: Generation | None = None
    problem: Problem | None = None
    """What kept the question from being asked or answered."""

    @property
    def sql(self) -> str:
        return self.generation.sql if self.generation else ""

    @property
    def cost_usd(self) -> Decimal:
        return self.generation.cost_usd if self.generation else Decimal(0)


def question_judge(*, principal: Principal, target: Target, trial: Trial, text: str, gold: str) -> Judgement:
    """Ask the question and judge the answer. Costs nothing where the verified SQL does not run."""
    target = replace(target, row_cap=max(target.row_cap, ROWS))
    golds, trouble = golds_run(target, gold)
    if not golds:
        return Judgement(Outcome.FAILED, f"The verified SQL does not run: {trouble}")
    question = Question(target.team_id, target.name, text, trial=trial)
    try:
        generation = generation_create(principal=principal, question=question)
    except Problem as problem:
        return Judgement(_outcome_of(problem), str(problem), generation=_generation_of(problem), problem=problem)
    if generation.status != Generation.Status.SUCCEEDED:
        why = f"{STATUSES[Generation.Status(generation.status)]}: {generation.explanation}"
        return Judgement(Outcome.REFUSED, why, generation=generation)
    result, failure = statement_run(target, generation.sql)
    if failure is not None:
        return Judgement(_outcome_of(failure), str(failure), generation=generation)
    return _compared(golds, _result_set(result), generation, is_ordered=order_asked(text))


def golds_run(target: Target, sql: str) -> tuple[list[Gold], str]:
    """The rows of each accepted statement that runs, and why the last of the others does not."""
    found: list[Gold] = []
    trouble = "there is none."
    for accepted in golds_accepted(sql):
        query = gold_query(accepted, dialect=target.dialect)
        result, problem = statement_run(target, query.sql)
        if problem is not None and query.sql != accepted:
            query = replace(query, sql=accepted, keys=None, added=0, limit=None)
            result, problem = statement_run(target, accepted)
        if problem is None:
            found.append(query.read(_result_set(result)))
        else:
            trouble = problem.detail
    return found, trouble


def _compared(golds: list[Gold], answer: ResultSet, generation: Generation, *, is_ordered: bool) -> Judgement:
    compared: list[Comparison] = []
    for gold in golds:
        comparison = results_compare(gold, answer, is_ordered=is_ordered)
        if comparison.is_same:
            return Judgement(Outcome.CORRECT, is_weak=comparison.is_weak, generation=generation)
        compared.append(comparison)
    undecided = [comparison.why for comparison in compared if not comparison.is_decided]
    if undecided:
        return Judgement(Outcome.FAILED, undecided[0], generation=generation)
    return Judgement(Outcome.WRONG, compared[0].why, generation=generation)


def _result_set(result: QueryResult | None) -> ResultSet:
    if result is None:
        raise ValueError("a statement without a problem has rows")
    return ResultSet(tuple(column.type for column in result.columns), result.rows, result.truncated)


def _outcome_of(problem: Problem) -> Outcome:
    if problem.kind in REFUSALS:
        return Outcome.REFUSED
    return Outcome.WRONG if problem.kind in MISTAKES else Outcome.FAILED


def _generation_of(problem: Problem) -> Generation | None:
    key = problem.extras.get("generation_id")
    return Generation.objects.filter(pk=UUID(str(key))).first() if key else None
