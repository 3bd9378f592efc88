"""Giving the database connection back before a wait."""

from django.db import connection


def connection_release() -> None:
    """Return this thread's connection to the pool; the next query takes one again.

    Called before every call to Claude, DynamoDB or a target, so that a few connections serve many waiting questions.

    Raises:
        RuntimeError: Inside a transaction, which must never span such a call.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a transaction would be held across an outside call")
    connection.close()
