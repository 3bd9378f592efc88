"""What a killed process left behind is brought to an end: questions, attempts, money, traces."""

import logging
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from observability.services.prices import TokenUsage
from teams.models import Reservation
from teams.services.budgets import Spender, charge_settle
from text2sql.models import Attempt, DraftRun, Generation
from text2sql.pipeline.claude import Usage
from text2sql.problems import Problem
from text2sql.question_log import generation_log
from text2sql.services.attempts import charge_book
from text2sql.services.outcomes import generation_stamp, generation_trace, generation_write

logger = logging.getLogger(__name__)

RUNS = 3
"""How often a queued question is begun: one that kills its workers must come to an end."""


def questions_sweep(*, limit: int = 100) -> int:
    """End running questions that no process can still answer; queued ones are queued again. Returns how many.

    Running twice at once is harmless.
    """
    now = timezone.now()
    lost = Generation.objects.filter(status=Generation.Status.RUNNING, lost_at__lt=now).order_by("lost_at")
    swept = 0
    for generation in lost.select_related("database")[:limit]:
        try:
            swept += _queue_again(generation) if 0 < generation.run_count < RUNS else question_end(generation, _LOST)
        except Exception:
            # One question that cannot be ended must not keep all the others, and their money, waiting.
            logger.exception("The lost question %s could not be ended", generation.pk)
    return swept + _sweep_leases(limit)


_LOST = Problem(
    "question-lost", "The process that worked on this question ended before the answer came; please ask again."
)


def question_end(generation: Generation, problem: Problem) -> bool:
    """End a running question that nobody works on (any more); False where it has ended, or begun anew, already."""
    with transaction.atomic(durable=True):
        if not _locked(generation):
            return False
        _abandon_attempts(generation, problem)
        generation.status = Generation.Status.FAILED
        generation.problem, generation.problem_detail = problem.kind, problem.detail
        generation_stamp(generation)
        generation_write(generation)
        generation_trace(generation)
    generation_log(generation, database=generation.database.name)
    return True


@transaction.atomic(durable=True)
def _queue_again(generation: Generation) -> bool:
    if not _locked(generation):
        return False
    _abandon_attempts(generation, _LOST)
    Generation.objects.filter(pk=generation.pk).update(status=Generation.Status.QUEUED)
    return True


def _locked(generation: Generation) -> bool:
    """Whether it still runs as it did when it was read: a worker that took it up since has moved its `lost_at`."""
    same = Generation.objects.filter(pk=generation.pk, status="running", lost_at=generation.lost_at)
    return same.select_for_update(skip_locked=True).exists()


def _abandon_attempts(generation: Generation, problem: Problem) -> None:
    for attempt in generation.attempts.filter(status=Attempt.Status.RUNNING):
        _book_bound(generation, attempt.pk, attempt.model)
        attempt.status, attempt.finished_at = Attempt.Status.FAILED, timezone.now()
        attempt.problem, attempt.problem_detail = problem.kind, problem.detail
        attempt.save(update_fields=["status", "finished_at", "problem", "problem_detail"])


def _sweep_leases(limit: int) -> int:
    """Money that nobody will settle any more: of questions that have ended, and of drafts whose worker was killed."""
    expired = Reservation.objects.filter(expires_at__lt=timezone.now()).order_by("expires_at")
    leases = list(expired[:limit])
    generations = Generation.objects.select_related("database").in_bulk([lease.generation_id for lease in leases])
    swept = 0
    for lease in leases:
        generation = generations.get(lease.generation_id)
        if generation is not None and generation.status == Generation.Status.RUNNING:
            continue  # ended above, when its time has come
        # Each for itself: windows are locked in one order only within one question's budgets.
        with transaction.atomic(durable=True):
            if generation is not None:
                swept += _book_bound(generation, lease.attempt_id, generation.model)
            else:
                swept += _book_draft(lease)
    return swept


def _book_draft(lease: Reservation) -> bool:
    run = DraftRun.objects.select_related("database").filter(pk=lease.generation_id).first()
    booked = charge_settle(
        attempt_id=lease.attempt_id, spender=Spender(lease.team_id, lease.api_key_id), model="",
        database=run.database.name if run else "", usage=TokenUsage(), cost=None, estimated=True, now=timezone.now(),
    )  # fmt: skip
    return booked is not None


def _book_bound(generation: Generation, attempt_id: UUID, model: str) -> bool:
    # Whether Claude was called, and what it billed, died with the process: the whole reservation is booked.
    return charge_book(
        attempt_id=attempt_id, generation=generation, database=generation.database.name, model=model,
        usage=Usage(), cost=None, estimated=True,
    )  # fmt: skip
