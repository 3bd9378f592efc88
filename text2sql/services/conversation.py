"""The questions before this one, so that "now only Europe" can be answered."""

from uuid import UUID

from django.db.models import QuerySet

from teams.access import Principal
from text2sql.cache.keys import question_normalize
from text2sql.models import Generation
from text2sql.pipeline.prompt import Turn
from text2sql.problems import not_found
from text2sql.services.targets import Target

TURNS = 3
"""Earlier questions that Claude is told, at most."""

_TELLING = (Generation.Status.SUCCEEDED, Generation.Status.CLARIFY)


def conversation_read(
    *, principal: Principal, target: Target, question: str, parent_id: UUID | None, session_id: str
) -> tuple[Generation | None, tuple[Turn, ...]]:
    """The question that this one follows, and the turns up to it, the oldest first.

    It follows the one that is named, else the last one answered in its session. A question that was asked before in
    this conversation stands where it stood then: asked again it is the same question.

    Raises:
        Problem: `not-found`, where the named one is another team's, about another database, or not there.
    """
    parent = _parent(principal, target, parent_id, session_id)
    chain: list[Generation] = []
    step = parent
    while step is not None and len(chain) < TURNS:
        chain.append(step)
        step = _rows(principal, target).filter(pk=step.parent_id).first() if step.parent_id else None
    asked = question_normalize(question)
    for place, earlier in enumerate(chain):
        if question_normalize(earlier.question) == asked and parent_id is None:
            chain = chain[place + 1 :]
            break
    turns = tuple(Turn(one.question, one.sql, one.explanation) for one in reversed(chain))
    return (chain[0] if chain else None), turns


def _parent(principal: Principal, target: Target, parent_id: UUID | None, session_id: str) -> Generation | None:
    if parent_id is not None:
        if (parent := _rows(principal, target).filter(pk=parent_id).first()) is None:
            raise not_found("generation to follow")
        return parent
    if not session_id:
        return None
    # A session's name is the client's own word: another key or person may use the same one.
    mine = _rows(principal, target).filter(
        session_id=session_id, api_key=principal.api_key_id, user=principal.user_id, status__in=_TELLING
    )
    return mine.order_by("-created_at").first()


def _rows(principal: Principal, target: Target) -> QuerySet[Generation]:
    return Generation.objects.visible_to(principal).filter(team=target.team_id, database=target.database_id)
