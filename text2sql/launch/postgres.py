"""The private PostgreSQL of a start without DATABASE_URL: one cluster, one unix socket, no TCP."""

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from text2sql.launch import account as accounts
from text2sql.launch.binaries import MAJOR, usable_binaries
from text2sql.launch.error import StartError
from text2sql.launch.lifeline import tied_to_parent
from text2sql.launch.lock import held_lock
from text2sql.launch.logs import LogFile

_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES = 107  # what a unix socket's address holds
_START_SECONDS = 180  # recovery after a power loss may take its time
# Whoever can open the socket owns the cluster and may be its superuser; every other role proves itself.
_HBA = "local all postgres trust\nlocal all all scram-sha-256\n"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u@%d ",
    "unix_socket_permissions": "0700",
}
_THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def embedded_url(data_dir: Path) -> str:
    """Where the cluster of `data_dir` is reached when it runs. Looks at names only: it may not exist yet."""
    return f"postgresql://postgres@/postgres?host={quote(str(socket_folder(data_dir)))}"


def socket_folder(data_dir: Path) -> Path:
    """The folder of the socket: inside the data where the address is short enough, else a short one of our own."""
    folder = Path(os.path.abspath(data_dir)) / "postgres" / "run"  # noqa: PTH100  # keeps links, unlike resolve()
    path = os.fsencode(folder / _SOCKET)
    if len(path) <= _SOCKET_PATH_BYTES and b"," not in path:  # libpq takes a comma for a list of hosts
        return folder
    digest = hashlib.sha256(path).hexdigest()[:16]
    if os.geteuid() == 0:
        return accounts.STATE / f"run-{digest}"
    return Path(f"/tmp/text2sql-{os.geteuid()}-{digest}")  # noqa: S108  # made 0700, and refused if it is not ours


