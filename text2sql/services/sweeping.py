"""What a killed process left behind is brought to an end: questions, attempts, money, traces."""

import logging
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from teams.models import Reservation
from text2sql.models import Attempt, Generation
from text2sql.pipeline.claude import Usage
from text2sql.question_log import generation_log
from text2sql.services.attempts import charge_book
from text2sql.services.outcomes import generation_stamp, generation_trace, generation_write

logger = logging.getLogger(__name__)


def questions_sweep(*, limit: int = 100) -> int:
    """End running questions that no process can still answer. Running twice at once is harmless. Returns how many."""
    now = timezone.now()
    lost = Generation.objects.filter(status=Generation.Status.RUNNING, lost_at__lt=now).order_by("lost_at")
    swept = 0
    for generation in lost.select_related("database")[:limit]:
        try:
            if _sweep(generation):
                swept += 1
                generation_log(generation, database=generation.database.name)
        except Exception:
            # One question that cannot be ended must not keep all the others, and their money, waiting.
            logger.exception("The lost question %s could not be ended", generation.pk)
    return swept + _sweep_leases(limit)


@transaction.atomic(durable=True)
def _sweep(generation: Generation) -> bool:
    if not Generation.objects.select_for_update(skip_locked=True).filter(pk=generation.pk, status="running").exists():
        return False
    detail = "The process that worked on this question ended before the answer came; please ask again."
    generation.status = Generation.Status.FAILED
    generation.problem, generation.problem_detail = "question-lost", detail
    for attempt in generation.attempts.filter(status=Attempt.Status.RUNNING):
        _book_bound(generation, attempt.pk, attempt.model)
        attempt.status, attempt.finished_at = Attempt.Status.FAILED, timezone.now()
        attempt.problem, attempt.problem_detail = "question-lost", detail
        attempt.save(update_fields=["status", "finished_at", "problem", "problem_detail"])
    generation_stamp(generation)
    if not generation_write(generation):
        return False
    generation_trace(generation)
    return True


@transaction.atomic(durable=True)
def _sweep_leases(limit: int) -> int:
    """Money whose question has ended without settling it. No known way leads here; it must not stay held for ever."""
    expired = Reservation.objects.select_for_update(skip_locked=True).filter(expires_at__lt=timezone.now())
    leases = list(expired.order_by("expires_at")[:limit])
    ended = Generation.objects.filter(pk__in=[lease.generation_id for lease in leases]).exclude(status="running")
    generations = ended.select_related("database").in_bulk()
    for lease in leases:
        if generation := generations.get(lease.generation_id):
            _book_bound(generation, lease.attempt_id, generation.model)
    return len(generations)


def _book_bound(generation: Generation, attempt_id: UUID, model: str) -> None:
    # Whether Claude was called, and what it billed, died with the process: the whole reservation is booked.
    charge_book(
        attempt_id=attempt_id, generation=generation, database=generation.database.name, model=model,
        usage=Usage(), cost=None, estimated=True,
    )  # fmt: skip
