"""Loading demo databases: whole or not at all, as often as you like, and safe to read from."""

import base64
import hashlib
import hmac
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from tests.text2sql.demo.conftest import PASSWORD, DemoServer
from text2sql.demo.data import DATABASE_NAMES, build
from text2sql.demo.data.tables import DemoDatabase
from text2sql.demo.load import DemoLoadConflict, DemoLoadDenied, load_postgres, load_sqlite

ANCHOR = date(2026, 3, 1)
POSTGRES_NAMES = tuple(name for name in DATABASE_NAMES if name != "support_db")
_PARENTS = {
    "sales_db": {
        ("sales_reps", "regions"),
        ("sales_reps", "sales_reps"),
        ("customers", "regions"),
        ("customers", "sales_reps"),
        ("orders", "customers"),
        ("orders", "sales_reps"),
        ("order_items", "orders"),
        ("order_items", "products"),
        ("returns", "order_items"),
        ("sales_targets", "regions"),
    },
    "marketing_db": {
        ("campaigns", "channels"),
        ("ad_spend", "campaigns"),
        ("leads", "campaigns"),
        ("conversions", "leads"),
        ("email_metrics", "campaigns"),
    },
    "operations_db": {
        ("products", "suppliers"),
        ("inventory", "warehouses"),
        ("inventory", "products"),
        ("purchase_orders", "suppliers"),
        ("purchase_orders", "warehouses"),
        ("purchase_order_items", "purchase_orders"),
        ("purchase_order_items", "products"),
        ("shipments", "warehouses"),
        ("shipments", "carriers"),
        ("shipment_items", "shipments"),
        ("shipment_items", "products"),
    },
}


@pytest.fixture(scope="module")
def kept_sales(demo_server: DemoServer) -> Iterator[DemoServer]:
    """A server with sales_db loaded as `kept`, for tests that only look at it."""
    demo_server.load(build("sales_db", ANCHOR), "kept")
    yield demo_server
    demo_server.drop("kept")


@pytest.fixture
def server(demo_server: DemoServer) -> Iterator[DemoServer]:
    yield demo_server
    for suffix in ("load", "other"):
        demo_server.drop(suffix)


def _counts(connection: psycopg.Connection[Any], database: DemoDatabase) -> dict[str, int]:
    found = {}
    for table in database.tables:
        row = connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table.name))).fetchone()
        assert row is not None
        found[table.name] = row[0]
    return found


def _sizes(database: DemoDatabase) -> dict[str, int]:
    return {table.name: len(table.rows) for table in database.tables}


@pytest.mark.parametrize("name", POSTGRES_NAMES)
def test_a_loaded_database_holds_exactly_the_rows_that_were_built(server: DemoServer, name: str) -> None:
    database = server.load(build(name, ANCHOR), "load")
    with server.read("load") as connection:
        for table in database.tables:
            columns = SQL(", ").join(Identifier(column.name) for column in table.columns)
            rows = connection.execute(SQL("SELECT {} FROM {}").format(columns, Identifier(table.name))).fetchall()
            assert sorted(rows, key=repr) == sorted(table.rows, key=repr), table.name


@pytest.mark.parametrize("name", POSTGRES_NAMES)
def test_comments_and_keys_are_stored_on_the_server(server: DemoServer, name: str) -> None:
    database = server.load(build(name, ANCHOR), "load")
    with server.read("load") as connection:
        comments = connection.execute(
            "SELECT c.relname, coalesce(a.attname, ''), d.description FROM pg_description d"
            " JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass"
            " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0"
            " WHERE c.relnamespace = 'public'::regnamespace"
        ).fetchall()
        keys = connection.execute(
            "SELECT conrelid::regclass::text, nullif(confrelid, 0)::regclass::text FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f')"
        ).fetchall()
    expected = {(table.name, "", table.comment) for table in database.tables}
    expected |= {(table.name, c.name, c.comment) for table in database.tables for c in table.columns}
    assert set(comments) == expected
    assert {table for table, parent in keys if parent is None} == {table.name for table in database.tables}
    assert {(table, parent) for table, parent in keys if parent} == _PARENTS[name]


def test_loading_again_changes_nothing(server: DemoServer) -> None:
    database = server.load(build("sales_db", ANCHOR), "load")
    with server.admin("load") as connection:
        connection.execute("DELETE FROM sales_targets")
        server.load(build("sales_db", date(2026, 5, 1)), "load")
        counts = _counts(connection, database)
    assert counts == _sizes(database) | {"sales_targets": 0}


def test_a_load_interrupted_half_way_leaves_nothing_and_is_completed_the_next_time(server: DemoServer) -> None:
    whole = build("sales_db", ANCHOR)
    broken_items = replace(whole.table("order_items"), rows=[*whole.table("order_items").rows, (10**9,) * 7])
    tables = tuple(broken_items if table.name == "order_items" else table for table in whole.tables)
    with pytest.raises(errors.Error):
        server.load(replace(whole, tables=tables), "load")
    with server.admin("load") as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        database = server.load(whole, "load")
        assert _counts(connection, database) == _sizes(database)


