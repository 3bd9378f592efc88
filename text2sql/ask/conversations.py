"""What a person asked before: only their own questions, grouped as they were asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, QuerySet

from teams.access import Principal
from text2sql.api.serializers import GenerationSerializer
from text2sql.ask.door import person_of
from text2sql.models import Generation
from text2sql.problems import not_found
from text2sql.services.targets import Target

CONVERSATIONS_SHOWN = 30
TURNS_SHOWN = 50


@dataclass(frozen=True)
class Conversation:
    session_id: str
    question: str
    """The first one."""
    count: int
    asked_at: datetime
    """When the last question was asked."""


def generations_own(principal: Principal) -> QuerySet[Generation]:
    """What the person asked in the teams that they (still) belong to."""
    return Generation.objects.visible_to(principal).filter(user=person_of(principal)).select_related("database")


def generation_own(principal: Principal, *, team_id: str, name: str, generation_id: UUID) -> Generation:
    """Raises Problem `not-found`, for another person's as for none."""
    rows = generations_own(principal).filter(team=team_id, database__name=name)
    if (generation := rows.filter(pk=generation_id).first()) is None:
        raise not_found("question of yours")
    return generation


def conversations_recent(principal: Principal, target: Target) -> list[Conversation]:
    """About one database, the latest first."""
    rows = _rows(principal, target).exclude(session_id="").order_by()
    latest = rows.values("session_id").annotate(count=Count("pk"), asked_at=Max("created_at"))
    found = list(latest.order_by("-asked_at")[:CONVERSATIONS_SHOWN])
    begun = rows.filter(session_id__in=[row["session_id"] for row in found])
    first = dict(
        begun.order_by("session_id", "created_at", "id").distinct("session_id").values_list("session_id", "question")
    )
    return [Conversation(question=first[row["session_id"]], **row) for row in found]


def conversation_turns(principal: Principal, target: Target, session_id: str) -> list[dict[str, Any]]:
    """The answers of one conversation as the page shows them, the oldest first; none for another person's."""
    if not session_id or "\0" in session_id:  # no text in PostgreSQL has one
        return []
    rows = _rows(principal, target).filter(session_id=session_id).order_by("-created_at", "-id")[:TURNS_SHOWN]
    return [dict(GenerationSerializer(row).data) for row in reversed(rows)]


def _rows(principal: Principal, target: Target) -> QuerySet[Generation]:
    return generations_own(principal).filter(team=target.team_id, database=target.database_id)
