"""A server that sends what the stand-in never does: events of another shape, and streams that stop in their midst."""

import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_scripted\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
START = (
    '{"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model":'
    ' "claude-sonnet-5-5", "content": [], "stop_reason": null, "usage": {"input_tokens": 120, "output_tokens": 1,'
    ' "cache_creation_input_tokens": 500, "cache_read_input_tokens": 4000}}}'
)
STOP = '{"type": "message_stop"}'


class ScriptedClaude:
    """Answers each request with these events, `gap` seconds before each, and then says no more; `requests` counts."""

    def __init__(self, events: Sequence[str], *, gap: float = 0.0, ends: bool = False) -> None:
        self.requests = 0
        self._events, self._gap, self._ends = events, gap, ends
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                self._answer(line)

    def _answer(self, line: socket.socket) -> None:
        _read_request(line)
        self.requests += 1
        try:
            line.sendall(HEAD)
            for event in self._events:
                time.sleep(self._gap)
                data = f"event: x\ndata: {event}\n\n".encode()
                line.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            if self._ends:
                line.sendall(b"0\r\n\r\n")
            else:
                line.settimeout(0.05)
                while not self._over.is_set() and not self._is_left(line):
                    pass
        except OSError:
            return  # the client has left

    def _is_left(self, line: socket.socket) -> bool:
        try:
            return not line.recv(1)
        except TimeoutError:
            return False


def _read_request(line: socket.socket) -> None:
    with line.makefile("rb") as lines:
        size = 0
        while (header := lines.readline().strip().lower()) != b"":
            if header.startswith(b"content-length:"):
                size = int(header.partition(b":")[2])
        lines.read(size)
