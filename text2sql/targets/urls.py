"""The URL of a target database: which dialect it names, its one normal form, and a form that may be shown."""

from pathlib import Path
from typing import Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from text2sql.targets.errors import UrlRejected

Dialect = Literal["postgres", "sqlite"]

DRIVERS: dict[str, tuple[Dialect, str]] = {
    "postgres": ("postgres", "postgresql+psycopg"),
    "postgresql": ("postgres", "postgresql+psycopg"),
    "postgresql+psycopg": ("postgres", "postgresql+psycopg"),
    "sqlite": ("sqlite", "sqlite"),
}
SUPPORTED = "postgresql://user:password@host:5432/database and sqlite:////path/to/file.sqlite"
SECRET_WORDS = ("pass", "secret", "token", "key")
HIDDEN = "***"


def target_url(url: str) -> URL:
    """The parsed URL in its normal form; raises `UrlRejected` with a sentence that does not repeat it."""
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise UrlRejected(f"This is not a database URL. Supported are {SUPPORTED}.") from None
    if parsed.drivername not in DRIVERS:
        raise UrlRejected(f"This kind of database is not supported. Supported are {SUPPORTED}.")
    dialect, driver = DRIVERS[parsed.drivername]
    if dialect == "sqlite":
        _require_sqlite_file(parsed)
    elif not parsed.database:
        raise UrlRejected("The URL names no database. Add its name after the host: postgresql://user@host/database.")
    return parsed.set(drivername=driver)


def target_dialect(url: str) -> Dialect:
    return DRIVERS[target_url(url).drivername][0]


def target_url_normalize(url: str) -> str:
    """The form that is stored, with the password in it: two spellings of one target become the same text."""
    return target_url(url).render_as_string(hide_password=False)


def target_url_redacted(url: str) -> str:
    """The form that may be shown and logged."""
    parsed = target_url(url)
    query = {key: value for key, value in parsed.query.items() if not _is_secret(key)}
    shown = parsed.set(query=query).render_as_string(hide_password=True)
    hidden = [f"{key}={HIDDEN}" for key in parsed.query if _is_secret(key)]
    return shown + ("&" if query else "?") + "&".join(hidden) if hidden else shown


def sqlite_path(url: URL) -> Path:
    return Path(url.database or "")


def _require_sqlite_file(url: URL) -> None:
    database = url.database or ""
    if not database or database == ":memory:" or database.startswith("file:"):
        raise UrlRejected("An SQLite database must be a file that exists: sqlite:////path/to/file.sqlite.")
    if url.query or url.host:
        raise UrlRejected("An SQLite URL is only a path, without a host or options: sqlite:////path/to/file.sqlite.")


def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in SECRET_WORDS)
