"""Whose rights PostgreSQL runs with: our own, or, since it refuses root, those of a service account."""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from text2sql.launch.error import StartError

NAME = "text2sql"
# Where a start by root keeps what the service account must reach; created by us, so its mode is ours to choose.
STATE = Path("/var/lib/text2sql")


@dataclass(frozen=True)
class Account:
    """A user and group id to give rights up to."""

    uid: int
    gid: int

    def rights(self) -> dict[str, Any]:
        """Keyword arguments that make `subprocess` run a program as this account, away from root's folders."""
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "cwd": "/", "umask": 0o077}


def service_account() -> Account | None:
    """The account for PostgreSQL when we are root (made once if it is not there); None when we are not."""
    if os.geteuid() != 0:
        return None
    entry = _entry(NAME) or _create() or _entry("nobody")
    if entry is None:
        raise StartError(
            f"PostgreSQL does not run as root: create a user for it with `useradd --system {NAME}`, "
            "or start as an ordinary user."
        )
    return Account(entry.pw_uid, entry.pw_gid)


def state_folder() -> Path:
    """STATE, made if missing: everyone may pass through it, nobody but root may list or change it."""
    try:
        STATE.mkdir(mode=0o711)
        STATE.chmod(0o711)  # whatever the umask was
    except FileExistsError:
        if STATE.is_symlink() or STATE.stat().st_uid != 0:
            raise StartError(f"{STATE} does not belong to root: move it away and start again.") from None
    except OSError as error:
        raise StartError(
            f"{STATE} cannot be created ({error.strerror}): start as an ordinary user or set DATABASE_URL."
        ) from None
    return STATE


def make_private_folder(path: Path, account: Account | None) -> None:
    """Make `path` for one account only (0700); a folder or link that somebody else put there is refused."""
    owner = account.uid if account else os.geteuid()
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise StartError(
                f"{path} exists and is not a private folder of {_name(owner)}: move it away and start again."
            ) from None
        return
    path.chmod(0o700)
    if account:
        os.chown(path, account.uid, account.gid)


def _create() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command = [useradd, *options, "--shell", "/usr/sbin/nologin", NAME]
    subprocess.run(command, check=False, capture_output=True, timeout=60)  # noqa: S603  # a fixed command
    return _entry(NAME)  # also when another start was quicker


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
