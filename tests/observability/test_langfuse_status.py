import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pytest_django import Settings

from observability.langfuse import status
from observability.langfuse.status import langfuse_status_line
from tests.standins.langfuse import LangfuseStandIn


def test_it_names_host_and_project(langfuse: LangfuseStandIn) -> None:
    host = langfuse.base_url.removeprefix("http://")
    assert langfuse_status_line() == f"LangFuse observability enabled ({host}, project text2sql)"


def test_without_keys_it_says_what_to_set(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY = settings.LANGFUSE_SECRET_KEY = ""
    assert langfuse_status_line() == "LangFuse observability disabled: set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"


def test_switched_off_it_says_by_what(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.ENABLE_LANGFUSE = False
    assert langfuse_status_line() == "LangFuse observability disabled by ENABLE_LANGFUSE"
    assert not langfuse.requests


def test_a_server_that_is_down_is_said_so(langfuse: LangfuseStandIn) -> None:
    langfuse.refuse()
    line = langfuse_status_line()
    assert line.startswith("LangFuse observability enabled (127.0.0.1:")
    assert "but not reachable now: " in line


def test_a_server_that_stalls_is_left_after_the_timeout(
    langfuse: LangfuseStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "TIMEOUT", 0.2)
    langfuse.stall()
    assert "but not reachable now: timed out" in langfuse_status_line()


def test_wrong_keys_are_said_so(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.LANGFUSE_SECRET_KEY = "sk-lf-wrong"
    assert "the keys are not accepted (401)" in langfuse_status_line()


@pytest.mark.parametrize("code", [404, 500])
def test_any_other_refusal_is_said_so(langfuse: LangfuseStandIn, code: int) -> None:
    langfuse.fail(status=code)
    assert f"it answered {code}" in langfuse_status_line()


class NotLangfuse(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        body = b"<html>welcome</html>"
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))


@pytest.mark.parametrize("url", ["http://[::1", "nonsense"])
def test_an_address_that_is_none_does_not_raise(langfuse: LangfuseStandIn, settings: Settings, url: str) -> None:
    settings.LANGFUSE_BASE_URL = url
    assert "but not reachable now: " in langfuse_status_line()


def test_another_server_behind_the_address_does_not_raise(langfuse: LangfuseStandIn, settings: Settings) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), NotLangfuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.LANGFUSE_BASE_URL = f"http://127.0.0.1:{server.server_address[1]}"
        assert "but not reachable now: " in langfuse_status_line()
        server.shutdown()


LOADED = """
import sys
import django
django.setup()
import observability.tasks, observability.urls
from observability.services import alerts, audit, costs, prices, scores, traces
print([name for name in ("langfuse", "opentelemetry.sdk", "opentelemetry.exporter") if name in sys.modules])
"""


def test_a_process_that_only_records_never_loads_the_sdk() -> None:
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(  # noqa: S603  # our own code
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
