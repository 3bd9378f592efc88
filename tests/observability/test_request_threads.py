"""The threads that answer people never talk to Langfuse: seen at the sockets, with Langfuse a black hole."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from observability.models import Score, Trace
from observability.services.scores import score_record
from observability.services.traces import trace_record
from tests.factories import make_database, make_key
from tests.observability.conftest import trace_made
from tests.people import make_people
from text2sql.demo.claude import ClaudeStandIn

EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_watchers: list[tuple[int, list[Any]]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in EVENTS:
        for thread, seen in _watchers:
            if thread == threading.get_ident():
                seen.append(arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[:2])


sys.addaudithook(_hook)  # Python tells it of every connection that its sockets make, whoever makes it


@pytest.fixture
def seen() -> Iterator[list[Any]]:
    """The addresses that this thread connects to or looks up. (PostgreSQL's driver has sockets of its own.)"""
    watcher: tuple[int, list[Any]] = (threading.get_ident(), [])
    _watchers.append(watcher)
    yield watcher[1]
    _watchers.remove(watcher)


@pytest.fixture
def black_hole(settings: Settings) -> Iterator[socket.socket]:
    """Langfuse takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as hole:
        hole.setblocking(False)
        settings.LANGFUSE_BASE_URL = f"http://127.0.0.1:{hole.getsockname()[1]}"
        settings.LANGFUSE_PUBLIC_KEY, settings.LANGFUSE_SECRET_KEY = "pk-lf-1", "sk-lf-1"
        yield hole


def assert_nobody_came(hole: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        hole.accept()


def test_the_watch_sees_a_connection(black_hole: socket.socket, seen: list[Any]) -> None:
    address = black_hole.getsockname()
    with socket.create_connection(address):
        assert address in seen
    connection, _ = black_hole.accept()
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_recording_opens_no_socket(black_hole: socket.socket, seen: list[Any]) -> None:
    trace = trace_record(trace_made())
    assert trace
    score_record(score_id="s", trace_id=trace.trace_id, name="user_feedback", value=1, data_type="BOOLEAN")
    assert (Trace.objects.count(), Score.objects.count()) == (1, 1)
    assert seen == []
    assert_nobody_came(black_hole)


@pytest.mark.django_db(transaction=True)
def test_a_question_and_its_feedback_reach_claude_and_nobody_else(
    claude: ClaudeStandIn, black_hole: socket.socket, seen: list[Any], shop: Path
) -> None:
    people = make_people()
    make_database(shop, people.sales)
    headers = {"Authorization": f"Bearer {make_key(people.sales)[1]}"}
    client = Client()

    def post(path: str, body: dict[str, Any]) -> Any:
        return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)

    claude.play("answer", status="ok", sql="SELECT count(*) FROM orders", explanation="All of them.")
    seen.clear()
    answer = post("generate", {"database": "shop", "question": "How many orders?", "session_id": "s-1"}).json()
    assert answer["status"] == "succeeded"
    feedback = post(f"generations/{answer['id']}/feedback", {"rating": "down", "comment": "No.", "end_user": "nina"})
    assert feedback.status_code in (200, 201)
    assert Trace.objects.filter(trace_id=answer["trace_id"]).exists()
    assert Score.objects.filter(trace_id=answer["trace_id"]).exists()
    hole = black_hole.getsockname()[1]
    assert seen  # Claude was asked on this thread
    assert not [address for address in seen if address[1] in (hole, str(hole))]
    assert_nobody_came(black_hole)
