"""Throw-away demo databases on the PostgreSQL server of DATABASE_URL; everything made is dropped."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from text2sql.demo.data.tables import DemoDatabase
from text2sql.demo.load import load_postgres

PASSWORD = "only'for\"tests"


@dataclass
class DemoServer:
    """A server to load on; its databases and its role have names that no other process has."""

    admin_dsn: str
    prefix: str = field(default_factory=lambda: f"demotest_{os.getpid()}_{secrets.token_hex(3)}")

    @property
    def reader(self) -> str:
        return f"{self.prefix}_reader"

    def name(self, suffix: str) -> str:
        return f"{self.prefix}_{suffix}"

    def load(self, database: DemoDatabase, suffix: str) -> DemoDatabase:
        """Load under a name of our own and say what was loaded."""
        named = replace(database, name=self.name(suffix))
        load_postgres(self.admin_dsn, named, reader=self.reader, password=PASSWORD)
        return named

    def admin(self, suffix: str | None = None) -> psycopg.Connection[Any]:
        dsn = self.admin_dsn if suffix is None else make_conninfo(self.admin_dsn, dbname=self.name(suffix))
        return psycopg.connect(dsn, autocommit=True)

    def read(self, suffix: str) -> psycopg.Connection[Any]:
        """A connection as the reader, with nothing set by the client."""
        dsn = make_conninfo(self.admin_dsn, dbname=self.name(suffix), user=self.reader, password=PASSWORD)
        return psycopg.connect(dsn, autocommit=True)

    def drop(self, suffix: str) -> None:
        with self.admin() as connection:
            connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(self.name(suffix))))

    def drop_all(self) -> None:
        with self.admin() as connection:
            pattern = self.prefix + "%"
            for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [pattern]):
                connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
            for (name,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [pattern]):
                connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@pytest.fixture(scope="session")
def demo_server() -> Iterator[DemoServer]:
    dsn = os.environ.get("DATABASE_URL")
    if not dsn:
        pytest.skip("DATABASE_URL is not set: there is no PostgreSQL server to load demo databases on")
    server = DemoServer(dsn)
    yield server
    server.drop_all()
