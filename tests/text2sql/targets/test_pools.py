"""Connections to servers are kept for the next statement, and only where that is safe."""

import os
import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from tests.text2sql.targets.conftest import admin_dsn
from tests.text2sql.targets.mariadb import MariaDb
from text2sql.targets import pools as module
from text2sql.targets.errors import QueryCancelled, QueryFailed, TargetDenied, TargetTimeout, TargetUnreachable
from text2sql.targets.explain import plan_cost
from text2sql.targets.introspect import read_schema
from text2sql.targets.pools import pools
from text2sql.targets.run import run_query

BACKEND = {"postgres": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
SLEEP = {"postgres": "SELECT pg_sleep(30)", "mysql": "SELECT sleep(30)"}
KINDS = [
    pytest.param(("postgres", "postgres_url"), id="postgres"),
    pytest.param(("mysql", "mysql_url"), id="mysql", marks=pytest.mark.services),
]


@pytest.fixture(autouse=True)
def fresh_pools() -> Iterator[None]:
    pools.close_idle()
    yield
    assert pools.close_idle() == 0


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A dialect and its URL."""
    dialect, fixture = request.param
    return dialect, request.getfixturevalue(fixture)


def ask(server: tuple[str, str], sql: str, *, timeout: float = 10, is_cancelled: bool = False) -> object:
    dialect, url = server
    cancelled = (lambda: True) if is_cancelled else None
    return run_query(url, sql, dialect=dialect, row_cap=10, timeout=timeout, cancelled=cancelled).rows


def backend(server: tuple[str, str]) -> object:
    return ask(server, BACKEND[server[0]])


def test_the_next_statement_takes_the_same_connection(server: tuple[str, str]) -> None:
    dialect, url = server
    first = backend(server)
    plan_cost(url, "SELECT 1", dialect=dialect, timeout=10)
    read_schema(url, timeout=10)
    assert backend(server) == first


def test_a_connection_whose_statement_failed_is_thrown_away(server: tuple[str, str]) -> None:
    first = backend(server)
    with pytest.raises(QueryFailed):
        ask(server, "SELECT nothing")
    assert backend(server) != first


def test_a_connection_that_timed_out_is_thrown_away(server: tuple[str, str]) -> None:
    first = backend(server)
    with pytest.raises(TargetTimeout):
        ask(server, SLEEP[server[0]], timeout=0.3)
    assert backend(server) != first


def test_a_cancelled_connection_is_thrown_away(server: tuple[str, str]) -> None:
    first = backend(server)
    with pytest.raises(QueryCancelled):
        ask(server, SLEEP[server[0]], is_cancelled=True)
    assert backend(server) != first


def test_settings_are_those_of_the_statement_and_not_of_the_one_before(postgres_url: str) -> None:
    sql = "SELECT setting FROM pg_settings WHERE name IN ('statement_timeout', 'TimeZone') ORDER BY unit NULLS FIRST"
    run_query(postgres_url, sql, dialect="postgres", row_cap=1, timeout=10, time_zone="Asia/Tokyo")
    result = run_query(postgres_url, sql, dialect="postgres", row_cap=2, timeout=7)
    assert result.rows == [["UTC"], ["7000"]]


@pytest.mark.services
def test_mysqls_settings_too_are_those_of_the_statement(mysql_url: str) -> None:
    sql = "SELECT @@max_statement_time, @@time_zone, @@sql_select_limit"
    run_query(mysql_url, sql, dialect="mysql", row_cap=1, timeout=10, time_zone="Asia/Tokyo")
    assert run_query(mysql_url, sql, dialect="mysql", row_cap=9, timeout=7).rows == [[7.0, "+00:00", 10]]


def test_nothing_of_a_session_is_left_for_the_next_one(postgres_url: str) -> None:
    server = ("postgres", postgres_url)
    ask(
        server, "SELECT pg_advisory_lock(77), set_config('search_path', 'stock', false), set_config('my.x', '1', false)"
    )
    first = backend(server)
    with psycopg.connect(postgres_url) as other:
        assert other.execute("SELECT pg_try_advisory_lock(77)").fetchone() == (True,)
    assert ask(server, "SELECT current_setting('search_path'), current_setting('my.x', true)") == [
        ['"$user", public', ""]
    ]
    assert backend(server) == first


def test_a_connection_that_the_server_closed_is_replaced_unnoticed(postgres_url: str) -> None:
    first = backend(("postgres", postgres_url))
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
    assert backend(("postgres", postgres_url)) != first


@pytest.mark.services
def test_a_connection_that_mariadb_closed_is_replaced_unnoticed(mariadb: MariaDb, mysql_url: str) -> None:
    first = backend(("mysql", mysql_url))
    for (number,) in mariadb.rows("SELECT id FROM information_schema.processlist WHERE command = 'Sleep'"):
        mariadb.execute(f"KILL {number}")
    assert backend(("mysql", mysql_url)) != first


def test_a_statement_more_than_the_pool_has_room_for_is_told_so(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.2)
    over = threading.Event()

    def hold() -> None:
        with pytest.raises(QueryCancelled):
            run_query(postgres_url, "SELECT pg_sleep(30)", dialect="postgres", row_cap=1, timeout=30, cancelled=over)

    threads = [threading.Thread(target=hold) for _ in range(module.KEPT + module.EXTRA)]
    for thread in threads:
        thread.start()
    try:
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        wait_for(postgres_url, asleep, len(threads))
        with pytest.raises(TargetUnreachable, match="4 queries run on this database already"):
            backend(("postgres", postgres_url))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert backend(("postgres", postgres_url))


def test_no_more_than_the_kept_connections_stay_and_idle_ones_are_closed(postgres_url: str) -> None:
    threads = [
        threading.Thread(target=ask, args=(("postgres", postgres_url), "SELECT pg_sleep(0.3)")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'text2sql' AND datname = current_database()"
    wait_for(postgres_url, ours, module.KEPT)
    pools.close_idle(3600)
    wait_for(postgres_url, ours, module.KEPT)
    pools.close_idle()
    wait_for(postgres_url, ours, 0)


def test_the_reaper_ends_with_the_last_idle_target(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REAP_SECONDS", 0.05)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.1)
    own = module.Pools()
    monkeypatch.setattr("text2sql.targets.postgres.session.pools", own)
    backend(("postgres", postgres_url))
    reaper = own._reaper
    assert reaper is not None
    reaper.join(10)
    assert not reaper.is_alive()
    assert own.close_idle(3600) == 0


def test_only_so_many_targets_keep_connections(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOLS", 2)
    for number in range(4):
        url = make_url(postgres_url).update_query_dict({"keepalives_idle": str(number + 10)})
        backend(("postgres", url.render_as_string(hide_password=False)))
    assert len(pools._pools) == 2


def test_a_changed_password_is_asked_for_and_stands_nowhere(reader_url: str) -> None:
    url = make_url(reader_url)
    role, changed = str(url.username), url.set(password="hush-changed")
    backend(("postgres", reader_url))
    with psycopg.connect(admin_dsn(), autocommit=True) as admin:
        admin.execute(SQL("ALTER ROLE {} PASSWORD 'hush-changed'").format(Identifier(role)))
        try:
            assert backend(("postgres", changed.render_as_string(hide_password=False)))
        finally:
            admin.execute(SQL("ALTER ROLE {} PASSWORD 'right-password'").format(Identifier(role)))
    assert len(pools._pools) == 2
    shown = repr(pools._pools) + repr(vars(pools)) + repr([pool.engine for pool in pools._pools.values()])
    assert "hush" not in shown
    assert "right-password" not in shown


def test_a_refused_login_leaves_no_connection_behind(postgres_url: str) -> None:
    url = make_url(postgres_url).set(username="nobody_here", password="hush")
    with pytest.raises(TargetDenied):
        backend(("postgres", url.render_as_string(hide_password=False)))


def test_a_forked_child_opens_its_own_and_leaves_the_parents_alone(postgres_url: str) -> None:
    server = ("postgres", postgres_url)
    first = backend(server)
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(sink, str(backend(server)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(sink)
    with os.fdopen(source) as pipe:
        other = pipe.read()
    assert other.startswith("[[")
    assert other != str(first)
    assert backend(server) == first


def admin_of(url: object) -> str:
    made = make_url(str(url))
    return made.set(drivername="postgresql", username=None, password=None).render_as_string(hide_password=False)


def wait_for(url: str, count: str, expected: int) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        row = None
        for _ in range(100):
            row = admin.execute(count.encode()).fetchone()
            if row == (expected,):
                return
            threading.Event().wait(0.05)
        assert row == (expected,)
