"""`python -m tests.run [pytest arguments]`: the suite on a throw-away PostgreSQL, or on TEST_DATABASE_URL."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from text2sql.launch.error import StartError
from text2sql.launch.lifeline import tied_to_parent
from text2sql.launch.postgres import temporary_postgres

PROJECT = Path(__file__).resolve().parent.parent
_STOP_SECONDS = 20


class Stopped(BaseException):
    """A stop signal came."""

    def __init__(self, number: int) -> None:
        """Keep which signal it was."""
        super().__init__(number)
        self.signal = number


def pytest_arguments(given: Sequence[str], cores: int) -> list[str]:
    """The caller's arguments, and what they leave open: no slow tests, one process per core."""
    arguments = list(given)
    if not any(word.startswith("-m") for word in arguments):
        arguments = ["-m", "not slow", *arguments]
    if not any(word.startswith(("-n", "--numprocesses")) or word in ("--pdb", "no:xdist") for word in arguments):
        arguments = ["-n", str(max(cores, 2)), *arguments]
    return arguments


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The URL of the PostgreSQL to test on."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
    else:
        with temporary_postgres() as url:
            yield url


def run_pytest(arguments: list[str], url: str) -> int:
    """Run pytest to its end, which a signal to us brings about early; its exit code."""
    process = subprocess.Popen(  # noqa: S603  # our own tests
        [sys.executable, "-m", "pytest", *arguments],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": url},
        preexec_fn=tied_to_parent(signal.SIGTERM),  # noqa: PLW1509  # two system calls, no locks
    )
    try:
        return process.wait()
    except Stopped as stopped:
        if stopped.signal != signal.SIGINT:  # which the terminal has given to pytest as well
            process.send_signal(signal.SIGINT)  # it then ends its workers and fixtures in order
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()
        raise


def main(given: Sequence[str]) -> int:
    """Run the suite; the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with database() as url:
            return run_pytest(pytest_arguments(given, os.cpu_count() or 1), url)
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Stopped as stopped:
        return 128 + stopped.signal


def _stop(number: int, _frame: FrameType | None) -> None:
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)  # once is enough: what follows is the tidying up
    raise Stopped(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
