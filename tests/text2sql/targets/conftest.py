"""Databases of the tests' own on the PostgreSQL server of DATABASE_URL, made and dropped again."""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL

SALES = """
    CREATE TABLE customers (
        id bigint PRIMARY KEY, name varchar(40) NOT NULL, email text, joined timestamptz DEFAULT now()
    );
    COMMENT ON TABLE customers IS 'Who buys';
    COMMENT ON COLUMN customers.email IS 'Private; % and :name stay as they are';
    CREATE TABLE orders (
        id bigint, line int, customer_id bigint NOT NULL REFERENCES customers, total numeric(10,2),
        PRIMARY KEY (id, line)
    );
    CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 100;
    CREATE SCHEMA stock;
    CREATE TABLE stock."Item Types" (code char(3) PRIMARY KEY, "order" int, order_id bigint, order_line int,
        FOREIGN KEY (order_id, order_line) REFERENCES orders);
    CREATE TABLE events (
        day date NOT NULL, customer_id bigint REFERENCES customers, kind text, PRIMARY KEY (day, kind)
    ) PARTITION BY RANGE (day);
    CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE secrets (id int, word text);
    INSERT INTO customers SELECT n, 'Customer ' || n, NULL, '2026-01-01 12:00+02' FROM generate_series(1, 500) n;
    INSERT INTO orders SELECT n, 1, n, n FROM generate_series(1, 500) n;
    INSERT INTO events SELECT date '2025-06-01' + n, 1, 'visit' FROM generate_series(1, 300) n;
    ANALYZE;
"""


def admin_dsn() -> str:
    dsn = os.environ.get("DATABASE_URL", "")
    if not dsn.startswith("postgres"):
        pytest.skip("DATABASE_URL names no PostgreSQL server")
    return dsn


def target_url_of(dsn: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    host = parts.get("host", "")
    is_socket = host.startswith("/")
    url = URL.create(
        "postgresql",
        username=user or parts.get("user"),
        password=password or (parts.get("password") if user is None else None),
        host=None if is_socket else host or None,
        port=int(parts["port"]) if "port" in parts else None,
        database=database,
        query={"host": host} if is_socket else {},
    )
    return url.render_as_string(hide_password=False)


@contextmanager
def temporary_database(script: str = "") -> Iterator[str]:
    dsn, name = admin_dsn(), f"targets_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            url = target_url_of(dsn, database=name)
            if script:
                with psycopg.connect(url, autocommit=True) as target:
                    target.execute(script.encode())
            yield url
        finally:
            admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """A superuser's URL of a database with a few tables."""
    with temporary_database(SALES) as url:
        yield url


@pytest.fixture(scope="module")
def reader_url(postgres_url: str) -> Iterator[str]:
    """A role that may read everything but `secrets`, and of `orders` all columns but `total`."""
    name = f"reader_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            f"""
            CREATE ROLE {name} LOGIN PASSWORD 'right-password';
            GRANT USAGE ON SCHEMA stock TO {name};
            GRANT SELECT ON customers, events, big_orders, stock."Item Types" TO {name};
            GRANT SELECT (id, line, customer_id) ON orders TO {name};
            """.encode()
        )
        database = str(admin.info.dbname)
    try:
        yield target_url_of(admin_dsn(), database=database, user=name, password="right-password")
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    path = tmp_path / "shop 1%.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, photo BLOB, score REAL);
            CREATE TABLE "order lines" (
                order_id INT, line INT, customer_id INT REFERENCES customers, PRIMARY KEY (order_id, line)
            ) WITHOUT ROWID;
            CREATE VIEW names AS SELECT name FROM customers;
            INSERT INTO customers
                VALUES (1, 'Ann 100%', x'00ff', 1.5), (2, 'Bob', NULL, 9e999), (3, 'Cid', NULL, NULL);
        """)
    connection.close()
    return f"sqlite:///{path}"
