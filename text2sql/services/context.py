"""What Claude is shown for a question: the whole schema where it fits, else the tables that are likeliest."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.utils import timezone

from text2sql.pipeline.context import schema_text, token_estimate
from text2sql.pipeline.prompt import Asked, Example, Prompt, Turn, prompt_build
from text2sql.pipeline.retrieval import Example as Learnt
from text2sql.pipeline.schema import Schema, Table
from text2sql.services.examples import Shown, memory_of
from text2sql.services.retrieval import index_for
from text2sql.services.rules import Rules
from text2sql.services.targets import Target

MOST_TABLES = 200


@dataclass(frozen=True)
class Context:
    prompt: Prompt
    strategy: str
    """`whole_schema` or `retrieval`."""
    reason: str
    tables: tuple[str, ...]
    """Qualified names of the tables that Claude is shown."""


def context_build(
    target: Target,
    *,
    question: str,
    rules: Rules,
    turns: tuple[Turn, ...] = (),
    examples: tuple[Shown, ...] = (),
    but_itself: bool = False,
) -> Context:
    """The prompt for a question, and how its schema was chosen.

    `but_itself`: approved questions of the same words do not help to choose tables, for a question that is judged.
    """
    view, whole = target.view(), target.view_text()
    tokens, budget = token_estimate(whole), target.context_tokens
    text, tables_text = whole, ""
    strategy, tables = "whole_schema", view.tables
    reason = f"all {len(tables)} tables: {tokens:,} of {budget:,} tokens"
    if tokens > budget:
        told = " ".join([question, *(turn.question for turn in turns)])
        chosen = _choose(target, view, told=told, but_itself=but_itself)
        text = schema_text(
            Schema(view.dialect, (), view.default_schema), name=target.name, description=target.description
        )
        tables_text = schema_text(chosen, name=target.name, description="")
        strategy, tables = "retrieval", chosen.tables
        reason = f"{len(tables)} of {len(view.tables)} tables: the whole has {tokens:,} of {budget:,} tokens"
    if examples:
        reason += f"; {len(examples)} examples"
    asked = Asked(
        question,
        timezone.now().astimezone(ZoneInfo(target.clock)).date(),
        target.clock,
        tables_text=tables_text,
        examples=tuple(Example(example.question, example.sql) for example in examples),
        turns=turns,
    )
    prompt = prompt_build(asked, schema_text=text, dialect=target.dialect, rules=rules.text, glossary=target.glossary())
    return Context(prompt, strategy, reason, tuple(table.qualified_name for table in tables))


def _choose(target: Target, view: Schema, *, told: str, but_itself: bool) -> Schema:
    """The likeliest tables, best first, as many as the budget holds; one at least."""
    seen, learnt = f"{target.schema_version}:{target.view_version}", memory_of(target).shown
    if learnt:
        seen += f":{target.access_id}:{target.examples_number}:{','.join(sorted(target.allowed_functions))}"
    examples = [Learnt(example.question, example.tables) for example in learnt]
    index = index_for(view, database_id=target.database_id, key=seen, examples=examples)
    by_name = {table.qualified_name: table for table in view.tables}
    chosen: list[Table] = []
    used = 0
    for name in index.rank(told, MOST_TABLES, but_itself=but_itself):
        table = by_name[name]
        one = token_estimate(schema_text(Schema(view.dialect, (table,), None), name="", description=""))
        if chosen and used + one > target.context_tokens:
            break
        chosen.append(table)
        used += one
    return Schema(view.dialect, tuple(chosen), view.default_schema)
