"""What the stand-in answers: the SQL recorded for a question, or plainly that it cannot."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from text2sql.demo.claude.errors import invalid
from text2sql.demo.claude.prompt import Question, read_schema

NOTE = "(Answered by the built-in stand-in from a recorded question; Claude was not asked.)"
EXAMPLES = 3


class Recorded(Protocol):
    """A question with the SQL and the explanation that answer it."""

    @property
    def question(self) -> str: ...

    @property
    def sql(self) -> str: ...

    @property
    def explanation(self) -> str: ...


Lookup = Callable[[str, str], Recorded | None]
Examples = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Answer:
    status: str
    sql: str
    explanation: str
    choices: Sequence[str] = ()


def find_recorded_question(database: str, question: str) -> Recorded | None:
    from text2sql.demo.questions import find_recorded  # noqa: PLC0415  # a stand-in with a lookup of its own needs none

    return find_recorded(database, question)


def list_recorded_questions(database: str) -> list[str]:
    from text2sql.demo.questions import RECORDED  # noqa: PLC0415  # as above

    return [recorded.question for recorded in RECORDED.get(database, ())]


def check_answerable(body: dict[str, Any]) -> None:
    """Raises ApiError (400) for a schema that the stand-in, unlike Claude, has no words for."""
    schema = read_schema(body)
    if schema is not None and set(schema.get("properties") or {}) - {"choices"} != {"status", "sql", "explanation"}:
        raise invalid(
            "output_config.format.schema: this is the built-in stand-in for Claude, and it can fill only a schema"
            " with the properties status, sql, explanation and choices."
        )


def find_answer(question: Question, lookup: Lookup, examples: Examples) -> Answer:
    recorded = lookup(question.database, question.text) if question.database and question.text else None
    if recorded:
        return Answer("ok", recorded.sql, f"{recorded.explanation} {NOTE}")
    return Answer("cannot_answer", "", explain_silence(question, examples))


def explain_silence(question: Question, examples: Examples) -> str:
    sentences = ["This is the built-in stand-in, not Claude: it knows only recorded questions."]
    if question.text is None or question.database is None:
        sentences.append("This request holds no <question> about a <database>.")
        return " ".join(sentences)
    known = examples(question.database)[:EXAMPLES]
    if known:
        quoted = "; ".join(f'"{example}"' for example in known)
        sentences.append(f"For {question.database} you can ask, for example: {quoted}.")
    else:
        sentences.append(f"For {question.database} it knows none.")
    sentences.append("Set ANTHROPIC_API_KEY to have Claude answer every question.")
    return " ".join(sentences)


def print_answer(answer: Answer, body: dict[str, Any]) -> str:
    """The text of the answer: JSON in the order of the schema, or plain text where none is asked for."""
    schema = read_schema(body)
    if schema is None:
        return "\n\n".join(filter(None, (answer.sql, answer.explanation)))
    values = asdict(answer)
    return json.dumps({name: values[name] for name in schema["properties"]}, ensure_ascii=False)
