"""The wish to stop: Ctrl-C, SIGTERM, or the terminal being closed."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Raised by a stop signal while the start is still in the middle of something."""


class StopSignals:
    """Within its block a stop signal raises StopRequested until `defer()`, and is only noted from then on."""

    def __init__(self) -> None:
        self._count = 0
        self._deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_waker = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in _STOPPING:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started under nohup
            self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_waker)
        os.close(self._wake)
        os.close(self._waker)

    def defer(self) -> None:
        """From here on the caller asks for it; used where an exception would leave things half done."""
        self._deferred = True

    def requested(self) -> bool:
        """Whether a stop signal came."""
        return self._count > 0

    def hurried(self) -> bool:
        """Whether another one came while the first was being obeyed."""
        return self._count > 1

    def wait(self, seconds: float) -> None:
        """Sleep, but wake up at any signal, the end of a child included."""
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 4096)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if not self._deferred:
            self._deferred = True  # once is enough: what follows is the tidying up
            raise StopRequested
