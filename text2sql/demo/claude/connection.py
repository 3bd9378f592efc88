"""The HTTP side: one thread per connection, HTTP/1.1 with keep-alive, one write per response or event."""

import json
import secrets
import select
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from text2sql.demo.claude.desk import Desk, Exchange, Received
from text2sql.demo.claude.errors import ApiError, invalid
from text2sql.demo.claude.scenarios import Scenario
from text2sql.demo.claude.sse import find_middle, frame_event, list_events

LARGEST_BODY = 32 * 1024 * 1024
HTML = b"<!doctype html><html><body><h1>Please sign in</h1></body></html>"
STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "transfer-encoding": "chunked",
}
ORGANIZATION = "00000000-0000-4000-8000-000000000000"


class ConnectionServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts on 127.0.0.1 and can break every open connection when it stops. `delay` in seconds per answer."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, desk: Desk, delay: float) -> None:
        self.desk = desk
        self.delay = delay
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", port), Connection)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def enter(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.add(connection)
            if self.stopping.is_set():  # accepted just before the stop, which no longer saw it
                break_connection(connection)

    def leave(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def break_connections(self, seconds: float) -> None:
        """Ends all connections and waits at most so long for their threads."""
        self.stopping.set()
        with self._changed:
            for connection in self._open:
                break_connection(connection)
            self._changed.wait_for(lambda: not self._open, seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # clients may leave at any moment
            super().handle_error(request, client_address)


def break_connection(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster


class Connection(BaseHTTPRequestHandler):
    server: ConnectionServer
    connection: socket.socket
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    request_id = ""

    def setup(self) -> None:
        super().setup()
        self.server.enter(self.connection)

    def finish(self) -> None:
        self.server.leave(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in the base class
        return

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        self.request_id = f"req_{secrets.token_hex(12)}"
        try:
            self.route(self.receive())
        except ApiError as error:
            self.send_json(error.body(self.request_id), error.status, error.headers)
        except OSError:
            self.close_connection = True

    def receive(self) -> Received:
        length = self.headers.get("content-length") or "0"
        # A body that stays unread would be taken for the next request.
        if "transfer-encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            raise invalid("content-length: header is required")
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            raise ApiError(413, "Request exceeds the maximum size")
        raw = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        return self.server.desk.receive(self.request_id, self.command, path, headers, raw)

    def route(self, received: Received) -> None:
        desk, place = self.server.desk, (received.method, received.path)
        key = desk.admit(received)
        if received.method == "POST" and received.body is None:
            raise invalid("The request body is not valid JSON")
        if place == ("POST", "/v1/messages"):
            self.send_exchange(desk.open_exchange(received, key))
        elif place == ("POST", "/v1/messages/count_tokens"):
            self.send_count(received, key)
        elif place == ("GET", "/v1/models"):
            self.send_json(desk.list_models())
        elif received.method == "GET" and received.path.startswith("/v1/models/"):
            self.send_json(desk.describe_model(received.path.removeprefix("/v1/models/")))
        else:
            raise ApiError(404, f"Not found: {received.method} {received.path}")

    def send_count(self, received: Received, key: str) -> None:
        scenario = self.server.desk.counting_scenarios.take() or Scenario()
        count = self.server.desk.count_tokens(received, key, scenario)
        if not self.is_played(scenario, streams=False):
            self.send_json(count)

    def is_played(self, scenario: Scenario, *, streams: bool) -> bool:
        """Waits as the scenario wants it; whether that was all of the answer."""
        if scenario.name == "timeout":
            self.pause(None)
        if scenario.name == "slow" or (scenario.name == "slow_stream" and not streams):
            self.pause(scenario["seconds"])
        if scenario.name == "html":
            self.send_body(HTML, content_type="text/html; charset=utf-8")
        return scenario.name == "html"

    def send_exchange(self, exchange: Exchange) -> None:
        self.pause(self.server.delay)
        if self.is_played(exchange.scenario, streams=exchange.streams):
            return
        self.server.desk.start(exchange)
        if exchange.streams:
            self.send_stream(exchange)
        else:
            self.send_message(exchange)

    def send_message(self, exchange: Exchange) -> None:
        self.server.desk.bill(exchange, exchange.reply.usage.output)
        message = exchange.reply.as_message()
        if not exchange.scenario.breaks_stream:
            self.send_json(message)
            return
        body = json.dumps(message).encode()
        half = body[: len(body) // 2]
        if exchange.scenario.name == "malformed_json":
            self.send_body(half)
            return
        self.wfile.write(self.build_head(200, {"content-length": str(len(body))}) + half)
        self.close_connection = True

    def send_stream(self, exchange: Exchange) -> None:
        scenario, events = exchange.scenario, list_events(exchange.reply)
        end = find_middle(events) if scenario.breaks_stream else len(events)
        gap = scenario["seconds"] / len(events) if scenario.name == "slow_stream" else 0
        head = self.build_head(200, STREAM_HEADERS)
        for event in events[:end]:
            # Billed before it is sent, so that whoever has seen an event finds it on the bill.
            self.server.desk.bill(exchange, event.output)
            self.wfile.write(head + build_chunk(event.frame()))
            head = b""
            self.pause(gap)
        if scenario.breaks_stream:
            self.break_stream(scenario)
        else:
            self.wfile.write(build_chunk(b""))

    def break_stream(self, scenario: Scenario) -> None:
        if scenario.name == "cut_stream":
            self.wfile.write(b"400\r\nevent: content_block_delta\n")
            self.close_connection = True
            return
        last = b""
        if scenario.name == "mid_stream_error":
            error = ApiError(529, "Overloaded").body(self.request_id)
            last = build_chunk(frame_event("error", json.dumps(error)))
        if scenario.name == "malformed_json":
            last = build_chunk(frame_event("content_block_delta", '{"type": "content_block_delta", "index'))
        self.wfile.write(last + build_chunk(b""))

    def pause(self, seconds: float | None) -> None:
        """Waits, without end for None. Raises ConnectionAbortedError as soon as the client or the server goes."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or (left := end - time.monotonic()) > 0:
            if self.is_client_gone() or self.server.stopping.wait(0.05 if end is None else min(left, 0.05)):
                raise ConnectionAbortedError

    def is_client_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def send_json(self, payload: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_body(json.dumps(payload, ensure_ascii=False).encode(), status, headers)

    def send_body(
        self,
        body: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        length = {"content-length": str(len(body)), "content-type": content_type}
        # One write: a second one would wait for the client's delayed acknowledgement.
        self.wfile.write(self.build_head(status, {**length, **(headers or {})}) + body)

    def build_head(self, status: int, headers: dict[str, str]) -> bytes:
        now = self.server.desk.clock()
        everything = {
            "date": self.date_time_string(),
            "content-type": "application/json",
            "request-id": self.request_id,
            "anthropic-organization-id": ORGANIZATION,
            "anthropic-ratelimit-requests-limit": "1000",
            "anthropic-ratelimit-requests-remaining": "0" if status == HTTPStatus.TOO_MANY_REQUESTS else "999",
            "anthropic-ratelimit-requests-reset": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            **({"connection": "close"} if self.close_connection else {}),
            **headers,
        }
        reason = "Overloaded" if status == 529 else HTTPStatus(status).phrase  # the code of the API
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in everything.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def build_chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
