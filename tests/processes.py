"""The product's own processes for tests, working on the test's database."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from django.conf import settings
from django.db import connection

from text2sql.launch.children import web_child

PROJECT = Path(__file__).resolve().parent.parent


def child_environment(data_dir: Path, **more: str) -> dict[str, str]:
    """The environment of a process that shares the test's database, secrets and stand-ins."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "text2sql.settings",
        "DATABASE_URL": database_url(),
        "DATA_DIR": str(data_dir),
        "SECRET_KEY": settings.SECRET_KEY,
        "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
        "FILE_FOLDERS": ",".join(settings.FILE_FOLDERS),
        "CLAUDE_STAND_IN_URL": settings.CLAUDE_STAND_IN_URL,
        "LANGFUSE_BASE_URL": settings.LANGFUSE_BASE_URL,
        "LANGFUSE_PUBLIC_KEY": settings.LANGFUSE_PUBLIC_KEY,
        "LANGFUSE_SECRET_KEY": settings.LANGFUSE_SECRET_KEY,
        **more,
    }


def database_url(**options: str) -> str:
    """The URL of the test's database; `options` are libpq's."""
    at: dict[str, Any] = connection.settings_dict
    query = {"host": at["HOST"], "port": str(at["PORT"] or ""), "password": at["PASSWORD"], **options}
    tail = urlencode({name: value for name, value in query.items() if value})
    return f"postgresql://{quote(at['USER'], safe='')}@/{at['NAME']}?{tail}"


@contextmanager
def celery_running(data_dir: Path, **more: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A worker and the schedule, as `manage.py start` runs them; stopped at the end."""
    environment = child_environment(data_dir, **more)
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "text2sql"]
    commands = [
        [*celery, "worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "warning"],
        [*celery, "beat", "--schedule", str(data_dir / "schedule"), "--pidfile", "", "--loglevel", "warning"],
    ]
    with ExitStack() as stack:
        log = stack.enter_context((data_dir / "celery.log").open("wb"))
        children = []
        for command in commands:
            child = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)  # noqa: S603
            stack.callback(_end, child)
            children.append(child)
        yield children


@contextmanager
def web_running(data_dir: Path, **more: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The web's address and process, as `manage.py start` runs it; stopped at the end."""
    port = free_port()
    child = web_child("127.0.0.1", port)
    with (data_dir / "web.log").open("wb") as log:
        environment = child_environment(data_dir, **more)
        server = subprocess.Popen(child.command, cwd=PROJECT, env=environment, stdout=log, stderr=log)  # noqa: S603
        try:
            _await_answer(port, server, data_dir / "web.log")
            yield f"http://127.0.0.1:{port}", server
        finally:
            _end(server)


def free_port() -> int:
    """One that nobody listens at, for whoever takes it next."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _await_answer(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 90
    while time.monotonic() < ends and server.poll() is None:
        with suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30)
            return
        time.sleep(0.1)
    raise AssertionError(f"the web server does not answer: {log.read_text()}")


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
