"""The keys of a first start that was given none."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet

FILE = "secrets.env"


def write_first_secrets(data_dir: Path, environment: Mapping[str, str]) -> bool:
    """Write `secrets.env` (0600) with the keys that `environment` lacks; whether it was written.

    Only where no data is: a key that was lost beside existing data must be found again, not replaced.
    """
    path = data_dir / FILE
    if path.exists() or os.path.lexists(data_dir / "postgres"):
        return False
    fresh = {"SECRET_KEY": secrets.token_urlsafe(48), "ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    missing = {name: value for name, value in fresh.items() if not environment.get(name)}
    if not missing:
        return False
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text("".join(f"{name}={value}\n" for name, value in missing.items()))
    unfinished.replace(path)
    return True
