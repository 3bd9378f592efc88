"""The stand-in as tests use it."""

import socket
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self

from tests.standins.langfuse.answers import Answer
from tests.standins.langfuse.api import Api, Project
from tests.standins.langfuse.chaos import Chaos
from tests.standins.langfuse.faults import GARBAGE, Fault, Faults, failure
from tests.standins.langfuse.records import Observation, Score, Trace
from tests.standins.langfuse.server import Listener, Request
from tests.standins.langfuse.store import Store


class LangfuseStandIn:
    """A Langfuse server on 127.0.0.1, used as a context manager.

    version: "4.16", "4.59" or "cloud"; they differ in how scores are posted and in how metadata is stored.
    visible_after, scores_visible_after: seconds until reads over HTTP show what was accepted (about 1 and 5.5
    on a real server); the python-side reads below never lag. Both may be changed while it runs, on `store`.
    merge_at_parts: merge by itself when that many accepted batches lie in a month; None: only by `merge()`.
    quote_64_bit: metrics print 64-bit integers as texts.
    write_mode: in "dual" dataset runs are stored and read; in "events_only", the server's default, experiments
    have taken their place.
    """

    def __init__(
        self,
        *,
        version: Literal["4.16", "4.59", "cloud"] = "4.59",
        public_key: str = "pk-lf-standin",
        secret_key: str = "sk-lf-standin",
        project: Project | None = None,
        visible_after: float = 0.0,
        scores_visible_after: float = 0.0,
        merge_at_parts: int | None = None,
        quote_64_bit: bool = False,
        write_mode: Literal["events_only", "dual"] = "events_only",
    ) -> None:
        self.public_key = public_key
        self.secret_key = secret_key
        self.project = project or Project()
        self.requests: list[Request] = []
        self.store = Store(visible_after, scores_visible_after, merge_at_parts)
        self._api = Api(self.store, self.project, public_key, secret_key, version)
        self._api.quote_64_bit = quote_64_bit
        self._api.write_mode = write_mode
        self._faults = Faults()
        self._guard: socket.socket | None = None
        self._listener: Listener | None = None

    def __enter__(self) -> Self:
        # Bound but never listening: it keeps the port ours while connections are refused.
        self._guard = socket.socket()
        self._guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._guard.bind(("127.0.0.1", 0))
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        if self._guard:
            self._guard.close()

    @property
    def base_url(self) -> str:
        if self._guard is None:
            raise RuntimeError("the stand-in has not been started")
        return f"http://127.0.0.1:{self._guard.getsockname()[1]}"

    def observations(self) -> list[Observation]:
        """All stored rows in order of arrival, with what was stored twice."""
        return self.store.rows()

    def traces(self) -> dict[str, Trace]:
        """By trace id, as they stand after a merge."""
        return self.store.traces()

    def scores(self) -> list[Score]:
        return self.store.scores()

    def cost_by_user(self, start: datetime, end: datetime) -> dict[str | None, Decimal]:
        """USD per user id (None: no user) of the rows that start in the window, both ends included.

        Rows stored twice count twice, as they do in metrics until they are merged.
        """
        costs: dict[str | None, Decimal] = {}
        for row in self.observations():
            if start <= row.start <= end:
                user = row.user_id or None
                costs[user] = costs.get(user, Decimal(0)) + row.total_cost
        return costs

    def put_prompt(self, name: str, text: str | list[dict[str, str]], labels: Sequence[str] = ()) -> int:
        """Add a version of a prompt (a list makes it a chat), take its labels from the others; its number."""
        return self._api.prompts.put(name, text, labels)

    def label_prompt(self, name: str, label: str, version: int) -> None:
        """Move a label to this version."""
        self._api.prompts.label(name, label, version)

    def merge(self) -> None:
        """What ClickHouse does some day: of rows with the same key only the last sent is left."""
        self.store.merge()

    def fail(
        self,
        *,
        next: int | None = 1,  # noqa: A002  fail(next=3) reads as it is meant
        status: int = 500,
        path: str = "/",
        retry_after: float | None = None,
    ) -> None:
        """Answer the next requests under `path` with `status`; nothing is stored. None: until `clear()`."""
        self._faults.add(Fault("fail", path, next, answer=failure(status, retry_after)))

    def stall(
        self,
        seconds: float | None = None,
        *,
        next: int | None = None,  # noqa: A002  as in fail()
        path: str = "/",
    ) -> None:
        """Take requests and do nothing with them for `seconds`, or until `release()`; then go on as usual.

        A request whose client has left meanwhile is still carried out, as a server that is only slow does;
        one that is held when the stand-in stops or refuses is not.
        """
        self._faults.add(Fault("stall", path, next, seconds=seconds))

    def slow(
        self,
        seconds: float,
        *,
        next: int | None = None,  # noqa: A002  as in fail()
        path: str = "/",
    ) -> None:
        """Carry requests out at once, answer `seconds` later."""
        self._faults.add(Fault("slow", path, next, seconds=seconds))

    def cut_answer(
        self,
        *,
        next: int | None = 1,  # noqa: A002  as in fail()
        path: str = "/",
    ) -> None:
        """Carry requests out, then close the connection instead of answering."""
        self._faults.add(Fault("cut", path, next))

    def garbage(
        self,
        kind: Literal["html", "broken", "shape", "type", "binary"] = "html",
        *,
        next: int | None = 1,  # noqa: A002  as in fail()
        path: str = "/",
    ) -> None:
        """Answer 200 with something that no Langfuse says; nothing is stored."""
        content_type, body = GARBAGE[kind]
        self._faults.add(Fault("fail", path, next, answer=Answer(200, body, {"Content-Type": content_type})))

    def lose_batch(
        self,
        *,
        next: int | None = 1,  # noqa: A002  as in fail()
        path: str = "/",
    ) -> None:
        """Answer as usual and store nothing: the batch is lost behind the queue."""
        self._faults.add(Fault("lose", path, next))

    def store_twice(
        self,
        *,
        next: int | None = 1,  # noqa: A002  as in fail()
        path: str = "/",
    ) -> None:
        """Store what is sent two times: the server's own doubling."""
        self._faults.add(Fault("twice", path, next))

    def chaos(
        self,
        seed: int,
        *,
        down: float = 0.3,
        lose_answer: float = 0.0,
        twice: float = 0.0,
        lose_batch: float = 0.0,
        lag: float = 0.0,
    ) -> Chaos:
        """Let chance choose each request's fault until `clear()`, see Chaos; `counts` of it tells what was chosen."""
        chaos = Chaos(seed, down=down, lose_answer=lose_answer, twice=twice, lose_batch=lose_batch, lag=lag)
        self._faults.fate, self.store.lag = chaos.fault, chaos.lag
        return chaos

    def release(self) -> None:
        """End all stalls and slow answers, also for the requests they hold."""
        self._faults.clear(lambda fault: fault.kind in ("stall", "slow"))

    def clear(self) -> None:
        """End all faults and chaos. What lags keeps its lag."""
        self._faults.clear()
        self._faults.fate, self.store.lag = lambda: None, lambda: 0.0

    def refuse(self) -> None:
        """Close the port and all connections: the server is down."""
        if self._listener:
            self._listener.close()
            self._listener = None

    def accept(self) -> None:
        """Open the same port again."""
        if self._guard and self._listener is None:
            self._listener = Listener(self._guard.getsockname(), self._api, self._faults, self.requests)