def test_a_load_whose_connection_is_cut_is_completed_the_next_time(server: DemoServer) -> None:
    whole, cut = build("operations_db", ANCHOR), threading.Event()

    def kill_the_loading_connection() -> Iterator[tuple[Any, ...]]:
        with server.admin() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [server.name("load")]
            )
        cut.set()
        yield from whole.table("shipments").rows

    class CutRows(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            return kill_the_loading_connection()

    cut_shipments = replace(whole.table("shipments"), rows=CutRows())
    tables = tuple(cut_shipments if table.name == "shipments" else table for table in whole.tables)
    with pytest.raises(psycopg.OperationalError):
        server.load(replace(whole, tables=tables), "load")
    assert cut.is_set()
    database = server.load(whole, "load")
    with server.admin("load") as connection:
        assert _counts(connection, database) == _sizes(database)


def test_two_loads_at_once_both_succeed_and_load_once(server: DemoServer) -> None:
    failures: list[BaseException] = []
    whole = build("sales_db", ANCHOR)

    def load() -> None:
        try:
            server.load(whole, "load")
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with server.admin("load") as connection:
        assert _counts(connection, whole) == _sizes(whole)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO regions VALUES (99, 'Moon', '{}')",
        "UPDATE customers SET name = 'x'",
        "DELETE FROM returns",
        "TRUNCATE returns",
        "DROP TABLE returns",
        "CREATE TABLE mine (id integer)",
        "CREATE TEMPORARY TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "COMMENT ON TABLE orders IS 'x'",
    ],
)
def test_the_reader_cannot_write_even_when_it_leaves_read_only_mode(kept_sales: DemoServer, statement: str) -> None:
    with kept_sales.read("kept") as connection:
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute(statement)
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_reader_has_a_timeout_and_reads_in_utc(kept_sales: DemoServer) -> None:
    with kept_sales.read("kept") as connection:
        settings = [
            connection.execute(SQL("SHOW {}").format(Identifier(name))).fetchone()
            for name in ("statement_timeout", "default_transaction_read_only", "timezone")
        ]
    assert settings == [("30s",), ("on",), ("UTC",)]


def test_nobody_else_may_connect(kept_sales: DemoServer) -> None:
    with kept_sales.admin() as connection:
        stranger = Identifier(f"{kept_sales.prefix}_stranger")
        connection.execute(SQL("CREATE ROLE {} LOGIN").format(stranger))
        allowed = connection.execute(
            "SELECT has_database_privilege(%s, %s, 'CONNECT'), has_database_privilege(%s, %s, 'CONNECT')",
            [kept_sales.reader, kept_sales.name("kept"), f"{kept_sales.prefix}_stranger", kept_sales.name("kept")],
        ).fetchone()
        connection.execute(SQL("DROP ROLE {}").format(stranger))
    assert allowed == (True, False)


def _opens(secret: str, password: str) -> bool:
    """Whether the stored SCRAM secret belongs to the password (RFC 5803)."""
    rounds, salt, stored = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.+", secret).groups()  # type: ignore[union-attr]  # fails the test
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    return hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == base64.b64decode(stored)


def test_the_password_is_reset_by_every_load_and_never_stored_in_the_clear(server: DemoServer) -> None:
    database, reader = replace(build("sales_db", ANCHOR), name=server.name("load")), f"{server.prefix}_second"
    for password in (PASSWORD, "another"):
        load_postgres(server.admin_dsn, database, reader=reader, password=password)
        with server.admin() as connection:
            [(secret,)] = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [reader])
        assert _opens(secret, password)
        assert not _opens(secret, password + "x")


def test_a_database_with_foreign_tables_is_left_alone(server: DemoServer) -> None:
    with server.admin() as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(server.name("other"))))
    with server.admin("other") as connection:
        connection.execute("CREATE TABLE payroll (id integer)")
        with pytest.raises(DemoLoadConflict, match="payroll"):
            server.load(build("sales_db", ANCHOR), "other")
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("payroll",)]


def test_a_reader_that_is_an_administrator_is_refused(server: DemoServer) -> None:
    database = replace(build("sales_db", ANCHOR), name=server.name("other"))
    with server.admin() as connection:
        boss = f"{server.prefix}_boss"
        connection.execute(SQL("CREATE ROLE {} SUPERUSER").format(Identifier(boss)))
        with pytest.raises(DemoLoadConflict, match=boss):
            load_postgres(server.admin_dsn, database, reader=boss, password=PASSWORD)
        connection.execute(SQL("DROP ROLE {}").format(Identifier(boss)))


