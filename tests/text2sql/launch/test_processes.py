"""The supervisor with real children."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from text2sql.launch.error import StartError
from text2sql.launch.processes import Child, Supervisor

pytestmark = pytest.mark.slow

SLEEPER = "import time; time.sleep(300)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
)
PARENT = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '300']).pid, flush=True); time.sleep(300)"
PROJECT = Path(__file__).resolve().parents[3]


def child(name: str, code: str, stop_seconds: float = 5) -> Child:
    return Child(name, [sys.executable, "-c", code], stop_seconds)


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Stage:
    """A supervisor, what it said, and its children's process numbers."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.logs = folder / "logs"
        self.supervisor = Supervisor(self.logs, self.said.append, cwd=folder)

    def attend_until(self, condition: Callable[[], bool], seconds: float = 20) -> bool:
        """Let the supervisor work until `condition` holds; whether it does in time."""

        def attended() -> bool:
            self.supervisor.attend(0.05)
            return condition()

        return eventually(attended, seconds)

    def pid(self, name: str) -> int:
        process = next(run.process for run in self.supervisor._runs if run.child.name == name)
        assert process is not None
        return process.pid

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.supervisor.stop(lambda: True)


def test_a_child_that_dies_is_started_again_and_said_so(stage: Stage) -> None:
    stage.supervisor.start(child("web", SLEEPER))
    first = stage.pid("web")
    os.kill(first, signal.SIGKILL)
    assert stage.attend_until(lambda: bool(stage.said))
    assert stage.said == ["web ended (signal SIGKILL); it is started again in 1 s"]
    assert stage.attend_until(lambda: stage.supervisor._runs[0].process is not None)
    assert stage.pid("web") != first
    assert is_running(stage.pid("web"))


def test_what_a_dead_child_left_behind_is_ended_before_the_restart(stage: Stage) -> None:
    stage.supervisor.start(child("web", PARENT))
    assert eventually(lambda: stage.log("web").endswith("\n"))
    grandchild = int(stage.log("web"))
    os.kill(stage.pid("web"), signal.SIGKILL)
    assert stage.attend_until(lambda: not is_running(grandchild))


def test_a_child_that_never_comes_up_ends_the_start_with_its_last_words(stage: Stage) -> None:
    stage.supervisor.start(child("worker", "raise SystemExit('no such module')"))
    with pytest.raises(StartError, match=r"(?s)worker ends as soon as .*exit code 1.*no such module"):
        stage.attend_until(lambda: False, seconds=30)


def test_warnings_of_a_child_reach_the_terminal_and_the_rest_does_not(stage: Stage) -> None:
    code = f"print('INFO fine'); print('WARNING beware', flush=True); {SLEEPER}"
    stage.supervisor.start(child("web", code))
    assert stage.attend_until(lambda: bool(stage.said))
    assert stage.said == ["web | WARNING beware"]
    assert "INFO fine" in stage.log("web")


def test_a_flood_of_warnings_is_cut_off(stage: Stage) -> None:
    stage.supervisor.start(
        child("web", f"[print('ERROR', n) for n in range(500)]; print('done', flush=True); {SLEEPER}")
    )
    assert eventually(lambda: "done" in stage.log("web"))
    stage.supervisor.attend(0)
    assert len(stage.said) == 21
    assert "web.log" in stage.said[-1]


def test_stopping_ends_the_last_started_first_and_leaves_nothing(stage: Stage) -> None:
    farewell = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit()); print('up', flush=True); "
    for name in ("worker", "web"):
        stage.supervisor.start(child(name, f"{farewell}\ntry: time.sleep(300)\nfinally: print(time.monotonic_ns())"))
    pids = [stage.pid("worker"), stage.pid("web")]
    assert eventually(lambda: all("up" in stage.log(name) for name in ("worker", "web")))
    stage.supervisor.stop()
    ended = {name: int(stage.log(name).split()[-1]) for name in ("worker", "web")}
    assert ended["web"] < ended["worker"]
    assert not any(map(is_running, pids))


def test_a_deaf_child_is_killed_with_its_whole_group_after_its_time(stage: Stage) -> None:
    deaf_parent = STUBBORN.replace("print(", "import subprocess; print(subprocess.Popen(['sleep', '300']).pid, ")
    stage.supervisor.start(child("web", deaf_parent, stop_seconds=0.5))
    assert eventually(lambda: "deaf" in stage.log("web"))
    pids = [stage.pid("web"), int(stage.log("web").split()[0])]
    stage.supervisor.stop()
    assert eventually(lambda: not any(map(is_running, pids)))
    assert stage.said == ["web did not stop and is killed"]


def test_a_second_wish_to_stop_does_not_wait(stage: Stage) -> None:
    stage.supervisor.start(child("web", STUBBORN, stop_seconds=300))
    assert eventually(lambda: "deaf" in stage.log("web"))
    pid = stage.pid("web")
    stage.supervisor.stop(hurried=lambda: True)
    assert not is_running(pid)


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from text2sql.launch.processes import Child, Supervisor
from tests.text2sql.launch.test_processes import STUBBORN, child
supervisor = Supervisor(Path({str(tmp_path)!r}), print, cwd=Path.cwd())
for name in ("web", "worker"):
    supervisor.start(child(name, STUBBORN))
print(*[run.process.pid for run in supervisor._runs], flush=True)
time.sleep(300)
"""
    command = [sys.executable, "-c", script]
    supervisor = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)  # noqa: S603  # our own script
    try:
        assert supervisor.stdout is not None
        pids = [int(word) for word in supervisor.stdout.readline().split()]
        assert len(pids) == 2
        assert eventually(lambda: all("deaf" in (tmp_path / f"{name}.log").read_text() for name in ("web", "worker")))
    finally:
        supervisor.kill()
        supervisor.communicate()
    assert eventually(lambda: not any(map(is_running, pids)))
