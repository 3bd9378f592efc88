"""Two questions of whoever runs us: is the process alive, and can it serve?"""

from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from observability.langfuse.client import langfuse_configured
from observability.services.backlog import backlog
from observability.services.broker import broker_ping

SECONDS = 2.0


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers. Asks nothing of the database: a restart would not bring that back."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when database, broker and cache answer and every migration is there, else 503.

    Langfuse and Claude are told for information and decide nothing; neither is asked: what is told comes from our rows
    and settings. Strangers may read this, so it holds no reasons; `manage.py doctor` gives them.
    """
    told = {"database": _state(_database_ask), "broker": _state(lambda: broker_ping(seconds=SECONDS) and "ok")}
    told |= {name: _state(import_string(path)) for name, path in settings.READINESS_CHECKS.items()}
    if told["database"] == "ok":
        told["migrations"] = _state(_migrations_state)
    ready = all(state in ("ok", "off") for state in told.values())
    notes = {"langfuse": _state(_langfuse_state)}
    notes |= {name: _state(import_string(path)) for name, path in settings.READINESS_NOTES.items()}
    return JsonResponse({"status": "ok" if ready else "unavailable"} | told | notes, status=200 if ready else 503)


def migrations_missing() -> list[str]:
    """The migrations that the database lacks. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _state(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception:  # noqa: BLE001  # each has its own errors; whatever it is, this one cannot serve
        return "unreachable"


def _database_ask() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()  # a dead connection must not stay for the next request
        raise
    return "ok"


def _migrations_state() -> str:
    missing = migrations_missing()
    return f"{len(missing)} missing" if missing else "ok"


def _langfuse_state() -> str:
    """`off`, `ok`, or `waiting` while trouble keeps what we have to send."""
    if not langfuse_configured():
        return "off"
    return "waiting" if backlog().last_error else "ok"
