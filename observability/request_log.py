"""One line for every request, and the id that ties all lines of a request together."""

import re
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from time import perf_counter
from uuid import uuid4

import structlog
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

from observability.logging import REQUESTS

HEADER = "X-Request-ID"
# Asked every few seconds by machines: told only when something is wrong.
QUIET = frozenset({"livez", "readyz", "metrics"})

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,99}")


def request_id_for(given: str) -> str:
    """The id the client gave, where it is 8 to 100 harmless characters; else a new one."""
    return given if _SANE.fullmatch(given) else uuid4().hex


class RequestLogMiddleware:
    """The outermost middleware. The line tells the route, never the address: an address may hold anything."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id, started = request_id_for(request.headers.get(HEADER, "")), perf_counter()
        clear_contextvars()  # the thread has served others before
        bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
            response.headers[HEADER] = request_id

            def finish() -> None:
                _tell(request, response, started)

            if isinstance(response, StreamingHttpResponse):
                response.streaming_content = _stream(iter(response), copy_context(), finish)
            else:
                finish()
        finally:
            clear_contextvars()
        return response


def _stream(chunks: Iterator[bytes], context: Context, finish: Callable[[], None]) -> Iterator[bytes]:
    """The chunks, each made in the request's context; the line comes with the last one, or when the client leaves."""
    try:
        while (chunk := context.run(next, chunks, None)) is not None:
            yield chunk
    finally:
        context.run(finish)


def _tell(request: HttpRequest, response: HttpResponseBase, started: float) -> None:
    match = request.resolver_match
    route = match.route if match else "unmatched"
    if route in QUIET and response.status_code < 400:
        return
    structlog.get_logger(REQUESTS).info(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        latency_ms=round((perf_counter() - started) * 1000),
    )
