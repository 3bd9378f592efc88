"""What people say about answers, and what team leads make of it."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from feedback.models import Feedback
from observability.services.audit import audit_record
from observability.services.scores import score_record
from teams.access import Principal
from text2sql.models import Generation
from text2sql.services.forgetting import removal_request, removal_run


@dataclass(frozen=True)
class Opinion:
    rating: str
    comment: str = ""
    corrected_sql: str = ""
    end_user: str = ""


def feedback_give(*, principal: Principal, generation: Generation, opinion: Opinion) -> Feedback:
    """Record one person's opinion; the same person again replaces it, and it waits for review anew.

    The score for Langfuse is written in the same transaction; after it, a thumbs-down empties the cache entry.
    """
    author = opinion.end_user or generation.end_user or principal.actor
    now = timezone.now()
    with transaction.atomic(durable=True):
        feedback, _ = Feedback.objects.update_or_create(
            generation=generation,
            author=author,
            defaults={
                "rating": opinion.rating,
                "comment": opinion.comment,
                "corrected_sql": opinion.corrected_sql,
                "state": Feedback.State.NEW,
                "reviewed_by": None,
                "reviewed_at": None,
                "updated_at": now,
            },
        )
        score_record(
            score_id=str(feedback.pk),
            trace_id=generation.trace_id,
            name="user_feedback",
            value=1 if opinion.rating == Feedback.Rating.UP else 0,
            data_type="BOOLEAN",
            comment=opinion.comment if generation.database.share_text else "",
            timestamp=feedback.created_at,
        )
        if opinion.rating == Feedback.Rating.DOWN:
            removal_request(generation)
    if opinion.rating == Feedback.Rating.DOWN:
        removal_run(generation.cache_key)
    return feedback


@transaction.atomic
def feedback_review(*, feedback: Feedback, state: str, reviewer: User, actor: str, note: str | None = None) -> None:
    """A lead's verdict. Only this changes the state, and each change is audited."""
    before = feedback.state
    feedback.state, feedback.reviewed_by, feedback.reviewed_at = state, reviewer, timezone.now()
    if note is not None:
        feedback.review_note = note
    feedback.save(update_fields=["state", "reviewed_by", "reviewed_at", "review_note"])
    audit_record(
        actor=actor,
        verb="feedback.reviewed",
        target=str(feedback.pk),
        scope=feedback.generation.team_id,
        data={"from": before, "to": state},
    )
