"""Log lines without secrets: text for people in development, JSON in production; one line per request and question.

Questions, SQL and rows stay out unless LOG_QUESTIONS allows them, also when they sit in an exception's text.
"""

import json
import logging
import math
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import InterfaceError, OperationalError
from structlog.contextvars import bind_contextvars, merge_contextvars
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from observability.masking import MASK, is_secret_name, redact

REQUESTS = "observability.requests"
QUESTIONS = "observability.questions"
ALERTS = "observability.alerts"

# Their texts name files, hosts, modules and attributes, never a value of a row or a question.
_HARMLESS = (OSError, ImportError, NameError, AttributeError, OperationalError, InterfaceError, ImproperlyConfigured)
# Celery's extra: the task's arguments, the exception's text and traceback once more.
_UNTOLD = frozenset({"data"})
_LONGEST_EXCEPTION = 20_000  # characters; CloudWatch refuses lines over 256 KB

structlog.configure(
    processors=[merge_contextvars, ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)


def log_bind(**fields: Any) -> None:
    """Put fields on every further line of this request or task, such as `team` and `actor` once they are known."""
    bind_contextvars(**fields)


def question_log(
    *,
    team: str,
    database: str,
    generation_id: UUID | str,
    trace_id: str,
    status: str,
    cached: bool,
    cost_usd: Decimal,
    latency_ms: int | None,
    model: str = "",
    attempts: int = 0,
    error_type: str = "",
    question: str = "",
    sql: str = "",
) -> None:
    """One line for one finished question; call it once, after its transaction was committed.

    `question` and `sql` are written only where LOG_QUESTIONS is true. `error_type` is a stable word, never a sentence.
    """
    texts = {"question": question, "sql": sql} if settings.LOG_QUESTIONS else {}
    structlog.get_logger(QUESTIONS).info(
        "question",
        team=team,
        database=database,
        generation_id=str(generation_id),
        trace_id=trace_id,
        status=status,
        failed=status == "failed",
        error_type=error_type,
        cached=cached,
        cost_usd=cost_usd,
        latency_ms=latency_ms,
        model=model,
        attempts=attempts,
        **texts,
    )


def json_formatter(*, questions: bool = False) -> logging.Formatter:
    """One JSON object a line. What came as `extra` or is bound to the request are fields of it."""
    return _formatter(questions, _json)


def text_formatter(*, questions: bool = False) -> logging.Formatter:
    """A line for people, with key=value behind the message and the traceback below it."""
    return _formatter(questions, _text)


def _formatter(questions: bool, render: Processor) -> logging.Formatter:
    def line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return _line(event, questions=questions)

    return ProcessorFormatter(
        foreign_pre_chain=[_message_keep, ExtraAdder(), merge_contextvars], processors=[line, render]
    )


def _message_keep(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["_message"] = event.pop("event")  # out of the way of an extra of that name
    return event


def _line(event: EventDict, *, questions: bool) -> EventDict:
    """The finished fields of a line. An extra of the same name never takes the place of our own."""
    record: logging.LogRecord = event.pop("_record")
    message = str(event.pop("event" if event.pop("_from_structlog") else "_message"))
    error = _error(event.pop("exc_info", None))
    if error is not None and not questions:
        message = _without_texts(message, error)
    line = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": redact(message),
    }
    fields = {name: _told(name, value) for name, value in event.items() if name not in line and name not in _UNTOLD}
    line |= {name: value for name, value in fields.items() if value is not None}
    if error is not None:
        line["error_class"] = type(error).__name__
        line["exception"] = redact(_exception_text(error, questions=questions))
    return line


def _json(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    text = ", ".join(f"{json.dumps(name)}: {_json_value(value)}" for name, value in line.items())
    return f"{{{text}}}".encode("utf-8", "replace").decode()


def _json_value(value: Any) -> str:
    # Money exactly as it is: a float would round it, and print small amounts as 5e-05.
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _text(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    exception = f"\n{line.pop('exception')}" if "exception" in line else ""
    head = f"{line.pop('time')} {line.pop('level')} {line.pop('logger')}: {line.pop('message')}"
    fields = "".join(f" {name}={value}" for name, value in line.items())
    return (head + fields + exception).encode("utf-8", "replace").decode()


def _told(name: str, value: Any) -> Any:
    """The value as it may be written. Of an object only its class: a request's text holds its whole address."""
    if is_secret_name(name):
        return MASK
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return value if value.is_finite() else str(value)
        case str() | UUID() | datetime():
            return redact(str(value))
        case Mapping():
            return {str(key): _nested(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [_nested("", inner) for inner in value]
        case _:
            return f"<{type(value).__name__}>"


def _nested(name: str, value: Any) -> Any:
    told = _told(name, value)
    return str(told) if isinstance(told, Decimal) else told


def _error(exc_info: Any) -> BaseException | None:
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return error if isinstance(error, BaseException) else None


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The error and what led to it, each with the words that join it to the one before."""
    seen: set[int] = set()
    found: BaseException | None = error
    joint = ""
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found, joint
        if found.__cause__ is not None:
            found, joint = found.__cause__, "caused by"
        elif found.__context__ is not None and not found.__suppress_context__:
            found, joint = found.__context__, "while handling"
        else:
            found = None


def _exception_text(error: BaseException, *, questions: bool) -> str:
    parts = []
    for one, joint in _chain(error):
        kind = f"{type(one).__module__}.{type(one).__qualname__}".removeprefix("builtins.")
        told = f": {one}" if questions or isinstance(one, _HARMLESS) else ""
        frames = "".join(traceback.format_tb(one.__traceback__, limit=-30))
        parts.append(f"{joint} {kind}{told}\n{frames}".strip())
    return "\n".join(parts)[:_LONGEST_EXCEPTION]


def _without_texts(message: str, error: BaseException) -> str:
    """The message without the texts of the exceptions: Celery, for one, quotes them."""
    texts = {
        text
        for one, _ in _chain(error)
        if not isinstance(one, _HARMLESS)
        for text in (str(one), repr(one), *map(str, one.args), *map(repr, one.args))
    }
    for text in sorted(texts, key=len, reverse=True):
        if len(text) > 3:
            message = message.replace(text, "…")
    return message


def cloudwatch_handler(*, group: str, region: str) -> logging.Handler:
    """Only an installation that asks for it needs the package."""
    try:
        from observability.cloudwatch import CloudWatchHandler  # noqa: PLC0415  # see above
    except ImportError as missing:
        raise SystemExit(
            "CLOUDWATCH_LOG_GROUP is set, but the package for it is missing: pip install watchtower==3.4.0, or leave "
            "the setting empty and collect standard output."
        ) from missing
    return CloudWatchHandler(group=group, region=region)


def logging_config(
    *, debug: bool, questions: bool = False, cloudwatch_group: str = "", cloudwatch_region: str = ""
) -> dict[str, Any]:
    """The LOGGING setting: requests, questions and alerts to standard output, all else from INFO on to standard error.

    With `cloudwatch_group` all of it also goes to that log group, as JSON (see observability/cloudwatch.py).
    """
    # Otherwise a wrong call of a logger prints its arguments, with whatever secrets they hold.
    logging.raiseExceptions = debug
    formatter = "text" if debug else "json"
    handlers: dict[str, Any] = {
        "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": formatter},
        "stderr": {"class": "logging.StreamHandler", "formatter": formatter},
    }
    both: list[str] = []
    if cloudwatch_group:
        both = ["cloudwatch"]
        handlers["cloudwatch"] = {
            "()": cloudwatch_handler,
            "group": cloudwatch_group,
            "region": cloudwatch_region,
            "formatter": "json",
        }
    line = {"handlers": ["stdout", *both], "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": text_formatter, "questions": questions},
            "json": {"()": json_formatter, "questions": questions},
        },
        "handlers": handlers,
        "root": {"handlers": ["stderr", *both], "level": "INFO"},
        "loggers": {
            REQUESTS: line,
            QUESTIONS: line,
            ALERTS: line,
            # Django's own handlers would write the same lines again, unredacted.
            "django": {"handlers": [], "propagate": True},
            # Its line per request holds the whole address; ours does not.
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # A client's 404 is no news for whoever runs the installation.
            "django.request": {"level": "ERROR"},
            # They tell every request or task at INFO, with its whole address or its arguments.
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
        },
    }
