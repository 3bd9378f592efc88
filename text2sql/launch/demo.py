"""How to get into the demo: what the seeder shows once, kept so that the next start can show it again."""

import hashlib
import json
from pathlib import Path
from typing import TypedDict


class Login(TypedDict):
    """A user of the admin site."""

    username: str
    password: str


class DemoAccess(TypedDict, total=False):
    """What `manage.py seed_demo --json` prints; keys are there only when it created them."""

    admin: Login
    lead: Login
    keys: dict[str, str]
    question: str
    database: str


class DemoFile:
    """`demo.json` in the data folder (0600), valid for one database."""

    def __init__(self, data_dir: Path, database_url: str) -> None:
        """`database_url` empty means the embedded database, wherever its folder is."""
        self._path = data_dir / "demo.json"
        self._place = hashlib.sha256(database_url.encode()).hexdigest() if database_url else "embedded"

    def read(self) -> DemoAccess | None:
        """What was written for this database, or None: then the demo content is still to be made."""
        try:
            stored = json.loads(self._path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if stored.get("place") != self._place:
            return None
        access: DemoAccess = stored["access"]
        return access

    def write(self, access: DemoAccess) -> None:
        """Keep `access`; a file that was cut off by a crash is never seen."""
        unfinished = self._path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps({"place": self._place, "access": access}, indent=2))
        unfinished.replace(self._path)
