"""A small supervisor: starts the children, restarts the fallen, and leaves none behind."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from text2sql.launch.error import StartError
from text2sql.launch.lifeline import tied_to_parent
from text2sql.launch.logs import LogFile, is_alarm

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_HEALTHY_SECONDS = 10.0  # a child that lived this long has started properly
_EARLY_DEATHS = 3
_ALARMS_A_MINUTE = 20


@dataclass
class Child:
    """What to run, under which name, and how long it may take to stop after SIGTERM.

    `death_signal` is what it gets when the supervisor is killed: SIGKILL unless it has children of its own to end.
    """

    name: str
    command: list[str]
    stop_seconds: float
    death_signal: signal.Signals = signal.SIGKILL


@dataclass
class _Run:
    child: Child
    log: LogFile
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restart_at: float = 0.0
    pause: float = _FIRST_PAUSE
    early_deaths: int = 0
    proven: bool = False  # it came up once, so whatever fails now may pass
    alarms: list[float] = field(default_factory=list)


class Supervisor:
    """Children, stopped in the reverse order of their start; each gets `environment` as it is when it is started."""

    def __init__(
        self,
        log_folder: Path,
        say: Callable[[str], None],
        *,
        cwd: Path,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.environment: dict[str, str] = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._log_folder = log_folder
        self._say = say
        self._cwd = cwd
        self._wait = wait
        self._runs: list[_Run] = []

    def start(self, child: Child) -> None:
        """Start a child and look after it from now on."""
        run = _Run(child, LogFile(self._log_folder / f"{child.name}.log"))
        self._runs.append(run)
        self._spawn(run)

    def tail(self, name: str, lines: int) -> str:
        """The last lines of a child's log."""
        return next(run.log.tail(lines) for run in self._runs if run.child.name == name)

    def attend(self, seconds: float) -> None:
        """One round: wait (a signal ends the wait), pass on warnings, restart who died.

        Raises StartError when a child never came up and died several times in a row.
        """
        self._wait(seconds)
        for run in self._runs:
            self._report(run)
            run.log.rotate()
            if run.process is None:
                if time.monotonic() >= run.restart_at:
                    self._spawn(run)
            elif _has_ended(run.process):
                self._bury(run)

    def stop(self, hurried: Callable[[], bool] = lambda: False) -> None:
        """Stop all children, the last started first; once `hurried()` says so, the rest is killed at once."""
        for run in reversed(self._runs):
            if run.process is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                run.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + run.child.stop_seconds
            while not (ended := _has_ended(run.process)) and time.monotonic() < deadline and not hurried():
                self._wait(0.1)
            if not ended:
                self._say(f"{run.child.name} did not stop and is killed")
            _end_group(run.process)
            run.process = None
        self._runs.clear()

    def _spawn(self, run: _Run) -> None:
        with run.log.open() as output:
            run.process = subprocess.Popen(  # noqa: S603  # our own commands
                run.child.command,
                cwd=self._cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # its own process group, so that nothing of it can be left behind
                preexec_fn=tied_to_parent(run.child.death_signal),  # noqa: PLW1509  # two system calls, no locks
            )
        run.started = time.monotonic()

    def _bury(self, run: _Run) -> None:
        assert run.process is not None  # noqa: S101  # set by the only caller
        code = _end_group(run.process)
        run.process = None
        lived = time.monotonic() - run.started
        if lived >= _HEALTHY_SECONDS:
            run.proven, run.pause = True, _FIRST_PAUSE
        elif not run.proven:
            run.early_deaths += 1
            if run.early_deaths == _EARLY_DEATHS:
                raise StartError(
                    f"{run.child.name} ends as soon as it is started ({_cause(code)}); "
                    f"the end of {run.log.path} says why:\n{run.log.tail(12)}"
                )
        self._say(f"{run.child.name} ended ({_cause(code)}); it is started again in {run.pause:.0f} s")
        run.restart_at = time.monotonic() + run.pause
        run.pause = min(run.pause * 2, _LONGEST_PAUSE)

    def _report(self, run: _Run) -> None:
        now = time.monotonic()
        for line in filter(is_alarm, run.log.fresh_lines()):
            run.alarms = [at for at in run.alarms if now - at < 60]
            if len(run.alarms) < _ALARMS_A_MINUTE:
                run.alarms.append(now)
                self._say(f"{run.child.name} | {line}")
                if len(run.alarms) == _ALARMS_A_MINUTE:
                    self._say(f"{run.child.name} | more of this is in {run.log.path}")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Without reaping: as long as the leader is a zombie, the number of its group belongs to nobody else.
    with contextlib.suppress(ChildProcessError):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return True


def _end_group(process: subprocess.Popen[bytes]) -> int:
    """Kill whatever is left of the child's process group and return the child's exit code."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
