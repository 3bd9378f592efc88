import threading
import time
from collections.abc import Callable


class Breaker:
    """Stops asking a service that failed `failures` times in a row; each `pause` seconds one caller tries it.

    Every `allows()` that answers True is followed by `record_success()` or `record_failure()`.
    """

    def __init__(self, *, failures: int = 3, pause: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._closed_until = 0.0

    def allows(self) -> bool:
        with self._lock:
            if self._failed_in_a_row < self._failures:
                return True
            now = self._clock()
            if now < self._closed_until:
                return False
            # This caller tries; the others wait another pause, also when the trial never reports back.
            self._closed_until = now + self._pause
            return True

    def record_success(self) -> None:
        with self._lock:
            self._failed_in_a_row = 0

    def record_failure(self) -> None:
        with self._lock:
            self._failed_in_a_row += 1
            self._closed_until = self._clock() + self._pause
