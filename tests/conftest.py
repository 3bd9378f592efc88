import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from tests.people import People, make_people
from tests.standins.langfuse import LangfuseStandIn
from text2sql.cache.answers import answer_cache
from text2sql.demo.claude import ClaudeStandIn

SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, region TEXT);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), amount NUMERIC(10,2), ordered_on DATE
);
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com', 'north'), (2, 'Bert', 'bert@example.com', 'south');
INSERT INTO orders VALUES (1, 1, 10.50, '2026-01-01'), (2, 1, 4.50, '2026-01-02'), (3, 2, 7, '2026-01-03');
"""


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> None:
    """Tables are emptied by DELETE after a test: with few rows in them, TRUNCATE takes eight times as long."""

    def sql_flush(style: object, tables: list[str], **_: object) -> list[str]:
        # As a replica, so that neither the order of the tables nor the audit's trigger is in the way.
        emptied = "; ".join(f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables)  # noqa: S608  # ours
        return [f"SET LOCAL session_replication_role = replica; {emptied}"] if tables else []

    connection.ops.sql_flush = sql_flush  # type: ignore[method-assign, assignment]  # as long as the tests run


@pytest.fixture
def people(db: None) -> People:
    return make_people()


@pytest.fixture
def claude(settings: Settings) -> Iterator[ClaudeStandIn]:
    """Claude's stand-in, and the product pointed at it."""
    with ClaudeStandIn() as stand_in:
        settings.CLAUDE_STAND_IN_URL = stand_in.base_url
        yield stand_in


@pytest.fixture
def langfuse(settings: Settings) -> Iterator[LangfuseStandIn]:
    """Langfuse's stand-in, and the product pointed at it."""
    with LangfuseStandIn() as stand_in:
        settings.LANGFUSE_BASE_URL = stand_in.base_url
        settings.LANGFUSE_PUBLIC_KEY = stand_in.public_key
        settings.LANGFUSE_SECRET_KEY = stand_in.secret_key
        yield stand_in


@pytest.fixture
def shop(tmp_path: Path, settings: Settings) -> Path:
    """A small SQLite target: customers and orders."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SHOP)
    settings.FILE_FOLDERS = [str(tmp_path)]
    return path


@pytest.fixture(autouse=True)
def fresh_cache_choice() -> Iterator[None]:
    """The answer cache is chosen once per process; a test may have chosen another."""
    answer_cache.cache_clear()
    yield
    answer_cache.cache_clear()