@pytest.mark.parametrize(("attributes", "missing"), [("LOGIN", "database"), ("LOGIN CREATEDB", "role")])
def test_a_server_that_does_not_permit_loading_says_so(server: DemoServer, attributes: str, missing: str) -> None:
    database, poor = replace(build("sales_db", ANCHOR), name=server.name("other")), f"{server.prefix}_poor"
    with server.admin() as connection:
        connection.execute(
            SQL("CREATE ROLE {} {} PASSWORD {}").format(Identifier(poor), SQL(attributes), Literal(PASSWORD))
        )
        try:
            dsn = make_conninfo(server.admin_dsn, user=poor, password=PASSWORD)
            with pytest.raises(DemoLoadDenied, match=f"permission denied to create {missing}"):
                load_postgres(dsn, database, reader=f"{server.prefix}_none", password=PASSWORD)
        finally:
            server.drop("other")
            connection.execute(SQL("DROP ROLE {}").format(Identifier(poor)))


def test_a_role_without_superuser_rights_can_load(server: DemoServer) -> None:
    database, owner = replace(build("sales_db", ANCHOR), name=server.name("other")), f"{server.prefix}_owner"
    reader = f"{server.prefix}_owned_reader"
    with server.admin() as connection:
        connection.execute(
            SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(Identifier(owner), Literal(PASSWORD))
        )
        try:
            dsn = make_conninfo(server.admin_dsn, user=owner, password=PASSWORD)
            for _ in range(2):
                load_postgres(dsn, database, reader=reader, password=PASSWORD)
            with server.admin("other") as target:
                assert _counts(target, database) == _sizes(database)
        finally:
            server.drop("other")
            for role in (reader, owner):
                connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))


def test_a_server_that_is_down_is_reported_by_the_driver() -> None:
    with pytest.raises(psycopg.OperationalError):
        load_postgres("postgresql://127.0.0.1:9/x", build("sales_db", ANCHOR), reader="r", password="p")


@pytest.fixture
def support() -> DemoDatabase:
    return build("support_db", ANCHOR)


def test_a_loaded_file_holds_exactly_the_rows_that_were_built(tmp_path: Path, support: DemoDatabase) -> None:
    load_sqlite(tmp_path / "support.sqlite3", support)
    with closing(sqlite3.connect(tmp_path / "support.sqlite3")) as connection:
        for table in support.tables:
            assert connection.execute(f'SELECT * FROM "{table.name}"').fetchall() == table.rows  # noqa: S608 - our name
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert [path.name for path in tmp_path.iterdir()] == ["support.sqlite3"]


def test_the_file_declares_its_keys_and_carries_its_comments(tmp_path: Path, support: DemoDatabase) -> None:
    load_sqlite(tmp_path / "support.sqlite3", support)
    with closing(sqlite3.connect(tmp_path / "support.sqlite3")) as connection:
        parents = {
            table.name: {row[2] for row in connection.execute(f'PRAGMA foreign_key_list("{table.name}")')}
            for table in support.tables
        }
        declared = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
    assert parents == {
        "customers": set(),
        "agents": set(),
        "sla_policies": set(),
        "tickets": {"customers", "agents", "sla_policies"},
        "messages": {"tickets"},
        "satisfaction": {"tickets"},
        "refunds": {"tickets"},
    }
    for table in support.tables:
        comments = [table.comment, *(column.comment for column in table.columns)]
        assert all(f"-- {comment}\n" in declared[table.name] for comment in comments)


def test_a_loaded_file_is_kept(tmp_path: Path, support: DemoDatabase) -> None:
    path = tmp_path / "support.sqlite3"
    load_sqlite(path, support)
    before = path.stat()
    load_sqlite(path, build("support_db", date(2026, 5, 1)))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_interrupted_file_load_leaves_nothing_behind(tmp_path: Path, support: DemoDatabase) -> None:
    broken = replace(support.table("refunds"), rows=[(1, 10**9, 5, "2026-01-01")])
    with pytest.raises(sqlite3.IntegrityError):
        load_sqlite(tmp_path / "support.sqlite3", replace(support, tables=(*support.tables[:-1], broken)))
    assert list(tmp_path.iterdir()) == []
    load_sqlite(tmp_path / "support.sqlite3", support)
    assert (tmp_path / "support.sqlite3").stat().st_size > 0


def test_an_empty_file_in_the_way_is_replaced(tmp_path: Path, support: DemoDatabase) -> None:
    path = tmp_path / "support.sqlite3"
    path.touch()
    load_sqlite(path, support)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM tickets").fetchone() == (len(support.table("tickets").rows),)


def _write_text(path: Path) -> None:
    path.write_text("these are notes and no database, long enough to have a header of a hundred bytes" * 3)


def _write_foreign_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE payroll (id INTEGER)")


@pytest.mark.parametrize("write", [_write_text, _write_foreign_table])
def test_a_foreign_file_is_left_alone(tmp_path: Path, support: DemoDatabase, write: Callable[[Path], None]) -> None:
    path = tmp_path / "support.sqlite3"
    write(path)
    before = path.read_bytes()
    with pytest.raises(DemoLoadConflict):
        load_sqlite(path, support)
    assert path.read_bytes() == before
