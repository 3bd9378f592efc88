"""PostgreSQL's errors become `TargetError`s: sorted by SQLSTATE where there is one, by the words otherwise."""

import psycopg
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from text2sql.targets.deadlines import Deadline
from text2sql.targets.errors import (
    TargetDenied,
    TargetError,
    TargetTimeout,
    TargetUnreachable,
    query_failed,
    trim_message,
)
from text2sql.targets.urls import url_place, words_without_password

QUERY_CANCELED = "57014"
LOCK_NOT_AVAILABLE = "55P03"
INSUFFICIENT_PRIVILEGE = "42501"
BUSY_SERVER = ("too many connections", "remaining connection slots", "starting up", "shutting down", "recovery mode")


def connect_failure(error: DBAPIError, url: URL, deadline: Deadline) -> TargetError:
    cause = error.orig
    if deadline.cancelled:
        return deadline.failure()
    place = url_place(url)
    if isinstance(cause, psycopg.errors.ConnectionTimeout) or deadline.expired:
        return TargetUnreachable(f"The database server {place} did not answer in time. Check host, port and firewall.")
    words = words_without_password(cause, url)
    if any(sign in words for sign in BUSY_SERVER):
        return TargetUnreachable(f"The database server {place} takes no connection now: {words}")
    if "FATAL" in words:
        return TargetDenied(
            f"The database server {place} refused the login. Check user, password and database name. It said: {words}"
        )
    return TargetUnreachable(
        f"The database server {place} cannot be reached. Check host, port and firewall. The driver said: {words}"
    )


def statement_failure(error: BaseException, deadline: Deadline) -> TargetError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    if deadline.is_cut or state == QUERY_CANCELED:
        return deadline.failure()
    if state == LOCK_NOT_AVAILABLE:
        return TargetTimeout("A table is locked by someone else. Try again in a moment.")
    message = trim_message(_primary_message(cause))
    if state == INSUFFICIENT_PRIVILEGE:
        return TargetDenied(f"The database role lacks a right: {message}. Grant it SELECT, or hide the table.")
    if state.startswith(("08", "57P")) or not state:
        return TargetUnreachable("The connection to the database broke off in the middle. Try again.")
    return query_failed(message)


def _primary_message(cause: BaseException | None) -> str:
    # Only the primary message: a hint may name columns that the team must not see.
    diagnostic = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return diagnostic or str(cause)
