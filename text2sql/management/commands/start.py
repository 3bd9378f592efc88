"""`manage.py start`: the whole product with one command, in the foreground."""

import contextlib
import http.client
import io
import json
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.checks import Tags
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper

from observability.langfuse.status import langfuse_status_line
from text2sql.launch import children
from text2sql.launch.block import StartBlock
from text2sql.launch.demo import DemoAccess, DemoFile
from text2sql.launch.error import StartError
from text2sql.launch.lock import held_lock
from text2sql.launch.postgres import EmbeddedPostgres
from text2sql.launch.preflight import check_port, make_data_dir
from text2sql.launch.processes import Supervisor
from text2sql.launch.secrets import write_first_secrets
from text2sql.launch.signals import StopRequested, StopSignals
from text2sql.launch.statics import collect_changed

_CONNECT_SECONDS = 5
_READY_SECONDS = 60
_STAND_IN_SECONDS = 30


class Command(BaseCommand):
    """Start database, web, worker, schedule and stand-in, and stop them all at Ctrl-C."""

    help = "Start everything: database, web, worker and schedule. Ctrl-C stops it."
    requires_system_checks = []  # they run below, once there are keys to check

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the options of `./run.sh`."""
        parser.add_argument("--port", default=os.environ.get("PORT") or "8000", help="port of the web (default 8000)")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--no-demo", dest="demo", action="store_false", help="make no demo teams and databases")

    def handle(self, *, host: str, port: str, demo: bool, **options: Any) -> None:
        """Run until a stop signal; every other end is one sentence and exit code 1."""
        signals = StopSignals()
        failure: str | None = None
        with signals:
            try:
                with contextlib.ExitStack() as stack:
                    try:
                        self._run(stack, signals, host, port, demo=demo)
                    finally:
                        signals.defer()  # what follows undoes the start and must not be interrupted
            except StopRequested:
                pass
            except (StartError, ImproperlyConfigured) as error:
                failure = str(error)
            self._say("Stopped." if failure is None else failure)
        if failure is not None:
            sys.exit(1)

    def _run(self, stack: contextlib.ExitStack, signals: StopSignals, host: str, port: str, *, demo: bool) -> None:
        number = _port_number(port)
        make_data_dir(settings.DATA_DIR)
        busy = f"It is already running from {settings.DATA_DIR}: stop that start, or give this one another DATA_DIR."
        stack.enter_context(held_lock(settings.DATA_DIR / "start.lock", busy))
        check_port(host, number)
        if settings.DEBUG and write_first_secrets(settings.DATA_DIR, os.environ):
            # Ourselves once more, so that the settings read the new keys.
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # no shell is wanted
        self._check()
        self._open_database(stack)
        access = self._fill_database(demo=demo)
        _close_connections()
        signals.defer()
        supervisor = Supervisor(settings.DATA_DIR / "logs", self._say, cwd=settings.BASE_DIR, wait=signals.wait)
        stack.callback(supervisor.stop, signals.hurried)
        self._start_children(supervisor, signals, host, number)
        if signals.requested():
            raise StopRequested
        self._say(str(self._block(host, number, access)))
        while not signals.requested():
            supervisor.attend(0.5)
        self._say("Stopping …")

    def _check(self) -> None:
        try:
            self.check()
        except SystemCheckError as error:
            raise StartError(str(error)) from None

    def _open_database(self, stack: contextlib.ExitStack) -> None:
        if not settings.DATABASE_URL:
            self._say("Starting PostgreSQL …")
            server = EmbeddedPostgres(settings.DATA_DIR)
            stack.callback(server.stop)
            server.start()
            return
        with _step("Connecting to DATABASE_URL"):
            parameters = connection.get_connection_params()
            psycopg.connect(**parameters | {"connect_timeout": _CONNECT_SECONDS}).close()

    def _fill_database(self, *, demo: bool) -> DemoAccess | None:
        with _step("The migrations"):
            self._say("Preparing the database …")
            call_command("migrate", interactive=False, verbosity=0)
            self.check(tags=[Tags.database], databases=["default"])
        with _step("Collecting the static files"):
            collect_changed()
        if not (demo and settings.DEBUG):
            return None
        stored = DemoFile(settings.DATA_DIR, settings.DATABASE_URL)
        access = stored.read()
        if access is None:
            with _step("Making the demo content"):
                self._say("Making the demo teams and their databases …")
                output = io.StringIO()
                call_command("seed_demo", "--json", stdout=output)
                access = json.loads(output.getvalue())
            stored.write(access)
        return access

    def _start_children(self, supervisor: Supervisor, signals: StopSignals, host: str, port: int) -> None:
        self._say("Starting web, worker and schedule …")
        if _needs_stand_in():
            supervisor.environment["CLAUDE_STAND_IN_URL"] = _start_stand_in(supervisor, signals)
        supervisor.start(children.worker_child())
        supervisor.start(children.beat_child(settings.DATA_DIR))
        supervisor.start(children.web_child(host, port))
        deadline = time.monotonic() + _READY_SECONDS
        while not signals.requested() and not _is_alive(host, port):
            if time.monotonic() > deadline:
                tail = supervisor.tail("web", 12)
                raise StartError(f"The web does not answer after {_READY_SECONDS} s; the end of its log:\n{tail}")
            supervisor.attend(0.2)

    def _block(self, host: str, port: int, access: DemoAccess | None) -> StartBlock:
        if _needs_stand_in():
            claude = "a stand-in that answers only the demo's questions; set ANTHROPIC_API_KEY for the real one"
        else:
            claude = settings.CLAUDE_MODEL
        address = f"http://{_reachable(host)}:{port}"
        return StartBlock(address, claude, langfuse_status_line(), settings.DATA_DIR / "logs", access)

    def _say(self, text: str) -> None:
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except OSError:  # the terminal is gone, which is no reason to fail
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _port_number(text: str) -> int:
    if not text.isdecimal():
        raise StartError(f"{text!r} is no port: give a number with --port or PORT.")
    return int(text)


def _close_connections() -> None:
    # The threads of the pool must be gone before children are forked.
    for wrapper in connections.all(initialized_only=True):
        wrapper.close()
        if isinstance(wrapper, DatabaseWrapper):
            wrapper.close_pool()


def _needs_stand_in() -> bool:
    return not settings.ANTHROPIC_API_KEY and not settings.CLAUDE_STAND_IN_URL


def _start_stand_in(supervisor: Supervisor, signals: StopSignals) -> str:
    port_file: Path = settings.DATA_DIR / "claude-stand-in.port"
    port_file.unlink(missing_ok=True)
    child = children.stand_in_child(port_file)
    supervisor.start(child)
    deadline = time.monotonic() + _STAND_IN_SECONDS
    while not (port_file.exists() and port_file.read_text().strip()):
        if signals.requested():
            raise StopRequested
        if time.monotonic() > deadline:
            raise StartError(f"The stand-in for Claude does not start:\n{supervisor.tail(child.name, 12)}")
        supervisor.attend(0.1)
    port = int(port_file.read_text())
    child.command = children.stand_in_child(port_file, port).command  # the others know it under this port
    return f"http://127.0.0.1:{port}"


def _is_alive(host: str, port: int) -> bool:
    allowed = [name for name in settings.ALLOWED_HOSTS if name != "*"]
    name = (allowed or ["localhost"])[0].lstrip(".")
    client = http.client.HTTPConnection(_reachable(host).strip("[]"), port, timeout=5)
    try:
        client.request("GET", "/livez", headers={"Host": name})
        return client.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


def _reachable(host: str) -> str:
    """The address to open for a listening address, as it stands in a URL."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104  # no binding here
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except (DatabaseError, psycopg.Error, CommandError, OSError) as error:
        text = str(error) if isinstance(error, SystemCheckError) else _first_line(error)
        raise StartError(f"{name} failed: {text}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
