"""Errors of MySQL and MariaDB become `TargetError`s, sorted by the server's number."""

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from text2sql.targets.deadlines import Deadline
from text2sql.targets.errors import TargetDenied, TargetError, TargetTimeout, TargetUnreachable, query_failed
from text2sql.targets.urls import url_place, words_without_password

UNKNOWN_TIME_ZONE = 1298
LATE = frozenset({1969, 3024})  # max_statement_time, max_execution_time
INTERRUPTED = frozenset({1317, 1028})
LOCKED = frozenset({1205, 1099, 3572})
LACKS_RIGHT = frozenset({1044, 1142, 1143, 1227, 1370, 1356, 1345})
LOGIN_REFUSED = frozenset({1044, 1045, 1049, 1130, 1251, 1524, 1698, 1862, 1396, 4151, 3118})
BUSY = frozenset({1040, 1203, 1226, 1129, 1053})
BROKEN = frozenset({0, 1053, 1927, 2006, 2013, 2055, 1158, 1159, 1160, 1161, 4031})


def error_number(error: BaseException | None) -> int:
    """The server's or the driver's number of an error; 0 where it has none."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    number = cause.args[0] if cause is not None and cause.args else 0
    return number if isinstance(number, int) else 0


def connect_failure(error: DBAPIError, url: URL, deadline: Deadline) -> TargetError:
    if deadline.cancelled:
        return deadline.failure()
    place, number = url_place(url), error_number(error)
    words = words_without_password(error.orig, url)
    if deadline.expired or "timed out" in words:
        return TargetUnreachable(f"The database server {place} did not answer in time. Check host, port and firewall.")
    if number in BUSY:
        return TargetUnreachable(f"The database server {place} takes no connection now: {words}")
    if number in LOGIN_REFUSED:
        return TargetDenied(
            f"The database server {place} refused the login. Check user, password and database name. It said: {words}"
        )
    return TargetUnreachable(
        f"The database server {place} cannot be reached. Check host, port and firewall. The driver said: {words}"
    )


def statement_failure(error: BaseException, deadline: Deadline) -> TargetError:
    cause, number = (error.orig if isinstance(error, DBAPIError) else error), error_number(error)
    if deadline.is_cut or number in LATE:
        return deadline.failure()
    if number == UNKNOWN_TIME_ZONE:
        return TargetUnreachable(
            "The database knows neither the team's time zone nor its offset. Load the server's time zone tables with"
            " mysql_tzinfo_to_sql."
        )
    if number in LOCKED:
        return TargetTimeout("A table is locked by someone else. Try again in a moment.")
    if number in INTERRUPTED:
        return TargetTimeout("The database stopped the query. Try again in a moment.")
    if number in BROKEN:
        return TargetUnreachable("The connection to the database broke off in the middle. Try again.")
    words = str(cause.args[1]) if cause is not None and len(cause.args) > 1 else str(cause)
    if number in LACKS_RIGHT:
        return TargetDenied(f"The database role lacks a right: {words}. Grant it SELECT, or hide the table.")
    return query_failed(words)
