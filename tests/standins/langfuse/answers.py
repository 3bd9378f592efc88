"""Answers of the API and the two shapes in which it refuses a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Issue = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` is JSON, None is an empty body, bytes are sent as they are."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """The request is answered with `answer` instead."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body)
        self.answer = answer


def invalid_request(message: str) -> RefusedError:
    """What the query engine does not accept."""
    return RefusedError(Answer(400, {"message": message, "error": "InvalidRequestError"}))


def invalid_data(*issues: Issue) -> RefusedError:
    """What the schema of the request does not accept."""
    return RefusedError(Answer(400, {"message": "Invalid request data", "error": list(issues)}))


def not_found(message: str) -> RefusedError:
    return RefusedError(Answer(404, {"message": message, "error": "LangfuseNotFoundError"}))


def not_imitated(what: str) -> RefusedError:
    """The real server answers this, the stand-in does not: no invented answer."""
    return RefusedError(Answer(501, {"message": f"The Langfuse stand-in does not imitate {what}."}))


def wrong_type(path: Sequence[str | int], expected: str, value: object) -> Issue:
    message = f"Invalid input: expected {expected}, received {js_type(value)}"
    return {"expected": expected, "code": "invalid_type", "path": list(path), "message": message}


def wrong_option(path: Sequence[str | int], options: Sequence[str]) -> Issue:
    message = "Invalid option: expected one of " + "|".join(f'"{option}"' for option in options)
    return {"code": "invalid_value", "values": list(options), "path": list(path), "message": message}


def too_big(path: Sequence[str | int], maximum: int) -> Issue:
    message = f"Too big: expected number to be <={maximum}"
    common = {"origin": "number", "code": "too_big", "maximum": maximum, "inclusive": True}
    return {**common, "path": list(path), "message": message}


def too_small(path: Sequence[str | int], minimum: int) -> Issue:
    message = f"Too small: expected number to be >={minimum}"
    common = {"origin": "number", "code": "too_small", "minimum": minimum, "inclusive": True}
    return {**common, "path": list(path), "message": message}


def wrong_datetime(path: Sequence[str | int]) -> Issue:
    common = {"origin": "string", "code": "invalid_format", "format": "datetime"}
    return {**common, "path": list(path), "message": "Invalid ISO datetime"}


def custom(path: Sequence[str | int], message: str) -> Issue:
    return {"code": "custom", "path": list(path), "message": message}


def js_type(value: object) -> str:
    match value:
        case None:
            return "undefined"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
