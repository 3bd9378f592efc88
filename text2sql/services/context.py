"""What Claude is shown for a question: the whole schema where it fits, else the tables that are likeliest."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.utils import timezone

from text2sql.pipeline.context import schema_text, token_estimate
from text2sql.pipeline.prompt import Asked, Example, Prompt, Turn, prompt_build
from text2sql.pipeline.schema import Schema, Table
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
    target: Target, *, question: str, rules: Rules, turns: tuple[Turn, ...] = (), examples: tuple[Example, ...] = ()
) -> Context:
    """The prompt for a question, and how its schema was chosen."""
    view, whole = target.view(), target.view_text()
    tokens, budget = token_estimate(whole), target.context_tokens
    zone, today = target.clock, timezone.now().astimezone(ZoneInfo(target.clock)).date()
    asked = Asked(question, today, zone, examples=examples, turns=turns)
    if tokens <= budget:
        prompt = _prompt(target, asked, rules, whole)
        reason = f"all {len(view.tables)} tables: {tokens:,} of {budget:,} tokens"
        return Context(prompt, "whole_schema", reason, tuple(table.qualified_name for table in view.tables))
    chosen = _choose(target, view, question=question, turns=turns)
    shown = Schema(view.dialect, (), view.default_schema)
    header = schema_text(shown, name=target.name, description=target.description)
    text = schema_text(chosen, name=target.name, description="")
    asked = Asked(question, today, zone, tables_text=text, examples=examples, turns=turns)
    reason = f"{len(chosen.tables)} of {len(view.tables)} tables: the whole has {tokens:,} of {budget:,} tokens"
    names = tuple(table.qualified_name for table in chosen.tables)
    return Context(_prompt(target, asked, rules, header), "retrieval", reason, names)


def _prompt(target: Target, asked: Asked, rules: Rules, text: str) -> Prompt:
    return prompt_build(asked, schema_text=text, dialect=target.dialect, rules=rules.text, glossary=target.glossary())


def _choose(target: Target, view: Schema, *, question: str, turns: tuple[Turn, ...]) -> Schema:
    """The likeliest tables, best first, as many as the budget holds; one at least."""
    told = " ".join([question, *(turn.question for turn in turns)])
    index = index_for(view, database_id=target.database_id, key=f"{target.schema_version}:{target.view_version}")
    by_name = {table.qualified_name: table for table in view.tables}
    chosen: list[Table] = []
    used = 0
    for name in index.rank(told, MOST_TABLES):
        table = by_name[name]
        one = token_estimate(schema_text(Schema(view.dialect, (table,), None), name="", description=""))
        if chosen and used + one > target.context_tokens:
            break
        chosen.append(table)
        used += one
    return Schema(view.dialect, tuple(chosen), view.default_schema)
