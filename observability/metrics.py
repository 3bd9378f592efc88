"""GET /metrics for Prometheus, behind a token of its own."""

import time
from collections.abc import Iterator
from threading import Lock

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

FRESH_SECONDS = 5.0  # two servers that scrape at once are one reading
READ_MILLISECONDS = 5_000


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """404 without METRICS_TOKEN, 401 without that token as bearer, 503 while the database is away."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        return HttpResponse("A bearer token is needed.\n", status=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        return HttpResponse(_reading.text(), content_type=CONTENT_TYPE_LATEST)
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", status=503)


class _Rows(Collector):
    def collect(self) -> Iterator[Metric]:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {READ_MILLISECONDS:d}")
            for source in settings.METRICS_SOURCES:
                yield from import_string(source)()

    def describe(self) -> Iterator[Metric]:
        return iter(())


class _Reading:
    """The last reading of this process; whoever asks while one is made waits for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._text = b""
        self._until = 0.0

    def text(self) -> bytes:
        with self._lock:
            if time.monotonic() >= self._until:
                registry = CollectorRegistry()
                registry.register(_Rows())
                self._text = generate_latest(registry)
                self._until = time.monotonic() + FRESH_SECONDS
            return self._text

    def forget(self) -> None:
        with self._lock:
            self._until = 0.0


_reading = _Reading()


def metrics_forget() -> None:
    """The next answer is read anew."""
    _reading.forget()
