"""Puts demo databases on a PostgreSQL server or into an SQLite file, whole or not at all."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.sql import Identifier
from psycopg.types.json import Jsonb

from text2sql.demo.data.tables import DemoColumn, DemoDatabase, DemoTable

READER_STATEMENT_TIMEOUT = "30s"
_CONNECT_SECONDS = 10
_STATEMENT_TIMEOUT = "60s"
# Any number that nobody else locks: two loads at once would both create the role.
_LOAD_LOCK = 7_305_512_291


class DemoLoadError(Exception):
    """The demo content could not be put in place."""


class DemoLoadDenied(DemoLoadError):
    """The server does not permit what loading needs: CREATE DATABASE and CREATE ROLE."""


class DemoLoadConflict(DemoLoadError):
    """Something that is not ours has the name already; it was left as it is."""


def load_postgres(admin_dsn: str, database: DemoDatabase, *, reader: str, password: str) -> None:
    """Make the database with all its rows, and the role `reader`, which may only read it.

    A database that is already loaded keeps its rows; the role gets the given password in any case.
    Raises DemoLoadDenied, DemoLoadConflict, or psycopg.OperationalError when the server does not answer.
    """
    try:
        with _connection(admin_dsn) as admin:
            admin.execute("SELECT pg_advisory_lock(%s)", [_LOAD_LOCK])
            _create_database(admin, database.name)
            target_dsn = make_conninfo(admin_dsn, dbname=database.name)
            with _connection(target_dsn) as target, target.transaction():
                target.execute("SET LOCAL search_path TO public")
                if _is_empty(_postgres_tables(target), database):
                    for table in database.tables:
                        _create_table(target, table)
                    _run(target, "COMMENT ON DATABASE {} IS {}", Identifier(database.name), database.description)
                _prepare_reader(target, database.name, reader, password)
    except psycopg.errors.InsufficientPrivilege as error:
        raise DemoLoadDenied(
            f"The server does not permit loading {database.name}: {error.diag.message_primary}. "
            "The role in use needs CREATEDB and CREATEROLE."
        ) from error


def load_sqlite(path: Path, database: DemoDatabase) -> None:
    """Make the file with all its rows; a file that is already loaded is kept.

    Raises DemoLoadConflict when the file holds something else, and OSError when the folder is not writable.
    """
    if not _is_empty(_sqlite_tables(path), database):
        return
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        _fill_sqlite(unfinished, database)
        unfinished.replace(path)


def _is_empty(present: set[str], database: DemoDatabase) -> bool:
    """Whether to load; a load is one step, so either all tables are there or none."""
    if present.issuperset(table.name for table in database.tables):
        return False
    if present:
        raise DemoLoadConflict(f"{database.name} exists and holds other tables: {', '.join(sorted(present))}.")
    return True


@contextmanager
def _connection(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
        _run(connection, "SET statement_timeout = {}", _STATEMENT_TIMEOUT)
        yield connection


def _run(connection: psycopg.Connection[Any], statement: LiteralString, *parts: sql.Composable | str) -> None:
    """Run a statement that takes no parameters; text becomes a quoted literal."""
    connection.execute(sql.SQL(statement).format(*parts))


def _create_database(admin: psycopg.Connection[Any], name: str) -> None:
    if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return
    # The C locale sorts the same on every server; before PostgreSQL 15 there was no choice of provider.
    provider = sql.SQL("LOCALE_PROVIDER libc" if admin.info.server_version >= 150000 else "")
    _run(admin, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' {}", Identifier(name), provider)


def _postgres_tables(target: psycopg.Connection[Any]) -> set[str]:
    found = target.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r','p','v','m')"
    )
    return {name for (name,) in found}


def _create_table(target: psycopg.Connection[Any], table: DemoTable) -> None:
    name = Identifier(table.name)
    declarations: list[sql.Composable] = [_declaration(column) for column in table.columns]
    declarations += [sql.SQL(constraint) for constraint in table.constraints]
    _run(target, "CREATE TABLE {} ({})", name, sql.SQL(", ").join(declarations))
    _run(target, "COMMENT ON TABLE {} IS {}", name, table.comment)
    for column in table.columns:
        _run(target, "COMMENT ON COLUMN {} IS {}", Identifier(table.name, column.name), column.comment)
    columns = sql.SQL(", ").join(Identifier(column.name) for column in table.columns)
    with target.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, columns)) as copy:
        for row in table.rows:
            copy.write_row([Jsonb(value) if isinstance(value, dict) else value for value in row])
    _run(target, "ANALYZE {}", name)


def _declaration(column: DemoColumn) -> sql.Composed:
    return sql.SQL("{} {}").format(Identifier(column.name), sql.SQL(f"{column.type} {column.constraint}"))


def _prepare_reader(target: psycopg.Connection[Any], database: str, reader: str, password: str) -> None:
    powers = target.execute(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        " FROM pg_roles WHERE rolname = %s",
        [reader],
    ).fetchone()
    if powers == (True,):
        raise DemoLoadConflict(f"The role {reader} exists and may do more than read.")
    role, owned = Identifier(reader), Identifier(database)
    if powers is None:
        _run(target, "CREATE ROLE {}", role)
    # Hashed here, so that the password appears in no log of the server.
    secret = target.pgconn.encrypt_password(password.encode(), reader.encode(), b"scram-sha-256").decode()
    _run(target, "ALTER ROLE {} LOGIN PASSWORD {}", role, secret)
    _run(target, "ALTER ROLE {} SET default_transaction_read_only = on", role)
    _run(target, "ALTER ROLE {} SET statement_timeout = {}", role, READER_STATEMENT_TIMEOUT)
    _run(target, "ALTER ROLE {} SET timezone = 'UTC'", role)
    _run(target, "REVOKE ALL ON DATABASE {} FROM PUBLIC", owned)
    _run(target, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    _run(target, "GRANT CONNECT ON DATABASE {} TO {}", owned, role)
    _run(target, "GRANT USAGE ON SCHEMA public TO {}", role)
    _run(target, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", role)


def _sqlite_tables(path: Path) -> set[str]:
    if not path.exists():
        return set()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'"
            )
            return {name for (name,) in found}
    except sqlite3.DatabaseError as error:
        raise DemoLoadConflict(f"{path} exists and is no SQLite database.") from error


def _fill_sqlite(path: Path, database: DemoDatabase) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for table in database.tables:
            connection.execute(_sqlite_declaration(table))
            marks = ", ".join("?" for _ in table.columns)
            connection.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', table.rows)  # noqa: S608 - our names
        connection.execute("ANALYZE")


def _sqlite_declaration(table: DemoTable) -> str:
    """CREATE TABLE with the comments in it: SQLite has no other place for them and keeps the text."""
    lines = [(f'"{column.name}" {column.type} {column.constraint}', column.comment) for column in table.columns]
    lines += [(constraint, "") for constraint in table.constraints]
    body = "\n".join(
        f"  {text.strip()}{',' if number < len(lines) else ''} -- {comment}".removesuffix(" -- ")
        for number, (text, comment) in enumerate(lines, 1)
    )
    return f'CREATE TABLE "{table.name}" ( -- {table.comment}\n{body}\n)'
