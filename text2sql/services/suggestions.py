"""Questions near to one that is about to be asked, for people to choose from; nothing is answered in their place."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from teams.access import Principal
from text2sql.cache.keys import question_normalize
from text2sql.models import Example, Generation
from text2sql.pipeline.retrieval import NEAR, Likeness, likeness_words
from text2sql.services.targets import Target

MOST = 5
COMPARED = 1000
"""Answers, and as many examples: the newest."""
LOOKED_AT = 5000
"""The team's newest questions about all of its databases, among which those answers are."""


@dataclass(frozen=True)
class Suggestion:
    question: str
    created_at: datetime
    generation_id: UUID | None = None
    example_id: UUID | None = None


def suggestions_find(*, principal: Principal, target: Target, question: str) -> list[Suggestion]:
    """The nearest first; none that is the same question but for its case, space and final punctuation."""
    by_text: dict[str, Suggestion] = {}
    # Examples before answers: of the same question the verified one is told.
    for known in [*_examples(principal, target), *_answers(principal, target)]:
        by_text.setdefault(question_normalize(known.question), known)
    by_text.pop(question_normalize(question), None)
    others = list(by_text.values())
    likeness = Likeness([likeness_words(other.question) for other in others])
    return [others[place] for place, _ in likeness.rank(question, limit=MOST, least=NEAR)]


def _examples(principal: Principal, target: Target) -> list[Suggestion]:
    rows = Example.objects.visible_to(principal).filter(access=target.access_id).in_force()
    found = rows.order_by("-created_at", "-id").values_list("question", "created_at", "id")[:COMPARED]
    return [Suggestion(text, at, example_id=pk) for text, at, pk in found]


def _answers(principal: Principal, target: Target) -> list[Suggestion]:
    # Two walks along the index on team and time, however many questions the team has asked about other databases.
    asked = Generation.objects.visible_to(principal).filter(team=target.team_id).order_by("-created_at", "-id")
    for oldest in asked.values_list("created_at", flat=True)[LOOKED_AT - 1 : LOOKED_AT]:
        asked = asked.filter(created_at__gte=oldest)
    answers = asked.filter(database=target.database_id, status=Generation.Status.SUCCEEDED, parent=None)
    # Without a key it was a question of an evaluation.
    found = answers.exclude(cache_key="").values_list("question", "created_at", "id")[:COMPARED]
    return [Suggestion(text, at, generation_id=pk) for text, at, pk in found]
