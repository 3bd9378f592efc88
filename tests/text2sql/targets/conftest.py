"""Databases of the tests' own on the PostgreSQL server of DATABASE_URL, made and dropped again; and on a MariaDB."""

import os
import socket
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL, make_url

from tests.text2sql.targets.mariadb import MYSQL_SALES, MariaDb, temporary_mariadb

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


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A MariaDB server of the tests' own: Debian's, on a socket of its own, as an unprivileged user."""
    with temporary_mariadb() as server:
        yield server


@pytest.fixture(scope="module")
def mysql_url(mariadb: MariaDb) -> Iterator[str]:
    """The administrator's URL of a database with a few tables."""
    with mariadb.database(MYSQL_SALES) as name:
        yield mariadb.url(name)


@pytest.fixture(scope="module")
def mysql_reader_url(mariadb: MariaDb, mysql_url: str) -> Iterator[str]:
    """A role that may read everything but `secrets`, and of `orders` all columns but `total`."""
    name, role = str(make_url(mysql_url).database), f"reader_{uuid.uuid4().hex[:12]}"
    mariadb.execute(
        f"""
        CREATE USER {role} IDENTIFIED BY 'right-password';
        GRANT SELECT ON {name}.customers TO {role};
        GRANT SELECT ON {name}.big_orders TO {role};
        GRANT SELECT (id, line, customer_id) ON {name}.orders TO {role};
        """
    )
    try:
        yield mariadb.url(name, user=role, password="right-password")
    finally:
        mariadb.execute(f"DROP USER {role}")


@pytest.fixture
def duckdb_url(tmp_path: Path) -> str:
    path = tmp_path / "shop 1%'s.duckdb"
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("""
            CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, email VARCHAR);
            COMMENT ON TABLE customers IS 'Who buys';
            COMMENT ON COLUMN customers.email IS 'Private; % and :name stay as they are';
            CREATE TABLE orders (
                id BIGINT, line INTEGER, customer_id BIGINT REFERENCES customers (id), total DECIMAL(10, 2),
                PRIMARY KEY (id, line)
            );
            CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 100;
            CREATE SCHEMA stock;
            CREATE TABLE stock."Item Types" (code VARCHAR PRIMARY KEY, "order" INTEGER);
            INSERT INTO customers SELECT n, 'Customer ' || n, NULL FROM range(1, 501) r(n);
            INSERT INTO orders SELECT n, 1, n, n FROM range(1, 501) r(n);
        """)
    return f"duckdb:///{path}"


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in kept:
                connection.close()
