"""Does the answer cache's store answer? Questions do not depend on it; whoever runs us wants to know."""

from django.conf import settings
from django.db import DatabaseError, connection

from text2sql.cache.dynamodb import KEY, client_build
from text2sql.cache.table import TableError, explained

NOBODY = "0" * 64
SECONDS = 2.0


def cache_ready() -> str:
    """`ok`, or `off` where no answers are cached. Raises TableError or DatabaseError."""
    if not settings.ENABLE_CACHE:
        return "off"
    cache_probe()
    return "ok"


def cache_probe() -> str:
    """Look an entry up that is not there, with the rights that a question needs; says where the cache is.

    Raises TableError, with a sentence that says what to do, or DatabaseError.
    """
    if name := settings.CACHE_TABLE_NAME:
        with explained(name):
            client_build(connect_timeout=SECONDS, read_timeout=SECONDS).get_item(
                TableName=name, Key={KEY: {"S": NOBODY}}
            )
        return f"DynamoDB, table {name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM text2sql_cacheentry WHERE cache_key = %s", [NOBODY])
    return "PostgreSQL"


__all__ = ["DatabaseError", "TableError", "cache_probe", "cache_ready"]
