"""Faults that are injected into the next requests, in the order in which they were asked for."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.standins.langfuse.answers import Answer

Kind = Literal["fail", "stall", "hang_up", "cut", "slow", "lose", "twice"]
MESSAGES = {
    400: "Invalid request data",
    401: "Invalid credentials. Confirm that you've configured the correct host.",
    422: "Request timed out",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
# What proxies, login pages and broken servers say with a 200: content type and body.
GARBAGE = {
    "html": ("text/html; charset=utf-8", b"<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>"),
    "broken": ("application/json; charset=utf-8", b'{"data": [{"id": "abc", "tra'),
    "shape": ("application/json; charset=utf-8", b'["not", "an", "answer"]'),
    "type": ("text/plain", b'{"message": "Accepted"}{'),
    "binary": ("application/json", bytes(range(256))),
}


@dataclass
class Fault:
    """`left` requests whose path starts with `path` meet it; None: until it is cleared."""

    kind: Kind
    path: str
    left: int | None
    answer: Answer | None = None
    seconds: float | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The faults in force; safe to use from several threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._spent: list[Fault] = []  # may still hold requests
        self._lock = threading.Lock()
        self.fate: Callable[[], Fault | None] = lambda: None  # what chance has for a request, besides these

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def take(self, path: str, *kinds: Kind) -> Fault | None:
        """The first fault of these kinds for that path, used up by one request."""
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and path.startswith(fault.path):
                    if fault.left is not None:
                        fault.left -= 1
                        if not fault.left:
                            self._faults.remove(fault)
                            self._spent.append(fault)
                    return fault
        return None

    def clear(self, chosen: Callable[[Fault], bool] = lambda _: True) -> None:
        """End these faults, also for the requests they hold at this moment."""
        with self._lock:
            for fault in [*self._faults, *self._spent]:
                if chosen(fault):
                    fault.over.set()
            self._faults = [fault for fault in self._faults if not fault.over.is_set()]
            self._spent = [fault for fault in self._spent if not fault.over.is_set()]


def failure(status: int, retry_after: float | None) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    if status == 429:
        headers |= {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}
    return Answer(status, {"message": MESSAGES.get(status, "Error"), "error": "Injected"}, headers)
