"""The request id travels with a Celery message, so that a task's lines are found beside those of its request."""

from typing import Any

from celery import signals
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars


def request_id_send(headers: dict[str, Any] | None = None, **_: Any) -> None:
    request_id = get_contextvars().get("request_id")
    if request_id and headers is not None:
        headers.setdefault("request_id", request_id)


def request_id_take(task: Any = None, task_id: str = "", **_: Any) -> None:
    if task.request.is_eager:  # it runs inside its request
        return
    clear_contextvars()
    request_id = task.request.get("request_id")
    bind_contextvars(task=task.name, task_id=task_id, **({"request_id": request_id} if request_id else {}))


def request_id_drop(task: Any = None, **_: Any) -> None:
    if not task.request.is_eager:
        clear_contextvars()


def logging_keep(**_: Any) -> None:
    """Celery leaves our logging as it is: it would set another level, and print in a form of its own."""


signals.before_task_publish.connect(request_id_send, dispatch_uid="request_id_send")
signals.task_prerun.connect(request_id_take, dispatch_uid="request_id_take")
signals.task_postrun.connect(request_id_drop, dispatch_uid="request_id_drop")
signals.setup_logging.connect(logging_keep, dispatch_uid="logging_keep")
