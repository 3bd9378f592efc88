"""The answer cache in PostgreSQL, for installations without DynamoDB."""

import uuid
from datetime import datetime

from django.db import connection
from django.utils import timezone

from text2sql.cache.answers import CachedAnswer, CacheHit, answer_read
from text2sql.models.cache_entries import CacheEntry

PURGE_BATCH = 1000


class PostgresAnswerCache:
    def get(self, key: str, *, is_latest: bool = False) -> CacheHit | None:
        # Every question passes here, so it is one plain statement on the primary key.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT value::text FROM text2sql_cacheentry WHERE cache_key = %s AND expires_at > %s",
                [key, timezone.now()],
            )
            row = cursor.fetchone()
        answer = answer_read(row[0]) if row else None
        return CacheHit(answer) if answer else None

    def put(self, key: str, answer: CachedAnswer, *, database_id: str, expires_at: datetime) -> None:
        entry = CacheEntry(
            cache_key=key,
            database_id=uuid.UUID(database_id),
            value=answer.as_json(),
            expires_at=expires_at,
            created_at=answer.created_at,
        )
        CacheEntry.objects.bulk_create(
            [entry],
            update_conflicts=True,
            unique_fields=["cache_key"],
            update_fields=["database_id", "value", "expires_at", "created_at"],
        )

    def delete(self, key: str) -> bool:
        CacheEntry.objects.filter(cache_key=key).delete()
        return True


def entries_purge(now: datetime) -> int:
    """Deletes what expired by `now`, in short statements; returns how many entries went."""
    purged = 0
    while True:
        batch = CacheEntry.objects.filter(expires_at__lte=now).order_by().values("cache_key")[:PURGE_BATCH]
        # The outer condition spares an entry that was put again after the batch was chosen.
        deleted, _ = CacheEntry.objects.filter(cache_key__in=batch, expires_at__lte=now).delete()
        purged += deleted
        if deleted < PURGE_BATCH:
            return purged
