"""Taking answers out of the cache: asked for in a transaction, done after it, again and again until it is done."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from observability.services.audit import audit_record
from text2sql.cache.answers import answer_cache
from text2sql.models import CacheEntry, CacheRemoval, Database, Generation
from text2sql.services.connections import connection_release

DONE_KEPT = timedelta(hours=1)


def removal_request(generation: Generation) -> None:
    """Have the answer that a generation gave, or was given, taken out; in the caller's transaction."""
    changes = {"requested_at": timezone.now(), "done_at": None}
    CacheRemoval.objects.update_or_create(cache_key=generation.cache_key, defaults=changes)


def removal_run(cache_key: str) -> bool:
    """Take an answer out now; False where the store is down: then the schedule tries again."""
    begun_at = timezone.now()
    connection_release()
    if not answer_cache().delete(cache_key):
        return False
    # Asked for again meanwhile, it stays: an answer may have come back between the two.
    CacheRemoval.objects.filter(pk=cache_key, requested_at__lte=begun_at).update(done_at=timezone.now())
    return True


def removal_repeat(generation: Generation) -> None:
    """Take out what has just come into the cache, where that was asked for after the answer was known."""
    again = CacheRemoval.objects.filter(pk=generation.cache_key, requested_at__gte=generation.finished_at)
    if again.update(done_at=None):
        removal_run(generation.cache_key)


def removals_prune(now: datetime) -> int:
    """Delete what is done and can be overtaken no more. Returns how many rows went."""
    deleted, _ = CacheRemoval.objects.filter(done_at__lt=now - DONE_KEPT).delete()
    return deleted


def removals_run(*, limit: int = 100) -> int:
    """Take out what waits; the first refusal ends the run. Returns how many are done."""
    done = 0
    waiting = CacheRemoval.objects.filter(done_at=None).order_by("requested_at")
    for cache_key in list(waiting.values_list("pk", flat=True)[:limit]):
        if not removal_run(cache_key):
            break
        done += 1
    return done


def answer_forget(generation: Generation, actor: str) -> bool:
    """Take one answer out on somebody's word; False where the store is down: then the schedule tries again."""
    with transaction.atomic(durable=True):
        removal_request(generation)
        audit_record(
            actor=actor, verb="answer.forgotten", target=str(generation.pk), scope=generation.team_id,
            data={"database": generation.database.name},
        )  # fmt: skip
    return removal_run(generation.cache_key)


@transaction.atomic
def answers_forget(database: Database, actor: str) -> None:
    """Give none of the answers about a database any more, nor those that are being made: their keys are gone.

    DynamoDB keeps what nobody can find until it expires.
    """
    Database.objects.filter(pk=database.pk).update(answers_number=F("answers_number") + 1)
    CacheEntry.objects.filter(database_id=database.pk).delete()
    audit_record(actor=actor, verb="answers.forgotten", target=database.name)
