"""Log lines straight to CloudWatch Logs, for machines where nothing collects what is printed.

watchtower batches and sends on a thread of its own; here its buffer gets a bound, so that an outage of CloudWatch
costs lines and never memory, and the end of a process waits for seconds and not for minutes.
"""

import logging
import os
from threading import Lock

from watchtower import CloudWatchLogHandler

BUFFER_LINES = 10_000
SEND_SECONDS = 5


class CloudWatchHandler(CloudWatchLogHandler):
    """The log group must exist; each process makes its own stream in it, named by machine and process id."""

    FLUSH_TIMEOUT = 5  # seconds at the end of the process

    def __init__(self, *, group: str, region: str) -> None:
        self._dropped = 0
        self._dropped_lock = Lock()
        # The client that watchtower makes knows only the variable's older name.
        os.environ.setdefault("AWS_DEFAULT_REGION", region)
        super().__init__(
            log_group_name=group,
            log_stream_name="{machine_name}/{process_id}",
            send_interval=SEND_SECONDS,
            max_batch_count=1_000,
            create_log_group=False,  # it would ask AWS while the process starts
        )

    @property
    def waiting(self) -> int:
        """Lines that are not handed over to the sending thread yet."""
        return sum(queue.qsize() for queue in list(self.queues.values()))

    def emit(self, message: logging.LogRecord) -> None:
        # What the sending itself has to say would be sent again and again.
        if message.name.startswith(("botocore", "urllib3", "py.warnings")):
            return
        if self.waiting >= BUFFER_LINES:
            with self._dropped_lock:
                self._dropped += 1
            return
        with self._dropped_lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            super().emit(_dropped_line(dropped, message.created))  # type: ignore[no-untyped-call]  # watchtower's is not annotated
        super().emit(message)  # type: ignore[no-untyped-call]  # as above


def _dropped_line(count: int, created: float) -> logging.LogRecord:
    told = "%d lines were dropped while CloudWatch took none"
    line = logging.LogRecord(__name__, logging.WARNING, __file__, 0, told, (count,), None)
    line.created = created  # lines are sorted before they are sent
    return line
