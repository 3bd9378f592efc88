"""Random faults, the same ones in the same order for the same seed as long as requests come one after the other."""

import random
import threading

from tests.standins.langfuse.answers import Answer
from tests.standins.langfuse.faults import GARBAGE, Fault, failure

DOWN = (
    None,  # the connection is closed without a word
    failure(500, None),
    failure(502, None),
    failure(503, None),
    failure(429, 7),
    failure(401, None),
    failure(422, None),
    *(Answer(200, body, {"Content-Type": kind}) for kind, body in GARBAGE.values()),
)


class Chaos:
    """`down`, `lose_answer`, `twice` and `lose_batch` are shares of all requests, 1 together at most.

    down: nothing is carried out, the answer is any of DOWN. lose_answer: carried out, then the connection is closed.
    twice: what is sent is stored twice. lose_batch: answered as usual, nothing stored.
    lag: each batch is visible after 0 to `lag` seconds.
    """

    def __init__(
        self,
        seed: int,
        *,
        down: float = 0.3,
        lose_answer: float = 0.0,
        twice: float = 0.0,
        lose_batch: float = 0.0,
        lag: float = 0.0,
    ) -> None:
        if down + lose_answer + twice + lose_batch > 1:
            raise ValueError("more faults than requests")
        self.counts: dict[str, int] = {}
        self._shares = {"down": down, "cut": lose_answer, "twice": twice, "lose": lose_batch}
        self._lag = lag
        self._fates, self._lags = random.Random(f"{seed} fates"), random.Random(f"{seed} lags")
        self._lock = threading.Lock()

    def fault(self) -> Fault | None:
        """What the next request meets."""
        with self._lock:
            fate, which = self._fates.random(), self._fates.choice(DOWN)
            kind = self._kind(fate)
            self.counts[kind] = self.counts.get(kind, 0) + 1
        match kind:
            case "down":
                return Fault("fail" if which else "hang_up", "/", 1, answer=which)
            case "cut" | "twice" | "lose":
                return Fault(kind, "/", 1)
        return None

    def lag(self) -> float:
        with self._lock:
            return self._lags.random() * self._lag

    def _kind(self, fate: float) -> str:
        for kind, share in self._shares.items():
            if fate < share:
                return kind
            fate -= share
        return "none"
