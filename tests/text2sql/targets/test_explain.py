"""The planner's word on a statement that does not run."""

import psycopg
import pytest

from text2sql.targets.errors import (
    QueryFailed,
    TargetDenied,
    TargetError,
    TargetTimeout,
    TargetUnreachable,
    UrlRejected,
)
from text2sql.targets.explain import plan_cost


def test_postgres_tells_a_cost_that_grows_with_the_work(postgres_url: str) -> None:
    cheap = plan_cost(postgres_url, "SELECT name FROM customers WHERE id = 7", dialect="postgres", timeout=10)
    dear = plan_cost(postgres_url, "SELECT 1 FROM customers a, customers b", dialect="postgres", timeout=10)
    assert cheap is not None
    assert dear is not None
    assert cheap < dear


def test_nothing_runs(postgres_url: str) -> None:
    assert plan_cost(postgres_url, "SELECT pg_sleep(60), 1 / (id - id) FROM customers", dialect="postgres", timeout=2)


def test_a_wrong_statement_fails_with_the_databases_words(postgres_url: str, sqlite_url: str) -> None:
    for url, dialect in ((postgres_url, "postgres"), (sqlite_url, "sqlite")):
        with pytest.raises(QueryFailed, match="emial"):
            plan_cost(url, "SELECT emial FROM customers", dialect=dialect, timeout=10)


def test_sqlite_tells_no_cost(sqlite_url: str) -> None:
    assert plan_cost(sqlite_url, "SELECT name FROM customers", dialect="sqlite", timeout=10) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP TABLE customers",
        "SELECT 1; COMMIT; DROP TABLE customers",
        "ANALYZE SELECT 1",
        "SELECT 1 \0",
        "SELECT '\ud800'",
        "",
    ],
)
def test_one_statement_is_planned_and_none_runs(postgres_url: str, sqlite_url: str, sql: str) -> None:
    for url, dialect in ((postgres_url, "postgres"), (sqlite_url, "sqlite")):
        with pytest.raises(TargetError):
            plan_cost(url, sql, dialect=dialect, timeout=10)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (500,)


def test_a_lock_a_missing_right_and_a_server_that_is_gone_are_told_apart(
    postgres_url: str, reader_url: str, free_port: int
) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE secrets IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TargetTimeout):
            plan_cost(postgres_url, "SELECT * FROM secrets", dialect="postgres", timeout=0.3)
    with pytest.raises(TargetUnreachable):
        plan_cost(f"postgresql://ann:hush@127.0.0.1:{free_port}/shop", "SELECT 1", dialect="postgres", timeout=1)
    with pytest.raises(UrlRejected):
        plan_cost(postgres_url, "SELECT 1", dialect="sqlite", timeout=1)
    with pytest.raises(TargetDenied):
        plan_cost(reader_url, "SELECT * FROM secrets", dialect="postgres", timeout=10)
