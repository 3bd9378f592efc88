"""With a real worker, on the file broker, in this process: what it logs is what an installation logs."""

import logging
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging, task_postrun
from pytest_django import Settings
from structlog.contextvars import bound_contextvars, get_contextvars

from observability.logging import logging_config
from tests.observability.logs import lines_of, logging_as

logger = logging.getLogger("some.task")


@pytest.fixture
def app(tmp_path: Path, settings: Settings) -> Iterator[Celery]:
    settings.LOGGING = logging_config(debug=False)  # a worker sets Django up once more
    folders = {name: str(tmp_path / name) for name in ("data_folder_in", "data_folder_out", "control_folder")}
    folders["data_folder_out"] = folders["data_folder_in"]
    for folder in folders.values():
        Path(folder).mkdir(exist_ok=True)
    made = Celery("test", broker="filesystem://localhost", set_as_current=False)
    made.conf.update(broker_transport_options=folders, task_ignore_result=True, worker_hijack_root_logger=False)

    @made.task(name="tell", shared=False)
    def tell(word: str) -> None:
        logger.warning("told %s", word)

    @made.task(name="crash", shared=False)
    def crash(word: str) -> None:
        raise ValueError(word)

    yield made
    made.close()


def run(app: Celery, capsys: pytest.CaptureFixture[str], *calls: tuple[str, str, dict[str, Any]]) -> str:
    """What a worker logs that takes these messages: task, word, what is bound where it is sent."""
    ended: SimpleQueue[None] = SimpleQueue()

    def end(**_: object) -> None:
        ended.put(None)

    task_postrun.connect(end)
    with logging_as(debug=False):
        for task, word, bound in calls:
            with bound_contextvars(**bound):
                app.send_task(task, args=[word])
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20, loglevel="WARNING"):
            for _ in calls:
                ended.get(timeout=30)
    task_postrun.disconnect(end)
    written = capsys.readouterr()
    return written.out + written.err


def test_the_request_id_reaches_the_lines_of_the_task(app: Celery, capsys: pytest.CaptureFixture[str]) -> None:
    written = run(app, capsys, ("tell", "1", {"request_id": "order-4711"}), ("tell", "2", {}))
    one, two = sorted(lines_of(written), key=lambda line: str(line["message"]))
    assert (one["message"], one["request_id"], one["task"]) == ("told 1", "order-4711", "tell")
    assert two["message"] == "told 2"
    assert "request_id" not in two
    assert len(two["task_id"]) == 36
    assert get_contextvars() == {}


def test_a_task_that_fails_is_one_line_without_its_exceptions_text(
    app: Celery, capsys: pytest.CaptureFixture[str]
) -> None:
    written = run(app, capsys, ("crash", "Ada Lovelace", {"request_id": "order-4711"}))
    (line,) = lines_of(written)
    assert line["level"] == "ERROR"
    assert line["error_class"] == "ValueError"
    assert line["request_id"] == "order-4711"
    assert "Ada" not in written


def test_celery_leaves_our_logging_alone() -> None:
    assert setup_logging.receivers
