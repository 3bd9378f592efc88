"""A statement whose result nobody waits for any more is stopped, and stops at the server."""

import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from tests.text2sql.targets.mariadb import MariaDb
from text2sql.targets.errors import QueryCancelled
from text2sql.targets.run import run_query

ENDLESS = {
    "postgres": "SELECT count(*) FROM generate_series(1, 1000000000000) WHERE generate_series < 0",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "duckdb": "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE hash(a.range, b.range) = 7",
    "mysql": "SELECT count(*) FROM seq_1_to_10000000 a, seq_1_to_10000000 b WHERE a.seq * b.seq = 7",
}
ROWS = {
    "postgres": "SELECT generate_series FROM generate_series(1, 1000000000)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "duckdb": "SELECT range FROM range(1000000000000)",
    "mysql": "SELECT seq FROM seq_1_to_1000000000",
}
KINDS = [
    "postgres",
    "sqlite",
    "duckdb",
    pytest.param("mysql", marks=pytest.mark.services),
]


@pytest.fixture(params=KINDS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(request: pytest.FixtureRequest, dialect: str) -> str:
    return str(request.getfixturevalue(f"{dialect}_url"))


def run(url: str, dialect: str, sql: str, cancelled: threading.Event | Callable[[], bool]) -> None:
    run_query(url, sql, dialect=dialect, row_cap=10**9, byte_cap=10**9, timeout=60, cancelled=cancelled)


def test_a_statement_that_tells_nothing_yet_is_stopped(url: str, dialect: str) -> None:
    gone = threading.Event()
    threading.Timer(0.3, gone.set).start()
    with pytest.raises(QueryCancelled, match="nobody waits") as error:
        run(url, dialect, ENDLESS[dialect], gone)
    assert error.value.code == "query_cancelled"


def test_a_statement_whose_rows_are_being_read_is_stopped(url: str, dialect: str) -> None:
    ends = time.monotonic() + 0.3
    with pytest.raises(QueryCancelled):
        run(url, dialect, ROWS[dialect], lambda: time.monotonic() > ends)


def test_one_that_is_waited_for_runs_to_its_end(url: str, dialect: str) -> None:
    result = run_query(url, "SELECT 1", dialect=dialect, row_cap=10, timeout=10, cancelled=threading.Event())
    assert result.rows == [[1]]


def test_postgres_itself_stops_working_on_it(postgres_url: str) -> None:
    gone = threading.Event()
    threading.Timer(0.3, gone.set).start()
    with pytest.raises(QueryCancelled):
        run(postgres_url, "postgres", ENDLESS["postgres"], gone)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for _ in range(100):
            row = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND state = 'active'"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            if row == (0,):
                return
            time.sleep(0.05)
        raise AssertionError("it still runs")


@pytest.mark.services
def test_mariadb_itself_stops_working_on_it(mariadb: MariaDb, mysql_url: str) -> None:
    gone = threading.Event()
    threading.Timer(0.3, gone.set).start()
    with pytest.raises(QueryCancelled):
        run(mysql_url, "mysql", ENDLESS["mysql"], gone)
    for _ in range(100):
        running = (
            "SELECT count(*) FROM information_schema.processlist WHERE command = 'Query' AND info LIKE '%10000000%'"
        )
        if mariadb.rows(f"{running} AND id <> connection_id()") == ((0,),):
            return
        time.sleep(0.05)
    raise AssertionError("it still runs")
