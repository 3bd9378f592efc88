"""The product's own processes for tests, working on the test's database."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection

PROJECT = Path(__file__).resolve().parent.parent


def child_environment(data_dir: Path, **more: str) -> dict[str, str]:
    """The environment of a process that shares the test's database, secrets and stand-ins."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "text2sql.settings",
        "DATABASE_URL": database_url(),
        "DATA_DIR": str(data_dir),
        "SECRET_KEY": settings.SECRET_KEY,
        "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
        "SQLITE_FOLDERS": ",".join(settings.SQLITE_FOLDERS),
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


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
