"""Every error as RFC 9457 `application/problem+json`: DRF's, Django's own pages and the unexpected."""

import json
import logging
import math
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from text2sql.problems import PROBLEMS, Problem

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

_KINDS: dict[type[Exception], str] = {
    exceptions.ValidationError: "invalid-request",
    exceptions.ParseError: "bad-request",
    exceptions.NotAuthenticated: "unauthenticated",
    exceptions.AuthenticationFailed: "unauthenticated",
    exceptions.PermissionDenied: "forbidden",
    exceptions.NotFound: "not-found",
    exceptions.MethodNotAllowed: "method-not-allowed",
    exceptions.NotAcceptable: "not-acceptable",
    exceptions.UnsupportedMediaType: "unsupported-media-type",
    exceptions.Throttled: "throttled",
    PermissionDenied: "forbidden",
    Http404: "not-found",
}
_KIND_OF_STATUS = {
    400: "bad-request", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 406: "not-acceptable",
    413: "too-large", 415: "unsupported-media-type",
}  # fmt: skip


def problem_handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler."""
    problem = problem_of(error)
    response = Response(problem.as_document(), status=problem.type.status, content_type=CONTENT_TYPE)
    for name, value in _headers(problem, error).items():
        response[name] = value
    return response


def problem_of(error: Exception) -> Problem:
    """The problem that clients are told; what is not theirs to know is logged."""
    if isinstance(error, Problem):
        return error
    kind = _KINDS.get(type(error))
    if kind is None:
        logger.error("A request failed unexpectedly", exc_info=error)
        return Problem("internal-error", "The error has been logged; an admin can find it there.")
    if isinstance(error, exceptions.ValidationError):
        return Problem(kind, "Some fields are not valid; see errors.", {"errors": _field_errors(error.detail)})
    if kind == "not-found":
        return Problem(kind, "There is nothing at this address, or it is not your team's.")
    return Problem(kind, str(getattr(error, "detail", "")) or PROBLEMS[kind].title)


def problem_response(problem: Problem) -> HttpResponse:
    document = json.dumps(problem.as_document())
    return HttpResponse(document, status=problem.type.status, content_type=CONTENT_TYPE, headers=_headers(problem))


class ProblemMiddleware:
    """Turns what Django itself answers below /api/ (unknown addresses, bad hosts, crashes) into problem documents."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        charset = (request.content_params or {}).get("charset", "utf-8")
        if request.path.startswith("/api/") and charset.lower() not in ("utf-8", "utf8", "us-ascii"):
            return problem_response(Problem("unsupported-media-type", "Send UTF-8."))
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith("/api/"):
            return response
        if response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        kind = _KIND_OF_STATUS.get(response.status_code, "internal-error")
        return problem_response(Problem(kind, PROBLEMS[kind].title + "."))


def _headers(problem: Problem, error: Exception | None = None) -> dict[str, str]:
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    return headers


def _field_errors(detail: Any, path: str = "") -> list[dict[str, str]]:
    """DRF's nested errors as a flat list of `{field, message}`."""
    if isinstance(detail, dict):
        return [
            e for name, inner in detail.items() for e in _field_errors(inner, f"{path}.{name}" if path else str(name))
        ]
    if isinstance(detail, list):
        return [e for inner in detail for e in _field_errors(inner, path)]
    return [{"field": "" if path == "non_field_errors" else path, "message": str(detail)}]
