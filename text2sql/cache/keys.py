"""What makes two questions the same one."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence

# Marks that end a sentence, after NFKC; quotes, brackets and `%` carry meaning ("above 50%") and stay.
FINAL_MARKS = ".?!…。؟।;:,"


def question_normalize(text: str) -> str:
    """The question without its case, Unicode form, white space and final punctuation."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).rstrip(FINAL_MARKS + " ")


def question_sql(column: str) -> str:
    """The text of a column in SQL, without its case, outer space and final punctuation; takes `%(marks)s`."""
    return f"rtrim(lower(btrim({column})), %(marks)s)"


def cache_key(
    *,
    question: str,
    database_id: str,
    schema_version: str,
    view_version: str,
    dialect: str,
    prompt_version: str,
    model: str,
    conversation: Sequence[str] = (),
    glossary: str = "",
    examples: Sequence[tuple[str, str]] = (),
    answers_number: int = 0,
    clock: str = "UTC",
) -> str:
    """64 hex digits over everything that shapes an answer; the question is normalised here.

    `examples` are the pairs of question and SQL that it is shown, so that one more changes just the keys of those
    questions that it is shown to. `clock` is the time zone that says what "today" is. `answers_number` moves on where
    the answers about a database shall be forgotten.
    """
    # A JSON list quotes its parts, so that no two different lists have the same text.
    parts: list[object] = [
        question_normalize(question),
        database_id,
        schema_version,
        view_version,
        dialect,
        prompt_version,
        model,
    ]
    if conversation or glossary:
        parts += [*map(question_normalize, conversation), hashlib.sha256(glossary.encode()).hexdigest()]
    if examples or answers_number or clock != "UTC":
        shown = [list(pair) for pair in examples]
        parts.append({"examples": shown, "answers_number": answers_number, "clock": clock})
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
