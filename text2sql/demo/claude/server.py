"""The stand-in as tests and the demo hold it."""

import threading
from types import TracebackType
from typing import Any, Self

from text2sql.demo.claude.answers import Examples, Lookup, find_recorded_question, list_recorded_questions
from text2sql.demo.claude.billing import Bill
from text2sql.demo.claude.connection import ConnectionServer
from text2sql.demo.claude.desk import Clock, Desk, Received, read_clock
from text2sql.demo.claude.scenarios import make_scenario

STOP_SECONDS = 0.5


class ClaudeStandIn:
    """A Messages API on 127.0.0.1 that answers recorded questions and bills like the real one.

    `port` 0 takes a free one. `delay` in seconds per answer. `lookup` finds the recorded question for a database
    and a question, `examples` lists the questions of a database; both come from the demo unless given. `clock` gives
    aware UTC and decides on cache lives, prices and retirements. The same `seed` and the same sequence of requests
    think equally long. The last `keep` requests and bills are remembered. Raises OSError if the port is taken.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        delay: float = 0,
        lookup: Lookup = find_recorded_question,
        examples: Examples = list_recorded_questions,
        clock: Clock = read_clock,
        seed: int = 0,
        keep: int = 10_000,
    ) -> None:
        self._desk = Desk(lookup, examples, clock, seed, keep)
        self._server = ConnectionServer(port, self._desk, delay)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="claude-stand-in", daemon=True
        )

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Breaks open connections; returns within a second."""
        self._server.shutdown()
        self._server.break_connections(STOP_SECONDS)
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Received]:
        """Every request so far, refused ones included, oldest first."""
        return list(self._desk.requests)

    @property
    def billed(self) -> list[Bill]:
        """What was charged for every answer that started, oldest first."""
        return self._desk.bills.read()

    @property
    def workspace_geo(self) -> str:
        """Where requests are answered that do not ask for a place: the `inference_geo` of their usage."""
        return self._desk.workspace_geo

    @workspace_geo.setter
    def workspace_geo(self, geo: str) -> None:
        self._desk.workspace_geo = geo

    def play_counting(self, name: str, *, times: int = 1, **arguments: Any) -> None:
        """As `play` for the next requests to count tokens: an HTTP error, `timeout`, `slow` or `html`."""
        self._desk.counting_scenarios.add(make_scenario(name, **arguments), times)

    def play(self, name: str, *, times: int = 1, **arguments: Any) -> None:
        """The next `times` requests for a message get this scenario. Raises ValueError for unknown ones."""
        self._desk.scenarios.add(make_scenario(name, **arguments), times)
