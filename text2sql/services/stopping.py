"""Whether this web process has been told to stop, so that what would outlast it can say goodbye."""

import signal
import socket
from threading import Event, Thread, current_thread, main_thread

stop_told = Event()
"""Set once SIGTERM or SIGINT has come."""


def stop_watch() -> None:
    """Watch for the signals that stop this process. Does nothing beside its main thread, where signals are not told.

    The server installs its own handlers after us. Python's wake-up descriptor is told of each signal besides them.
    """
    if current_thread() is not main_thread():
        return
    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    signal.set_wakeup_fd(pythons.detach(), warn_on_full_buffer=False)
    Thread(target=_watch, args=[ours], name="stop-watch", daemon=True).start()


def _watch(told: socket.socket) -> None:
    while number := told.recv(1):
        if number[0] in (signal.SIGTERM, signal.SIGINT):
            stop_told.set()
            return
