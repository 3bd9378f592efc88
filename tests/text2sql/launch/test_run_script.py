"""`./run.sh` on a machine with nothing but Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).resolve().parents[3] / "run.sh"
TOOLS = ("bash", "cat", "cmp", "dirname", "mkdir", "rm", "tail")  # all that the script may count on
ECHO = "import sys; print('started', sys.argv[1:])\n"


class Clone:
    """A folder with the script, a project that only says what it was called with, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "my clone"
        self.tools = folder / "tools"
        (self.folder / "tests").mkdir(parents=True)
        self.tools.mkdir()
        for tool in TOOLS:
            (self.tools / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is missing"))
        (self.tools / "python3").symlink_to(Path(sys.executable).resolve())
        shutil.copy(SCRIPT, self.folder)
        (self.folder / "requirements.txt").write_text("# nothing\n")
        (self.folder / "tests" / "requirements.txt").write_text("# nothing either\n")
        (self.folder / "manage.py").write_text(ECHO)
        (self.folder / "tests" / "run.py").write_text(ECHO)

    def give_python(self, script: str) -> None:
        """Put a shell script in the place of `python3`."""
        python = self.tools / "python3"
        python.unlink(missing_ok=True)
        python.write_text(f"#!/bin/bash\n{script}\n")
        python.chmod(0o755)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        result = subprocess.run(  # noqa: S603  # our own script
            [str(self.folder / "run.sh"), *arguments],
            cwd="/",
            env={"PATH": str(self.tools), "HOME": str(self.folder.parent), "PIP_NO_INDEX": "1"},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return result.returncode, result.stdout, result.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_it_installs_once_and_passes_its_options_on(clone: Clone) -> None:
    code, output, said = clone.run("--port", "9", "--no-demo")
    assert (code, output) == (0, "started ['start', '--port', '9', '--no-demo']\n")
    assert "Making .venv" in said
    assert "Installing" in said
    assert clone.run() == (0, "started ['start']\n", "")


def test_tests_get_their_own_packages_on_top(clone: Clone) -> None:
    clone.run()
    code, output, said = clone.run("test", "-k", "a b")
    assert (code, output) == (0, "started ['-k', 'a b']\n")
    assert "tests/requirements.txt" in said
    assert "Making .venv" not in said
    assert clone.run("test") == (0, "started []\n", "")
    assert clone.run() == (0, "started ['start']\n", "")


def test_changed_requirements_are_installed_into_what_is_there(clone: Clone) -> None:
    clone.run()
    (clone.folder / "requirements.txt").write_text("# something else\n")
    _, _, said = clone.run()
    assert "Installing" in said
    assert "Making .venv" not in said


def test_an_interrupted_installation_is_done_again_from_the_beginning(clone: Clone) -> None:
    clone.run()
    (clone.folder / ".venv" / ".installing").touch()
    (clone.folder / ".venv" / "bin" / "pip").unlink()
    code, _, said = clone.run()
    assert code == 0
    assert "Making .venv" in said
    assert (clone.folder / ".venv" / "bin" / "pip").exists()
    assert clone.run()[2] == ""


def test_an_environment_made_by_hand_is_kept(clone: Clone) -> None:
    by_hand = [sys.executable, "-m", "venv", str(clone.folder / ".venv")]
    subprocess.run(by_hand, check=True, timeout=120)  # noqa: S603  # Python itself
    (clone.folder / ".venv" / "mine").touch()
    code, _, said = clone.run()
    assert code == 0
    assert "Making .venv" not in said
    assert (clone.folder / ".venv" / "mine").exists()


def test_a_package_that_cannot_be_had_is_told_and_tried_again_next_time(clone: Clone) -> None:
    (clone.folder / "requirements.txt").write_text("no-such-package==0\n")
    code, output, said = clone.run()
    assert code == 1
    assert output == ""
    assert "no-such-package" in said
    assert "check the network" in said.splitlines()[-1]
    (clone.folder / "requirements.txt").write_text("# nothing\n")
    assert clone.run()[0] == 0


def test_an_old_python_is_one_sentence(clone: Clone) -> None:
    clone.give_python('[ "$1" = --version ] && echo "Python 3.9.2"; [ "$1" = --version ]')
    code, _, said = clone.run()
    assert code == 1
    assert said.count("\n") == 1
    assert "'python3' is Python 3.9.2" in said
    assert not (clone.folder / ".venv").exists()


def test_no_python_is_one_sentence(clone: Clone) -> None:
    (clone.tools / "python3").unlink()
    code, _, said = clone.run()
    assert code == 1
    assert said.count("\n") == 1
    assert "apt install python3 python3-venv" in said


def test_a_python_without_venv_says_which_package_to_install(clone: Clone) -> None:
    real = Path(sys.executable).resolve()
    clone.give_python(f'case "$*" in *ensurepip*) exit 1 ;; esac; exec {real} "$@"')
    code, _, said = clone.run()
    assert code == 1
    assert said == "Python's venv module is missing: run 'apt install python3-venv' as root, then this again.\n"
    assert not (clone.folder / ".venv").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(clone: Clone) -> None:
    if os.geteuid() == 0:
        (clone.folder / ".venv").write_text("")  # root may write everywhere, so something is in the way
    else:
        clone.folder.chmod(0o500)
    code, _, said = clone.run()
    assert code == 1
    assert (
        said == f"The folder {clone.folder} cannot be written: change its owner, or copy it to a folder of your own.\n"
    )
