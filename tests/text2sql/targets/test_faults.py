"""Targets that refuse, do not answer, break off or take too long."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from sqlalchemy import make_url

from text2sql.targets import deadlines
from text2sql.targets.errors import TargetDenied, TargetTimeout, TargetUnreachable
from text2sql.targets.run import QueryResult, run_query


def ask(url: str, sql: str = "SELECT 1", *, timeout: float = 5) -> QueryResult:
    return run_query(url, sql, dialect="postgres", row_cap=10, timeout=timeout)


@contextmanager
def freezing_proxy(socket_path: str) -> Iterator[tuple[int, threading.Event]]:
    """Passes bytes on to PostgreSQL until the event is set; from then on it drops them, in both directions."""
    frozen = threading.Event()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not frozen.is_set():
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(socket_path)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], frozen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_a_refused_connection_says_where(free_port: int) -> None:
    with pytest.raises(TargetUnreachable, match=f"127.0.0.1:{free_port}") as error:
        ask(f"postgresql://ann:hush@127.0.0.1:{free_port}/shop")
    assert "hush" not in str(error.value)


def test_a_host_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(TargetUnreachable, match=r"nowhere\.invalid"):
        ask("postgresql://ann:hush@nowhere.invalid/shop")


def test_a_server_that_accepts_and_never_answers_is_given_up(silent_port: int) -> None:
    with pytest.raises(TargetUnreachable, match="did not answer in time"):
        ask(f"postgresql://ann:hush@127.0.0.1:{silent_port}/shop", timeout=1)


def test_an_unknown_role_or_database_is_denied(postgres_url: str) -> None:
    url = make_url(postgres_url)
    for changed in (url.set(username="nobody_here", password="hush"), url.set(database="no_such_database")):
        with pytest.raises(TargetDenied, match="refused the login") as error:
            ask(changed.render_as_string(hide_password=False))
        assert "hush" not in str(error.value)


def test_a_wrong_password_is_denied(password_server: int) -> None:
    with pytest.raises(TargetDenied, match="Check user, password") as error:
        ask(f"postgresql://ann:wrong-hush@127.0.0.1:{password_server}/shop")
    assert "hush" not in str(error.value)


def test_a_table_without_select_is_denied(reader_url: str) -> None:
    with pytest.raises(TargetDenied, match="secrets"):
        ask(reader_url, "SELECT * FROM secrets")


def test_a_slow_statement_times_out_at_the_server(postgres_url: str) -> None:
    with pytest.raises(TargetTimeout, match=r"within 0\.3 seconds"):
        ask(postgres_url, "SELECT pg_sleep(60)", timeout=0.3)


def test_a_locked_table_is_not_waited_for_beyond_the_limit(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE secrets IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TargetTimeout):
            ask(postgres_url, "SELECT * FROM secrets", timeout=0.3)


def test_a_killed_backend_is_reported_as_a_broken_connection(postgres_url: str) -> None:
    def kill() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            for _ in range(200):
                killed = admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'text2sql' AND wait_event = 'PgSleep'"
                ).fetchall()
                if killed:
                    return
                time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(TargetUnreachable, match="broke off"):
            ask(postgres_url, "SELECT pg_sleep(30)", timeout=30)
    finally:
        killer.join()


def test_a_server_that_freezes_in_mid_query_is_cut_off_by_us(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "GRACE", 0.2)
    url = make_url(postgres_url)
    directory = url.query.get("host")
    if not isinstance(directory, str) or not directory.startswith("/"):
        pytest.skip("the proxy of this test speaks to a unix socket")
    with freezing_proxy(f"{directory}/.s.PGSQL.{url.port or 5432}") as (port, frozen):
        through = url.set(host="127.0.0.1", port=port, query={"sslmode": "disable"})
        timer = threading.Timer(0.5, frozen.set)
        timer.start()
        with pytest.raises(TargetTimeout, match="within 1 seconds"):
            ask(through.render_as_string(hide_password=False), "SELECT pg_sleep(30)", timeout=1)
        timer.join()
        assert frozen.is_set()


def test_an_endless_sqlite_query_times_out(sqlite_url: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(TargetTimeout):
        run_query(sqlite_url, endless, dialect="sqlite", row_cap=10, timeout=0.3)


@pytest.fixture
def password_server() -> Iterator[int]:
    """Speaks PostgreSQL's protocol up to a password that is always wrong: the real server may trust everyone."""

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with client:
                while (length := int.from_bytes(_exactly(client, 4))) == 8:  # a request for TLS or GSS: not offered
                    _exactly(client, 4)
                    client.sendall(b"N")
                _exactly(client, length - 4)
                client.sendall(b"R" + (8).to_bytes(4) + (3).to_bytes(4))
                _exactly(client, 1)
                _exactly(client, int.from_bytes(_exactly(client, 4)) - 4)
                fields = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "ann"\0\0'
                client.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := client.recv(size - len(data))):
        data += part
    return data
