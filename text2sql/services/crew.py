"""A bounded number of threads that work on questions beside those that answer requests."""

import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

logger = logging.getLogger(__name__)


class Crew:
    """Nothing ever waits in line: `start` says at once whether a thread is free."""

    def __init__(self, size: int, *, name: str) -> None:
        self._free = BoundedSemaphore(size)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)

    def start(self, work: Callable[[], None]) -> bool:
        """Have a thread do it, in the caller's log context; False where all are busy.

        `work` closes the database connection that it opens.
        """
        if not self._free.acquire(blocking=False):
            return False
        try:
            self._threads.submit(contextvars.copy_context().run, self._work, work)
        except BaseException:
            self._free.release()
            raise
        return True

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            logger.exception("A thread of questions failed")
        finally:
            self._free.release()
