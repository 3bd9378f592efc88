"""Questions older than RETENTION_DAYS are deleted, with all that hangs on them.

What stays: the charges, which know a question by its id only; the sums of days; approved examples, the questions of
evaluations and the follow-ups of a question, without their link to it.
"""

import logging
import time as clock
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from observability.models import Delivery
from observability.services.backlog import deliveries_delete, deliveries_held
from teams.models import Reservation
from text2sql.models import EvaluationItem, EvaluationRun, Generation, QuestionDay
from text2sql.services.question_days import days_count

logger = logging.getLogger(__name__)

BATCH = 500
"""Questions in a transaction: about a tenth of a second, so that nobody waits long for what it locks."""
RUN_SECONDS = 60.0
"""How long one run goes on: the worker has other things to do. The next run, an hour later, goes on from there."""
EVALUATION_PAUSE = timedelta(days=1)
"""For so long after its last sign an evaluation may still go on."""


def questions_prune(now: datetime, *, seconds: float = RUN_SECONDS) -> int:
    """Delete the oldest questions that are too old, for so long. Returns how many; running twice is harmless.

    What still runs, holds money, is part of an evaluation that goes on, or has not arrived in Langfuse is left for
    another day.
    """
    if not settings.RETENTION_DAYS:
        return 0
    before = datetime.combine((now - timedelta(days=settings.RETENTION_DAYS)).date(), time(), UTC)
    _days_close(before, now)
    deleted, ends, place = 0, clock.monotonic() + seconds, None
    while clock.monotonic() < ends and (batch := _oldest(before, place)):
        deleted += _delete([key for _, key in batch], now)
        place = batch[-1]
    if deleted:
        logger.info("%s questions of before %s were deleted.", deleted, f"{before:%Y-%m-%d}")
    return deleted


def _days_close(before: datetime, now: datetime) -> None:
    """Count for the last time the days of which questions may go, and that not again."""
    days_count(now)
    # By clocks ahead of UTC a question of just before that midnight is of the day that began then.
    QuestionDay.objects.filter(day__lte=before.date(), is_closed=False).update(is_closed=True)


def _oldest(before: datetime, place: tuple[datetime, UUID] | None) -> list[tuple[datetime, UUID]]:
    """The next ones after a place in the order of time: what had to stay is passed by."""
    rows = Generation.objects.filter(created_at__lt=before)
    if place is not None:
        # The first condition is for the index, which the second one alone would not be looked up in.
        rows = rows.filter(Q(created_at__gt=place[0]) | Q(id__gt=place[1]), created_at__gte=place[0])
    return list(rows.order_by("created_at", "id").values_list("created_at", "id")[:BATCH])


@transaction.atomic(durable=True)
def _delete(keys: Sequence[UUID], now: datetime) -> int:
    # Those that another run, or the sweeper, has in hand are its own.
    free = _free(now).filter(pk__in=keys).select_for_update(skip_locked=True, of=("self",))
    found = dict(free.order_by("created_at", "id").values_list("pk", "trace_id"))
    if not found:
        return 0
    deliveries_delete(list(found.values()))
    for relation in relations():
        _let_go(relation, list(found))
    with connection.cursor() as cursor:
        # Not row by row, with their texts read: all that hung on them is gone, and the database would not let the
        # others go.
        cursor.execute("DELETE FROM text2sql_generation WHERE id = ANY(%s)", [list(found)])
        return int(cursor.rowcount)


def _free(now: datetime) -> QuerySet[Generation]:
    waiting = Q(state__in=[Delivery.State.PENDING, Delivery.State.CLAIMED])
    lately = now - EVALUATION_PAUSE
    going_on = ~Q(run__status=EvaluationRun.Status.FINISHED) & (
        Q(run__claimed_until__gt=lately) | Q(run__finished_at__gt=lately)
    )
    # Where there is no Langfuse they wait for ever.
    unsent = waiting & Q(finished_at__gt=now - timedelta(days=settings.TRACE_MAX_AGE_DAYS))
    items = EvaluationItem.objects.filter(going_on | unsent, generation=OuterRef("pk"))
    return (
        Generation.objects.exclude(status__in=[Generation.Status.QUEUED, Generation.Status.RUNNING])
        .exclude(Exists(Reservation.objects.filter(generation_id=OuterRef("pk"))))
        .exclude(Exists(items))
        .exclude(deliveries_held(OuterRef("trace_id"), now))
    )


def relations() -> list[Any]:
    """Each key by which other rows point to questions, also those that a question has no name for."""
    fields = Generation._meta.get_fields(include_hidden=True)
    return [field for field in fields if field.one_to_many or field.one_to_one]


def _let_go(relation: Any, keys: Sequence[UUID]) -> None:
    """What points to the questions goes with them, or stays without its link, as its own key says."""
    name = relation.field.name
    rows: QuerySet[models.Model] = QuerySet(relation.related_model).filter(**{f"{name}__in": keys})
    if relation.on_delete is models.CASCADE:
        rows.delete()
    elif relation.on_delete is models.SET_NULL:
        # Those that go themselves need no change before.
        (rows.exclude(pk__in=keys) if relation.related_model is Generation else rows).update(**{name: None})
