"""A real installation for tests: the project copied to a private folder, started by `./run.sh` with an empty HOME."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parents[2]
KEPT = ("PATH", "LANG", "TERM", "PIP_", "SSL_", "http_proxy", "https_proxy", "no_proxy")
"""What a fresh machine's environment may hold; everything else of ours stays outside."""


class Installation:
    """The project as a stranger has it; `settings` are given to `./run.sh` as environment."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.home, self.output = folder / "project", folder / "home", folder / "output"
        self.home.mkdir(parents=True)
        self.settings, self.port = settings, _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        for name in _project_files():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target)

    def start(self) -> str:
        """Run `./run.sh`; what it printed once everything is up."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                ["./run.sh", "--port", str(self.port)],
                cwd=self.folder,
                env=kept | {"HOME": str(self.home)} | self.settings,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(lambda: "Ctrl-C stops" in self.output.read_text() or self.process.poll() is not None, 400)  # type: ignore[union-attr]  # set above
        text = self.output.read_text()
        assert "Ctrl-C stops" in text, text
        return text

    def stop(self) -> int:
        """Send SIGTERM and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def logs(self) -> str:
        """The end of each process's log, for whoever reads a failed test."""
        files = sorted((self.folder / ".data" / "logs").glob("*.log"))
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
            wait_until(lambda: not self.processes(), 60)
        # As root the cluster lies outside the folder, behind a link.
        cluster = self.folder / ".data" / "postgres"
        if cluster.is_symlink():
            shutil.rmtree(cluster.resolve(), ignore_errors=True)
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def processes(self, word: str = "") -> list[int]:
        """The ids of the processes that belong to this installation and name `word` in their command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                told = (entry / "environ").read_bytes().decode(errors="replace") + command
            except OSError:
                continue
            if str(self.folder) in told and word in command and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return found

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def admin(self, username: str, password: str) -> httpx.Client:
        """A browser that is signed in to the admin."""
        browser = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", follow_redirects=True, timeout=60)
        browser.get("/admin/login/")
        post_form(browser, "/admin/login/", {"username": username, "password": password, "next": "/admin/"})
        return browser


def post_form(browser: httpx.Client, path: str, values: dict[str, str]) -> httpx.Response:
    token = browser.cookies.get("csrftoken") or ""
    headers = {"Referer": str(browser.base_url)}
    return browser.post(path, data=values | {"csrfmiddlewaretoken": token}, headers=headers)


def printed_logins(block: str) -> dict[str, tuple[str, str]]:
    """The logins in the start block: by role, name and password."""
    found = re.findall(r"^ +(admin|team lead): (\S+) / (\S+)$", block, re.MULTILINE)
    return {role: (username, password) for role, username, password in found}


def printed_keys(block: str) -> dict[str, str]:
    return dict(re.findall(r"^  (\w+) +(t2s_\w+)$", block, re.MULTILINE))


def printed_curl(block: str) -> str:
    found = re.search(r"^  curl .*?\n(?=\n)", block, re.MULTILINE | re.DOTALL)
    assert found is not None, block
    return found[0]


def wait_until(holds: Callable[[], Any], seconds: float) -> None:
    """Wait for a condition of the real world; it is an error when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def _project_files() -> list[str]:
    """What a clone would hold: everything that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],  # noqa: S607  # whichever git there is
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
