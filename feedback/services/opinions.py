"""What people say about answers."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from feedback.models import Feedback
from feedback.services.corrections import correction_check
from observability.services.scores import score_record
from teams.access import Principal
from text2sql.models import Generation
from text2sql.problems import Problem
from text2sql.services.examples import uses_rate
from text2sql.services.forgetting import removal_request, removal_run


@dataclass(frozen=True)
class Opinion:
    rating: str
    comment: str = ""
    corrected_sql: str = ""
    end_user: str = ""


def feedback_give(*, principal: Principal, generation: Generation, opinion: Opinion) -> Feedback:
    """Record one person's opinion; the same person again replaces it, and it waits for review anew.

    A correction that would not run is kept with what is wrong with it. The score for Langfuse is written in the same
    transaction; after it, a thumbs-down empties the cache entry.

    Raises:
        Problem: `conflict`, where there is no answer yet, or no SQL to correct.
    """
    if generation.is_unfinished:
        raise Problem("conflict", "This generation is not finished; say then whether it is right.")
    if opinion.corrected_sql and generation.status != Generation.Status.SUCCEEDED:
        raise Problem("conflict", "This generation has no SQL to correct; rate it without `corrected_sql`.")
    finding = _finding(principal, generation, opinion.corrected_sql)
    forgets = opinion.rating == Feedback.Rating.DOWN and bool(generation.cache_key)
    author = _author(opinion.end_user or generation.end_user) or principal.actor
    with transaction.atomic(durable=True):
        feedback = _record(generation, author, opinion, finding)
        uses_rate(generation, opinion.rating)
        if forgets:
            removal_request(generation)
    if forgets:
        removal_run(generation.cache_key)
    return feedback


def _author(end_user: str) -> str:
    """A client's own word for a person, which must not pass for somebody who signs in here, or for a key."""
    return f"end_user:{end_user}" if end_user.startswith(ACTORS) else end_user


ACTORS = ("user:", "key:", "command:")


def _finding(principal: Principal, generation: Generation, corrected_sql: str) -> dict[str, Any] | None:
    if not corrected_sql:
        return None
    found = correction_check(principal=principal, generation=generation, sql=corrected_sql).finding
    return found.as_document() if found else None


def _record(generation: Generation, author: str, opinion: Opinion, finding: dict[str, Any] | None) -> Feedback:
    feedback, _ = Feedback.objects.update_or_create(
        generation=generation,
        author=author,
        defaults={
            "rating": opinion.rating,
            "comment": opinion.comment,
            "corrected_sql": opinion.corrected_sql,
            "finding": finding,
            "state": Feedback.State.NEW,
            "review_note": "",
            "reviewed_by": None,
            "reviewed_at": None,
            "updated_at": timezone.now(),
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
    return feedback
