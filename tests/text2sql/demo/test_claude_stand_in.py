import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anthropic
import pytest

from tests.text2sql.demo.claude_requests import (
    SQL,
    ask,
    connect,
    make_request,
    make_stand_in,
    make_system,
    read_answer,
)
from text2sql.demo.claude import ClaudeStandIn

ROOT = Path(__file__).parents[3]


@pytest.fixture
def stand_in() -> Iterator[ClaudeStandIn]:
    with make_stand_in() as running:
        yield running


def test_fifty_threads_are_answered_and_billed_each_once(stand_in: ClaudeStandIn) -> None:
    with connect(stand_in) as client, ThreadPoolExecutor(50) as threads:
        barrier = threading.Barrier(50)

        def work(number: int) -> tuple[str, int]:
            barrier.wait(20)
            message = ask(client, stream=bool(number % 2), **make_request(system=make_system(4000, "1h")))
            return read_answer(message).sql, message.usage.output_tokens

        results = list(threads.map(work, range(50)))
    assert {sql for sql, _ in results} == {SQL}
    assert len({bill.request_id for bill in stand_in.billed}) == 50
    assert sorted(bill.usage.output for bill in stand_in.billed) == sorted(output for _, output in results)
    assert {bill.request_id for bill in stand_in.billed} == {request.id for request in stand_in.requests}


def test_queued_scenarios_reach_exactly_as_many_parallel_requests(stand_in: ClaudeStandIn) -> None:
    stand_in.play("overloaded", times=7)

    def work(_: int) -> bool:
        try:
            ask(client, **make_request())
        except anthropic.OverloadedError:
            return False
        return True

    with connect(stand_in) as client, ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(work, range(40))) == 33


def test_a_connection_serves_many_requests(stand_in: ClaudeStandIn) -> None:
    with socket.create_connection(("127.0.0.1", stand_in.port), timeout=10) as raw:
        reader = raw.makefile("rb")
        for _ in range(3):
            raw.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\n\r\n")
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = dict(line.decode().strip().split(": ", 1) for line in iter(reader.readline, b"\r\n"))
            assert json.loads(reader.read(int(headers["content-length"])))["has_more"] is False


def test_a_client_that_leaves_in_mid_stream_pays_for_what_was_written(stand_in: ClaudeStandIn) -> None:
    request = make_request(model="claude-haiku-5-5", thinking={"type": "disabled"})
    stand_in.play("slow_stream", seconds=20)
    with connect(stand_in) as client:
        with client.messages.stream(**request) as events:
            next(iter(events.text_stream))
        assert read_answer(ask(client, **request)).sql == SQL
    left, whole = (bill.usage for bill in stand_in.billed)
    assert 1 <= left.output < whole.output
    assert left.prompt == whole.prompt


@pytest.mark.parametrize("scenario", ["timeout", "slow", "slow_stream", None])
def test_a_stop_ends_open_connections_and_returns(scenario: str | None) -> None:
    stand_in = make_stand_in().start()
    errors: list[Exception] = []

    def work() -> None:
        try:
            ask(client, stream=True, **make_request())
        except Exception as error:  # noqa: BLE001  # whichever way the connection ends, it has to end
            errors.append(error)

    with connect(stand_in) as client:
        ask(client, **make_request())  # leaves an idle connection
        if scenario:
            stand_in.play(scenario, **({} if scenario == "timeout" else {"seconds": 600}), times=3)
        threads = [threading.Thread(target=work) for _ in range(3 if scenario else 0)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(stand_in.requests) == 1 + len(threads))
        stand_in.stop()
        for thread in threads:
            thread.join(10)
        assert len(errors) == len(threads)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", stand_in.port), timeout=5)
    assert [thread.name for thread in threading.enumerate() if "claude-stand-in" in thread.name] == []


def test_it_listens_on_this_machine_only(stand_in: ClaudeStandIn) -> None:
    assert stand_in.base_url == f"http://127.0.0.1:{stand_in.port}"
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("only Linux tells which addresses listen")
    rows = [line.split() for line in listening.read_text().splitlines()[1:]]
    assert {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{stand_in.port:04X}")} == {
        f"0100007F:{stand_in.port:04X}"
    }


def test_a_taken_port_is_an_error(stand_in: ClaudeStandIn) -> None:
    with pytest.raises(OSError, match="in use"):
        make_stand_in(port=stand_in.port)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@contextmanager
def run_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "text2sql.demo.claude", *arguments]
    process = subprocess.Popen(  # noqa: S603  # our own module
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_where_it_listens_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    port_file = tmp_path / "port"
    with run_process("--port", "0", "--port-file", str(port_file), "--delay", "0") as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        port = int(port_file.read_text())
        assert line == f"Claude stand-in (not Claude) listening on http://127.0.0.1:{port}\n"
        client = anthropic.Anthropic(
            api_key="k", base_url=f"http://127.0.0.1:{port}", max_retries=0, open_telemetry=False
        )
        with client:
            assert client.models.retrieve("claude-sonnet-5-5").lifecycle == "active"
            for _ in range(2):  # a shell sends Ctrl-C to the whole group, and a parent sends it again
                os.kill(process.pid, number)
            assert process.wait(10) == 0
        assert process.stdout.read() == process.stderr.read() == ""


def test_a_process_on_a_taken_port_says_so_and_fails(stand_in: ClaudeStandIn) -> None:
    with run_process("--port", str(stand_in.port)) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.startswith(f"The stand-in cannot listen on port {stand_in.port}: ")
