"""What a team's leads make of feedback. Nothing becomes an example but by a verdict."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from feedback.models import Feedback
from observability.services.audit import audit_record, differing
from text2sql.models import DatabaseAccess, Example
from text2sql.pipeline.guard import GuardedStatement
from text2sql.problems import not_found
from text2sql.services.example_checks import examples_check
from text2sql.services.examples import example_publish, example_switch


class FeedbackReplaced(Exception):
    """Its author has said something else since it was looked at."""


@dataclass(frozen=True)
class Verified:
    """A question and SQL for it that guard and check have let through."""

    question: str
    statement: GuardedStatement


@dataclass(frozen=True)
class Verdict:
    state: str
    reviewer: User
    actor: str
    seen_at: datetime
    """The `updated_at` of the feedback that was looked at."""
    note: str | None = None
    """None leaves the note as it is."""
    example: Verified | None = None
    """What becomes an example; none: what had become one is switched off."""


@transaction.atomic
def feedback_review(*, feedback: Feedback, verdict: Verdict) -> Feedback:
    """A lead's verdict, the example that follows from it and the audit entry, or nothing of it.

    Raises:
        FeedbackReplaced: It is not the feedback that was looked at.
        Problem: `not-found`, where the team may not use the database any more.
    """
    # No joins: of those PostgreSQL would show what they were before the lock was waited for.
    locked = Feedback.objects.select_for_update().filter(pk=feedback.pk, updated_at=verdict.seen_at).first()
    if locked is None:
        raise FeedbackReplaced
    was, replaced = _told(locked), locked.example
    if verdict.example is not None:
        locked.example = _publish(locked, verdict.example, verdict.actor)
    if replaced is not None and (verdict.example is None or replaced != locked.example):
        with suppress(ValueError):  # a newer version has taken its place
            example_switch(example=replaced, enabled=False, actor=verdict.actor)
    locked.state, locked.reviewed_by, locked.reviewed_at = verdict.state, verdict.reviewer, timezone.now()
    if verdict.note is not None:
        locked.review_note = verdict.note
    locked.save(update_fields=["state", "reviewed_by", "reviewed_at", "review_note", "example"])
    audit_record(
        actor=verdict.actor, verb="feedback.reviewed", target=str(locked.pk), scope=locked.generation.team_id,
        data={"verdict": verdict.state, **differing(was, _told(locked))},
    )  # fmt: skip
    return locked


def _told(feedback: Feedback) -> dict[str, str | None]:
    example = str(feedback.example_id) if feedback.example_id else None
    return {"state": feedback.state, "review_note": feedback.review_note, "example": example}


def _publish(feedback: Feedback, verified: Verified, actor: str) -> Example:
    generation = feedback.generation
    access = DatabaseAccess.objects.filter(team=generation.team_id, database=generation.database_id).first()
    if access is None:
        raise not_found("database")
    # Its tables may have been read anew since it was checked.
    transaction.on_commit(partial(examples_check, access.database_id, actor=actor), robust=True)
    return example_publish(
        access=access, question=verified.question, sql=verified.statement.sql, tables=verified.statement.tables,
        generation=generation, actor=actor,
    )  # fmt: skip
