"""The HTTP side: sockets, the log of requests, and the faults that only a network can show."""

import gzip
import json
import socket
import socketserver
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.standins.langfuse.answers import Answer
from tests.standins.langfuse.api import TRACES, Api, Incoming
from tests.standins.langfuse.faults import Fault, Faults, Kind

LONGEST_HEAD = 16_384  # bytes of target, header names and header values: how Node counts


@dataclass
class Request:
    """A request that arrived. `status` is None while, or because, no answer was sent."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]  # names in lower case
    body: Any  # ExportTraceServiceRequest for spans, decoded JSON, None when empty, otherwise bytes
    arrived: float  # time.monotonic()
    status: int | None = None
    answer: Answer | None = None  # what was sent, with `status`


class Listener(ThreadingHTTPServer):
    """Accepts connections on one address, until it is closed with all of them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_port = True  # the address is also held by the socket that keeps the port reserved

    def __init__(self, address: tuple[str, int], api: Api, faults: Faults, log: list[Request]) -> None:
        self.api = api
        self.faults = faults
        self.log = log
        self.closed = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Exchange)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """Without the base class's look-up of the host's name."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        self.closed.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                hang_up(connection)
        self._thread.join()


class Exchange(BaseHTTPRequestHandler):
    """The requests of one connection."""

    server: Listener
    protocol_version = "HTTP/1.1"
    timeout = 5  # seconds an idle connection is kept, as Node does
    disable_nagle_algorithm = True

    def exchange(self) -> None:
        if self.head_size() > LONGEST_HEAD:
            self.close_connection = True
            self.send(Answer(431))
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        target = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(target.query, keep_blank_values=True)
        incoming = Incoming(self.command, target.path, query, headers, body)
        request = logged(incoming)
        self.server.log.append(request)
        answer = self.answer(incoming)
        if answer is None:
            self.close_connection = True
            return
        request.status, request.answer = answer.status, answer
        self.send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = exchange  # noqa: N815  named by http.server

    def answer(self, incoming: Incoming) -> Answer | None:
        """None: the connection is gone, or is closed on purpose."""
        faults, path, api = self.server.faults, incoming.path, self.server.api
        fate = faults.fate()
        stopped = faults.take(path, "fail", "stall", "hang_up") or of_kind(fate, "fail", "hang_up")
        if stopped and stopped.kind == "hang_up":
            hang_up(self.connection)
            return None
        if stopped and stopped.answer:
            return stopped.answer
        if stopped:
            self.hold(stopped.over, stopped.seconds)
        if self.server.closed.is_set():
            return None
        stored = faults.take(path, "lose", "twice") or of_kind(fate, "lose", "twice")
        if incoming.method != "POST":
            stored = None
        if stored and stored.kind == "twice":
            api.answer(incoming)
        answer = (api.forgetful() if stored and stored.kind == "lose" else api).answer(incoming)
        late = faults.take(path, "cut", "slow") or of_kind(fate, "cut")
        if late and late.kind == "cut":
            hang_up(self.connection)
            return None
        if late:
            self.hold(late.over, late.seconds)
        return None if self.server.closed.is_set() else answer

    def hold(self, over: threading.Event, seconds: float | None) -> None:
        """Wait for the end of the fault, for its seconds, or for the server to close."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self.server.closed.is_set() and (until is None or time.monotonic() < until):
            left = 0.02 if until is None else min(0.02, max(0.0, until - time.monotonic()))
            if over.wait(left):
                return

    def head_size(self) -> int:
        return len(self.path) + sum(len(name) + len(value) for name, value in self.headers.items())

    def send(self, answer: Answer) -> None:
        """Head and body in one write, so that a client never sees one without the other."""
        body = body_of(answer)
        headers = {"Content-Length": str(len(body)), **answer.headers}
        if body:
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        headers["Connection"] = "close" if self.close_connection else "keep-alive"
        phrase = HTTPStatus(answer.status).phrase
        head = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        try:
            self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)
        except OSError:
            self.close_connection = True  # the client did not wait

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself: a head too long for it is too long for Node as well."""
        self.close_connection = True
        self.send(Answer(431 if code in (HTTPStatus.REQUEST_URI_TOO_LONG, 431) else code))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
        """Requests are logged in `Listener.log`."""


def body_of(answer: Answer) -> bytes:
    if answer.body is None:
        return b""
    if isinstance(answer.body, bytes):
        return answer.body
    return json.dumps(answer.body, separators=(",", ":")).encode()


def of_kind(fault: Fault | None, *kinds: Kind) -> Fault | None:
    return fault if fault and fault.kind in kinds else None


def logged(incoming: Incoming) -> Request:
    arrived = time.monotonic()
    body = decoded(incoming) if incoming.body else None
    return Request(incoming.method, incoming.path, incoming.query, incoming.headers, body, arrived)


def decoded(incoming: Incoming) -> Any:
    """The body as the log keeps it: what cannot be decoded stays as it is."""
    try:
        if incoming.path == TRACES:
            return ExportTraceServiceRequest.FromString(incoming.body)
        if incoming.headers.get("content-type", "").startswith("application/json"):
            return json.loads(incoming.body)
    except (DecodeError, ValueError):
        return incoming.body
    return incoming.body


def hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was quicker
