"""Taking answers out of the cache: asked for in a transaction, done after it, again and again until it is done."""

from django.utils import timezone

from text2sql.cache.answers import answer_cache
from text2sql.models import CacheRemoval, Generation
from text2sql.services.connections import connection_release


def removal_request(generation: Generation) -> None:
    """Have the answer that a generation gave, or was given, taken out; in the caller's transaction."""
    CacheRemoval.objects.update_or_create(cache_key=generation.cache_key, defaults={"requested_at": timezone.now()})


def removal_run(cache_key: str) -> bool:
    """Take an answer out now; False where the store is down: then the schedule tries again."""
    begun_at = timezone.now()
    connection_release()
    if not answer_cache().delete(cache_key):
        return False
    # Asked for again meanwhile, it stays: an answer may have come back between the two.
    CacheRemoval.objects.filter(pk=cache_key, requested_at__lte=begun_at).delete()
    return True


def removals_run(*, limit: int = 100) -> int:
    """Take out what waits; the first refusal ends the run. Returns how many are done."""
    done = 0
    for cache_key in list(CacheRemoval.objects.order_by("requested_at").values_list("pk", flat=True)[:limit]):
        if not removal_run(cache_key):
            break
        done += 1
    return done
