"""What could be asked: questions whose answers a lead has verified, then the database's starter questions."""

from dataclasses import dataclass

from text2sql.cache.keys import question_normalize
from text2sql.models import DatabaseAccess
from text2sql.services.examples import memory_of
from text2sql.services.targets import Target

MOST_SUGGESTED = 60


@dataclass(frozen=True)
class Suggestion:
    question: str
    is_verified: bool


def suggestions_of(target: Target, access: DatabaseAccess) -> list[Suggestion]:
    """Each question once, the ones verified last first."""
    verified = [Suggestion(example.question, is_verified=True) for example in reversed(memory_of(target).shown)]
    starters = [Suggestion(question, is_verified=False) for question in access.starter_questions]
    once: dict[str, Suggestion] = {}
    for suggestion in [*verified, *starters]:
        once.setdefault(question_normalize(suggestion.question), suggestion)
    return list(once.values())[:MOST_SUGGESTED]
