"""Errors of the drivers become `TargetError`s: sorted by SQLSTATE where there is one, by the words otherwise."""

import re
import sqlite3

import psycopg
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from text2sql.targets.deadlines import Deadline
from text2sql.targets.errors import (
    QueryFailed,
    TargetDenied,
    TargetError,
    TargetTimeout,
    TargetUnreachable,
    trim_message,
)

QUERY_CANCELED = "57014"
LOCK_NOT_AVAILABLE = "55P03"
INSUFFICIENT_PRIVILEGE = "42501"
BUSY_SERVER = ("too many connections", "remaining connection slots", "starting up", "shutting down", "recovery mode")


def connect_failure(error: DBAPIError, url: URL, deadline: Deadline) -> TargetError:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _sqlite_failure(cause, deadline)
    place = _place(url)
    if isinstance(cause, psycopg.errors.ConnectionTimeout) or deadline.expired:
        return TargetUnreachable(f"The database server {place} did not answer in time. Check host, port and firewall.")
    words = _words(cause, url)
    if any(sign in words for sign in BUSY_SERVER):
        return TargetUnreachable(f"The database server {place} takes no connection now: {words}")
    if "FATAL" in words:
        return TargetDenied(
            f"The database server {place} refused the login. Check user, password and database name. It said: {words}"
        )
    return TargetUnreachable(
        f"The database server {place} cannot be reached. Check host, port and firewall. The driver said: {words}"
    )


def statement_failure(error: DBAPIError, deadline: Deadline) -> TargetError:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _sqlite_failure(cause, deadline)
    state = getattr(cause, "sqlstate", None) or ""
    if deadline.expired or state == QUERY_CANCELED:
        return _late(deadline)
    if state == LOCK_NOT_AVAILABLE:
        return TargetTimeout("A table is locked by someone else. Try again in a moment.")
    message = trim_message(_primary_message(cause))
    if state == INSUFFICIENT_PRIVILEGE:
        return TargetDenied(f"The database role lacks a right: {message}. Grant it SELECT, or hide the table.")
    if error.connection_invalidated or state.startswith(("08", "57P")) or not state:
        return TargetUnreachable("The connection to the database broke off in the middle. Try again.")
    return QueryFailed(f"The database could not run the statement: {message}")


def _sqlite_failure(cause: sqlite3.Error, deadline: Deadline) -> TargetError:
    name = getattr(cause, "sqlite_errorname", "")
    if deadline.expired or name == "SQLITE_INTERRUPT":
        return _late(deadline)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TargetTimeout("The SQLite file is locked by a writer. Try again in a moment.")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return TargetUnreachable("The file is not an SQLite database, or it is damaged. Check the path.")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM")):
        return TargetUnreachable("The SQLite file cannot be opened. Check the path and the rights on the file.")
    return QueryFailed(f"The database could not run the statement: {trim_message(str(cause))}")


def _late(deadline: Deadline) -> TargetTimeout:
    return TargetTimeout(
        f"The database did not finish within {deadline.seconds:g} seconds. Ask for less, or raise the limit."
    )


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "on this machine"
    return f"{host}:{url.port}" if url.port else str(host)


def _words(cause: BaseException | None, url: URL) -> str:
    words = trim_message(str(cause))
    secrets = [str(url.password or ""), str(url.query.get("password") or "")]
    for secret in filter(None, secrets):
        words = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", words)
    return words


def _primary_message(cause: BaseException | None) -> str:
    # Only the primary message: a hint may name columns that the team must not see.
    diagnostic = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return diagnostic or str(cause)
