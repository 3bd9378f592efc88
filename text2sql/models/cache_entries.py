from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    CharField = models.CharField[str, str]
else:
    CharField = models.CharField  # it takes type arguments in its stubs only


class FixedCharField(CharField):
    """A char(n): to every varchar key Django adds a second index, for LIKE."""

    def db_type(self, connection: "BaseDatabaseWrapper") -> str:
        return f"char({self.max_length})"

    def get_internal_type(self) -> str:
        # As a "CharField" several rows would be inserted through an array of char, which is char(1).
        return "FixedCharField"


class CacheEntry(models.Model):
    """A cached translation, where the cache lives in PostgreSQL: rows of `text2sql.cache.postgres`."""

    cache_key = FixedCharField(max_length=64, primary_key=True)
    database_id = models.UUIDField(db_index=True)
    value = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "text2sql"
        verbose_name_plural = "cache entries"

    def __str__(self) -> str:
        return self.cache_key


class CacheRemoval(models.Model):
    """An answer that must leave the cache: tried until the store has confirmed it, however long it is down."""

    cache_key = models.CharField(max_length=64, primary_key=True)
    requested_at = models.DateTimeField()
    # Kept for a while after it: an answer that was known before may still be on its way into the cache.
    done_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "text2sql"

    def __str__(self) -> str:
        return self.cache_key
