"""What can go wrong at a team's database, as sentences for people: no message holds a password or a URL."""

from typing import ClassVar


class TargetError(Exception):
    """Base of all errors of a target database; `code` is stable, the message says what to do."""

    code: ClassVar[str] = "target_error"


class UrlRejected(TargetError):
    code = "url_rejected"


class TargetUnreachable(TargetError):
    code = "target_unreachable"


class TargetDenied(TargetError):
    code = "target_denied"


class TargetTimeout(TargetError):
    code = "target_timeout"


class QueryFailed(TargetError):
    """The database refused or failed the statement; the message ends with its own words, trimmed."""

    code = "query_failed"


class QueryCancelled(TargetError):
    """The caller went away, and the statement was stopped."""

    code = "query_cancelled"


MESSAGE_CHARACTERS = 500


def trim_message(text: str) -> str:
    """The first line's worth of a database's message: one line, no more than 500 characters."""
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_CHARACTERS else f"{line[: MESSAGE_CHARACTERS - 1]}…"


def query_failed(words: str) -> QueryFailed:
    return QueryFailed(f"The database could not run the statement: {trim_message(words)}")
