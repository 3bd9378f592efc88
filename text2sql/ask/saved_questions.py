"""Questions that a person keeps at hand."""

from uuid import UUID

from django.db.models import QuerySet

from teams.access import Principal
from text2sql.ask.door import person_of
from text2sql.models import DatabaseAccess, SavedQuestion
from text2sql.problems import Problem, not_found
from text2sql.services.targets import Target

MOST_SAVED = 100
"""Of one person, about one database of a team."""


def questions_saved(principal: Principal, *, team_id: str, name: str) -> QuerySet[SavedQuestion]:
    """The latest first."""
    opened = DatabaseAccess.objects.visible_to(principal).filter(team=team_id, database__name=name)
    return SavedQuestion.objects.filter(user=person_of(principal), access__in=opened)


def question_save(principal: Principal, target: Target, question: str) -> None:
    """Once is enough: a question that is saved already stays as it is. Raises Problem `conflict` for one too many."""
    person = person_of(principal)
    rows = SavedQuestion.objects.filter(user=person, access=target.access_id)
    if rows.count() >= MOST_SAVED:
        raise Problem("conflict", f"You have saved {MOST_SAVED} questions here; remove one first.")
    SavedQuestion.objects.get_or_create(user_id=person, access_id=target.access_id, question=question)


def question_remove(principal: Principal, *, team_id: str, name: str, saved_id: UUID) -> None:
    """Raises Problem `not-found`, for another person's as for none."""
    removed, _ = questions_saved(principal, team_id=team_id, name=name).filter(pk=saved_id).delete()
    if not removed:
        raise not_found("saved question of yours")
