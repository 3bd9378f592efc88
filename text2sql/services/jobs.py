"""Questions that clients do not wait for: written down by the web, answered by the worker.

A row is queued, claimed by one worker (running, until its `lost_at`), and ended. Where the worker dies, the sweeper
books what was in flight at its upper bound and queues the question again, a few times: the client does not wait on a
connection and was promised an answer, and what is asked anew costs little, since Claude still has the prefix.
"""

import logging
from functools import lru_cache

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from teams.access import Principal, Scope
from teams.services.keys import KeyRefused, key_recall
from text2sql.models import Generation
from text2sql.problems import Problem
from text2sql.services.crew import Crew
from text2sql.services.generation import generation_resume, lost_after
from text2sql.services.sweeping import question_end

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def job_crew() -> Crew:
    """The threads of this process that answer queued questions: the worker's own stay free for its other tasks."""
    return Crew(settings.ASYNC_THREADS, name="queued-question")


def questions_answer() -> int:
    """Set threads to work on the queue, as many as have something to do. Returns how many were free for it."""
    waiting = Generation.objects.filter(status=Generation.Status.QUEUED)[: settings.ASYNC_THREADS].count()
    return sum(job_crew().start(_work_off) for _ in range(waiting))


def _work_off() -> None:
    try:
        while (generation := _claim()) is not None:
            _run(generation)
    finally:
        connection.close()


@transaction.atomic(durable=True)
def _claim() -> Generation | None:
    """The question that waits longest, now this thread's until its `lost_at`."""
    waiting = Generation.objects.filter(status=Generation.Status.QUEUED).order_by("created_at")
    locked = waiting.select_related("database").select_for_update(skip_locked=True, of=("self",))
    if (generation := locked.first()) is not None:
        generation.status, generation.lost_at = Generation.Status.RUNNING, lost_after(timezone.now())
        generation.run_count += 1
        generation.save(update_fields=["status", "lost_at", "run_count"])
    return generation


def _run(generation: Generation) -> None:
    try:
        generation_resume(principal=_principal(generation), generation=generation)
    except Problem as problem:
        question_end(generation, problem)  # where it came up before the asking began: else it has ended already
    except Exception:
        logger.exception("The queued question %s failed unexpectedly", generation.pk)
        detail = "The error has been logged; an admin can find it there."
        question_end(generation, Problem("internal-error", detail))


def _principal(generation: Generation) -> Principal:
    """Who asked, with what the key may do now. Raises Problem."""
    if generation.api_key_id is None:
        raise Problem("unauthenticated", "The API key that asked this is no longer there.")
    try:
        principal = key_recall(generation.api_key_id)
    except KeyRefused as refusal:
        raise Problem("unauthenticated", str(refusal)) from refusal
    if Scope.GENERATE not in principal.scopes:
        raise Problem("forbidden", "This API key lacks the scope `generate`.")
    return principal
