"""Against moto's CloudWatch over HTTP, and against nothing at all."""

import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from observability import cloudwatch
from observability.cloudwatch import CloudWatchHandler
from observability.logging import json_formatter

# What it says when lines are lost, also from threads of other tests.
pytestmark = pytest.mark.filterwarnings("ignore::watchtower.WatchtowerWarning")

GROUP = "text2sql"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fake credentials, and none of this machine's own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(cloudwatch, "SEND_SECONDS", 1)


@pytest.fixture
def logs(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a CloudWatch that has our log group."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    client = boto3.session.Session().client("logs")
    client.create_log_group(logGroupName=GROUP)
    yield client
    client.delete_log_group(logGroupName=GROUP)
    server.stop()


def handler_open() -> CloudWatchHandler:
    handler = CloudWatchHandler(group=GROUP, region="eu-central-1")
    handler.setFormatter(json_formatter())
    return handler


def line(text: str, name: str = "some.library") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, __file__, 0, text, (), None)


def stored(client: Any) -> list[str]:
    events = client.filter_log_events(logGroupName=GROUP)["events"]
    return [json.loads(event["message"])["message"] for event in events]


def test_lines_arrive_in_a_stream_of_this_process_masked(logs: Any) -> None:
    handler = handler_open()
    handler.handle(line("one"))
    handler.handle(line("password=hunter2"))
    handler.close()
    assert stored(logs) == ["one", "password=***"]
    (stream,) = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert stream["logStreamName"].startswith(f"{socket.gethostname()}/")


def test_what_the_sending_itself_says_is_not_sent(logs: Any) -> None:
    handler = handler_open()
    handler.handle(line("retrying", name="urllib3.connectionpool"))
    handler.handle(line("one"))
    handler.close()
    assert stored(logs) == ["one"]


def test_an_outage_costs_lines_and_neither_memory_nor_time(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # takes connections and never answers
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setattr(cloudwatch, "BUFFER_LINES", 500)
        monkeypatch.setattr(CloudWatchHandler, "FLUSH_TIMEOUT", 0.2)
        handler = handler_open()
        for number in range(5_000):
            handler.handle(line(f"line {number}"))
        assert handler.waiting <= 500
        assert handler._dropped >= 5_000 - 500 - 1_001  # a batch may be on its way
        handler.close()


def test_what_was_dropped_is_told_when_lines_are_taken_again(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudwatch, "BUFFER_LINES", 0)
    handler = handler_open()
    handler.handle(line("lost"))
    monkeypatch.setattr(cloudwatch, "BUFFER_LINES", 10)
    handler.handle(line("kept"))
    handler.close()
    assert stored(logs) == ["1 lines were dropped while CloudWatch took none", "kept"]


WITHOUT = """
import sys
sys.modules["watchtower"] = None
from observability.logging import cloudwatch_handler
cloudwatch_handler(group="g", region="eu-central-1")
"""


def test_a_missing_package_is_a_sentence() -> None:
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", WITHOUT], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install watchtower" in done.stderr
    assert "Traceback" not in done.stderr
