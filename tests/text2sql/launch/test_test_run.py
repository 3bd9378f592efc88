"""`python -m tests.run`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.run import pytest_arguments

PROJECT = Path(__file__).resolve().parents[3]


def test_slow_tests_stay_out_and_all_cores_work_unless_asked_otherwise() -> None:
    assert pytest_arguments(["tests/teams"], 4) == ["-n", "4", "-m", "not slow", "tests/teams"]
    assert pytest_arguments(["-m", "slow"], 4) == ["-n", "4", "-m", "slow"]
    assert pytest_arguments(["-n0"], 4) == ["-m", "not slow", "-n0"]
    assert pytest_arguments(["--pdb"], 4) == ["-m", "not slow", "--pdb"]


@pytest.mark.slow
@pytest.mark.parametrize(("body", "code"), [("assert True", 0), ("assert False", 1)])
def test_the_exit_code_is_pytests(tmp_path: Path, body: str, code: int) -> None:
    (tmp_path / "test_one.py").write_text(f"def test_one():\n    {body}\n")
    result = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-m", "tests.run", "-n0", str(tmp_path)],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"},
        check=False,
        capture_output=True,
        timeout=100,
    )
    assert result.returncode == code, result.stdout


@pytest.mark.slow
def test_a_terminated_run_takes_its_database_and_its_tests_with_it(tmp_path: Path) -> None:
    note = tmp_path / "note"
    (tmp_path / "test_one.py").write_text(
        "import os, pathlib, time\n"
        "def test_one():\n"
        f"    note = pathlib.Path({str(note)!r})\n"
        "    note.write_text(f'{os.getpid()} ' + os.environ['DATABASE_URL'])\n"
        "    time.sleep(300)\n"
    )
    run = subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", "tests.run", "-n0", str(tmp_path)],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (note.exists() and note.read_text()):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pid, url = note.read_text().split(" ", 1)
        assert Path(url.split("host=")[1]).exists()
        run.terminate()
        assert run.wait(60) == 128 + signal.SIGTERM
    finally:
        run.kill()
        run.wait()
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(url.split("host=")[1]).exists()