class EmbeddedPostgres:
    """A cluster in `data_dir` that lives as long as this object's process.

    As root everything PostgreSQL touches is in a folder of its own below /var/lib/text2sql, to which
    `data_dir/postgres` is a link; no folder that was there before changes its mode or owner.
    `durable=False` is for clusters that are thrown away: no fsync.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir
        self.url = embedded_url(data_dir)
        self._settings = _SETTINGS if durable else _SETTINGS | _THROW_AWAY
        self._process: subprocess.Popen[bytes] | None = None
        self._held = contextlib.ExitStack()

    def start(self) -> None:
        """Make the cluster on the first start, clear up after a crash, run it. Raises StartError."""
        busy = f"PostgreSQL is already running for {self.data_dir}: stop the other start first."
        self._held.enter_context(held_lock(self.data_dir / "postgres.lock", busy))
        try:
            account = accounts.service_account()
            binaries = usable_binaries(account)
            home = self._home(account)
            log = LogFile(self.data_dir / "logs" / "postgres.log")
            cluster = home / "cluster"
            _stop_leftovers(cluster)
            if not cluster.exists():
                _initialise(cluster, binaries, account, log)
            _check_version(cluster)
            self._run(home, binaries, account, log)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Fast shutdown: clients are cut off, nothing committed is lost."""
        process, self._process = self._process, None
        if process is not None:
            for stop, seconds in ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 5)):
                process.send_signal(stop)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
        self._held.close()

    def remove(self) -> None:
        """Delete the stopped cluster and everything made for it outside `data_dir`."""
        link = self.data_dir / "postgres"
        shutil.rmtree(socket_folder(self.data_dir), ignore_errors=True)
        shutil.rmtree(link.resolve(), ignore_errors=True)
        if link.is_symlink():
            link.unlink()

    def _home(self, account: accounts.Account | None) -> Path:
        """The folder of cluster, socket and access rules."""
        link = self.data_dir / "postgres"
        if account is None:
            if link.is_symlink():
                raise StartError(f"{link} was made by root: start as root, or give DATA_DIR another folder.")
            accounts.make_private_folder(link, None)
            return link
        if link.is_symlink():
            home = link.resolve()
            if not home.is_dir():
                raise StartError(f"The database {home} is gone: restore it, or delete {self.data_dir} to start anew.")
            return home
        if link.exists():
            raise StartError(f"{link} was made by an ordinary user: start as that user, without sudo.")
        home = accounts.state_folder() / secrets.token_hex(8)
        home.mkdir(mode=0o750)
        os.chown(home, 0, account.gid)  # the account passes through; what it owns lies inside
        link.symlink_to(home)
        return home

    def _run(self, home: Path, binaries: Path, account: accounts.Account | None, log: LogFile) -> None:
        sockets = socket_folder(self.data_dir).resolve()
        accounts.make_private_folder(sockets, account)
        (sockets / f"{_SOCKET}.lock").unlink(missing_ok=True)
        settings = self._settings | {
            "hba_file": str(_write_access_rules(home, account)),
            "unix_socket_directories": '"' + str(sockets).replace('"', '""') + '"',
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with log.open() as output:
            self._process = subprocess.Popen(  # noqa: S603  # the wheel's own program
                [str(binaries / "postgres"), "-D", str(home / "cluster"), *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is ours to pass on, when the others have ended
                preexec_fn=tied_to_parent(signal.SIGINT),  # noqa: PLW1509  # two system calls, no locks
                **_rights(account),
            )
        self._await_readiness(log)

    def _await_readiness(self, log: LogFile) -> None:
        assert self._process is not None  # noqa: S101  # set by the only caller
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartError(f"PostgreSQL ended while starting; the end of {log.path} says why:\n{log.tail(8)}")
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            time.sleep(0.05)
        raise StartError(f"PostgreSQL is not ready after {_START_SECONDS} s: see {log.path}.")


@contextlib.contextmanager
def temporary_postgres() -> Iterator[str]:
    """The URL of a cluster made for this block and removed after it."""
    with tempfile.TemporaryDirectory(prefix="text2sql-pg-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder), durable=False)
        try:
            server.start()
            yield server.url
        finally:
            server.stop()
            server.remove()


def _initialise(cluster: Path, binaries: Path, account: accounts.Account | None, log: LogFile) -> None:
    # Beside its place and then renamed: an interrupted initdb leaves nothing that looks like a cluster.
    unfinished = cluster.with_name("cluster.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    accounts.make_private_folder(unfinished, account)
    # The built-in provider sorts and folds the same on every system, whatever locales it has.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = [
        "--username=postgres",
        "--auth=reject",
        "--no-instructions",
    ]  # the rules that count are written at every start
    with log.open() as output:
        result = subprocess.run(  # noqa: S603  # the wheel's own program
            [str(binaries / "initdb"), "-D", str(unfinished), *locale, *access],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            timeout=_START_SECONDS,
            **_rights(account),
        )
    if result.returncode:
        raise StartError(f"PostgreSQL cannot make its data folder; {log.path} says why:\n{log.tail(8)}")
    unfinished.rename(cluster)


def _check_version(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise StartError(
            f"The data in {cluster} was written by PostgreSQL {found} and this release brings {MAJOR}: "
            "start it once more with the release that wrote it, dump it, and load the dump into the new one."
        )


def _write_access_rules(home: Path, account: accounts.Account | None) -> Path:
    # Lies where only we can write: root must not write into a folder of the service account.
    path = home / "pg_hba.conf"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(_HBA)
    if account:
        os.chown(path, 0, account.gid)
        path.chmod(0o640)
    return path


def _stop_leftovers(cluster: Path) -> None:
    """End what a killed start left behind; the lock is ours, so nobody else is using this cluster."""
    for stop, seconds in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        for pid in _cluster_processes(cluster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, stop)
        deadline = time.monotonic() + seconds
        while _cluster_processes(cluster) and time.monotonic() < deadline:
            time.sleep(0.05)
    # After a reboot its number may belong to any program of ours, which PostgreSQL would take for itself.
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _cluster_processes(cluster: Path) -> list[int]:
    place = str(cluster.resolve())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to somebody else
            program = (entry / "exe").readlink().name
            if program.startswith("postgres") and str((entry / "cwd").readlink()) == place:
                found.append(int(entry.name))
    return found


def _rights(account: accounts.Account | None) -> dict[str, Any]:
    return account.rights() if account else {"umask": 0o077}


def _environment() -> dict[str, str]:
    # Not ours: no secrets, and no PG* variables, which would change what the programs do.
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
