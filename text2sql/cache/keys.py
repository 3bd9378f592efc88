"""What makes two questions the same one."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence

# Marks that end a sentence, after NFKC; quotes, brackets and `%` carry meaning ("above 50%") and stay.
_FINAL_MARKS = ".?!…。؟।;:,"


def question_normalize(text: str) -> str:
    """The question without its case, Unicode form, white space and final punctuation."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).rstrip(_FINAL_MARKS + " ")


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
) -> str:
    """64 hex digits over everything that shapes an answer; the question is normalised here."""
    # A JSON list quotes its parts, so that no two different lists have the same text.
    parts = [
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
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
