"""The URL of a target database: which dialect it names, its one normal form, and a form that may be shown."""

import re
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from text2sql.targets.errors import UrlRejected, trim_message

Dialect = Literal["postgres", "sqlite", "mysql", "duckdb"]

DRIVERS: dict[str, tuple[Dialect, str]] = {
    **dict.fromkeys(("postgres", "postgresql", "postgresql+psycopg"), ("postgres", "postgresql+psycopg")),
    "sqlite": ("sqlite", "sqlite"),
    **dict.fromkeys(("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"), ("mysql", "mysql+pymysql")),
    "duckdb": ("duckdb", "duckdb"),
}
FILE_DIALECTS = frozenset({"sqlite", "duckdb"})
UNTESTED = {"snowflake": "Snowflake", "bigquery": "BigQuery", "mssql": "SQL Server"}
"""SQL for these is guarded and checked; nobody has tried it against a server."""
SUPPORTED = (
    "postgresql://user:password@host:5432/database, mysql://user:password@host:3306/database (MariaDB too),"
    " sqlite:////path/to/file.sqlite and duckdb:////path/to/file.duckdb"
)
NAMES = {"sqlite": "SQLite", "duckdb": "DuckDB"}
MYSQL_OPTIONS = frozenset(
    {"ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname", "unix_socket", "charset"}
)
"""No others: some let the driver read files, run commands or send several statements."""
SECRET_WORDS = ("pass", "secret", "token", "key")
HIDDEN = "***"


def target_url(url: str) -> URL:
    """The parsed URL in its normal form; raises `UrlRejected` with a sentence that does not repeat it."""
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise UrlRejected(f"This is not a database URL. Supported are {SUPPORTED}.") from None
    if parsed.drivername not in DRIVERS:
        raise UrlRejected(_unsupported(parsed.drivername))
    dialect, driver = DRIVERS[parsed.drivername]
    if dialect in FILE_DIALECTS:
        _require_file(parsed)
    elif not parsed.database:
        raise UrlRejected(f"The URL names no database. Add its name after the host: {dialect}://user@host/database.")
    if dialect == "mysql" and not MYSQL_OPTIONS.issuperset(parsed.query):
        raise UrlRejected(f"The URL has an option that is not allowed. Allowed are {', '.join(sorted(MYSQL_OPTIONS))}.")
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


def file_path(url: URL) -> Path:
    """Where the file of an SQLite or DuckDB target lies."""
    return Path(url.database or "")


def url_place(url: URL) -> str:
    """The server, as a message may name it."""
    host = url.host or url.query.get("host") or url.query.get("unix_socket") or "on this machine"
    return f"{host}:{url.port}" if url.port else str(host)


def words_without_password(cause: BaseException | None, url: URL) -> str:
    """A driver's message, trimmed, without the URL's secrets."""
    words = trim_message(str(cause))
    secrets = [str(url.password or ""), *(str(value) for key, value in url.query.items() if _is_secret(key))]
    for secret in filter(None, secrets):
        words = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, words)
    return words


def _unsupported(driver: str) -> str:
    kind = driver.partition("+")[0]
    if kind in UNTESTED:
        return (
            f"{UNTESTED[kind]} is not enabled: its SQL is guarded and parsed, but not tested against a server."
            f" Supported are {SUPPORTED}."
        )
    return f"This kind of database is not supported. Supported are {SUPPORTED}."


def _require_file(url: URL) -> None:
    name, scheme = NAMES[url.drivername], url.drivername
    database = url.database or ""
    if not database or database.startswith((":", "file:")):
        raise UrlRejected(f"A {name} database must be a file that exists: {scheme}:////path/to/file.{scheme}.")
    if url.query or url.host:
        raise UrlRejected(
            f"A {name} URL is only a path, without a host or options: {scheme}:////path/to/file.{scheme}."
        )


def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in SECRET_WORDS)
