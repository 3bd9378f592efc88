"""`manage.py start` as a user starts it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from text2sql.launch.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROJECT = Path(__file__).resolve().parents[3]
OURS = ("DATABASE_URL", "DATA_DIR", "SECRET_KEY", "ENCRYPTION_KEYS", "REDIS_URL", "PORT", "DJANGO_SETTINGS_MODULE")


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return kept | {"DATA_DIR": str(data_dir), "ANTHROPIC_API_KEY": "", "PYTHONPATH": str(PROJECT)} | more


def command(port: int) -> list[str]:
    return [sys.executable, str(PROJECT / "manage.py"), "start", "--no-demo", "--port", str(port)]


def failure(data_dir: Path, port: int | None = None, **more: str) -> str:
    """What a start that must fail says."""
    result = subprocess.run(  # noqa: S603  # our own command
        command(port or free_port()),
        env=environment(data_dir, **more),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return (result.stdout + result.stderr).strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def session_of(data_dir: Path) -> list[str]:
    """The command lines of all processes whose environment or arguments name this data folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            place = (entry / "cwd").readlink()
        except OSError:
            continue
        home = (data_dir / "postgres").resolve()
        if os.fsencode(data_dir) in words or place.is_relative_to(home):
            found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


class Start:
    """A running start and what it printed."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.output = data_dir.with_name("output")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                command(self.port), env=environment(data_dir), stdout=output, stderr=output
            )

    def await_block(self) -> str:
        deadline = time.monotonic() + 120
        while "Ctrl-C stops" not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        return self.output.read_text()

    def await_end(self) -> int:
        code = self.process.wait(90)
        deadline = time.monotonic() + 30
        while session_of(self.data_dir) and time.monotonic() < deadline:
            time.sleep(0.1)
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    start = Start(tmp_path / "my data")
    yield start
    start.process.kill()
    start.await_end()
    EmbeddedPostgres(start.data_dir).remove()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_runs_until_it_is_told_to_stop_and_leaves_nothing(start: Start, stop: signal.Signals) -> None:
    text = start.await_block()
    assert f"http://127.0.0.1:{start.port}" in text
    assert "stand-in" in text
    assert "LangFuse observability" in text
    with urllib.request.urlopen(f"http://127.0.0.1:{start.port}/livez", timeout=10) as answer:
        assert answer.status == 200
    running = " ".join(session_of(start.data_dir))
    for part in ("granian", "worker", "beat", "text2sql.demo.claude", "postgres"):
        assert part in running
    second = failure(start.data_dir)
    assert second.startswith("It is already running")
    assert "\n" not in second
    start.process.send_signal(stop)
    assert start.await_end() == 0
    assert session_of(start.data_dir) == []


def test_when_it_is_killed_nothing_outlives_it_and_the_next_start_works(start: Start) -> None:
    start.await_block()
    start.process.kill()
    start.await_end()
    assert session_of(start.data_dir) == []
    again = Start(start.data_dir)
    try:
        again.await_block()
    finally:
        again.process.terminate()
        assert again.await_end() == 0


def test_a_stop_in_the_middle_of_the_start_leaves_nothing(start: Start) -> None:
    while "PostgreSQL" not in start.output.read_text():
        assert start.process.poll() is None
        time.sleep(0.02)
    start.process.terminate()
    assert start.await_end() == 0
    assert session_of(start.data_dir) == []


def test_a_taken_port_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = failure(tmp_path / "data", port)
    assert text.startswith(f"Port {port} is taken")
    assert "\n" not in text
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    text = failure(Path("/proc/text2sql"))
    assert text.startswith("/proc/text2sql cannot be written")
    assert "\n" not in text


@pytest.mark.parametrize("url", ["sqlite:////tmp/x", "postgresql://a:b@127.0.0.1:1/c"])
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path, url: str) -> None:
    text = failure(tmp_path / "data", DATABASE_URL=url)
    assert "DATABASE_URL" in text
    assert "\n" not in text
    assert ":b@" not in text


def test_lost_keys_beside_existing_data_stop_the_start_with_the_checks_hint(tmp_path: Path) -> None:
    (tmp_path / "data" / "postgres").mkdir(parents=True)
    text = failure(tmp_path / "data")
    assert "ENCRYPTION_KEYS" in text
    assert not (tmp_path / "data" / "secrets.env").exists()
