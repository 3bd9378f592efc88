"""Log lines without secrets: text for people in development, JSON in production."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MASK = "***"

_SECRET_NAME = (
    r"(?:[\w-]*(?:password|passwd|secret|api[_-]?key|access[_-]?key|private[_-]?key)[\w-]*|[\w-]*token|pwd)"  # noqa: S105  # names of secrets
)
_PATTERNS: list[tuple[re.Pattern[str], str]] = [
    # Keys that show what they are: Claude's, ours, Langfuse's.
    (re.compile(r"\b(sk-ant-|t2s_|sk-lf-)[\w-]+"), rf"\1{MASK}"),
    # postgresql://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s/\"']+@", re.IGNORECASE), rf"\1{MASK}@"),
    # Authorization: Bearer …, "authorization": "Basic …"
    (re.compile(r"(\bauthorization\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\"'\\,}\r\n]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{MASK}"),
    # password=…, "api_key": "…"
    (
        re.compile(rf"(\b{_SECRET_NAME}\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\s\"'\\,;&)}}\]]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
]
_IS_SECRET_NAME = re.compile(rf"{_SECRET_NAME}|authorization", re.IGNORECASE)
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """The text with everything masked that looks like a key, a password or a credential."""
    for pattern, masked in _PATTERNS:
        text = pattern.sub(masked, text)
    return text


def _redacted(name: str, value: Any) -> Any:
    if _IS_SECRET_NAME.fullmatch(name):
        return MASK
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _redacted(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [_redacted("", inner) for inner in value]
        case _:
            return redact(str(value))


class TextFormatter(logging.Formatter):
    """A line for people, traceback included; what came as `extra` follows as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {name}={_redacted(name, value)}" for name, value in _extra(record).items())
        return redact(super().format(record)) + extra


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what came as `extra` are fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        # Our own fields are never overwritten by an extra of the same name.
        fields = {name: _redacted(name, value) for name, value in _extra(record).items()}
        return json.dumps(fields | line, ensure_ascii=False)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}


def logging_config(*, debug: bool) -> dict[str, Any]:
    """The LOGGING setting: everything from INFO on goes to standard error, redacted."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": TextFormatter, "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
            "json": {"()": JsonFormatter},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "text" if debug else "json"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Django's own handlers would write the same lines again, unredacted.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # They tell every request at INFO, with its whole address.
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
        },
    }
