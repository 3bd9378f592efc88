"""Running one statement: read-only, bounded, exactly as written."""

import sqlite3
from pathlib import Path

import psycopg
import pytest

from text2sql.targets.errors import QueryFailed, TargetError, UrlRejected
from text2sql.targets.run import QueryResult, run_query


def ask(url: str, sql: str, *, row_cap: int = 1000, byte_cap: int = 1_000_000) -> QueryResult:
    dialect = "sqlite" if url.startswith("sqlite") else "postgres"
    return run_query(url, sql, dialect=dialect, row_cap=row_cap, timeout=10, byte_cap=byte_cap)


def test_columns_carry_name_and_type_and_rows_come_in_order(postgres_url: str) -> None:
    result = ask(postgres_url, "SELECT id, name, 'sad'::mood AS m FROM customers ORDER BY id LIMIT 2")
    assert [(column.name, column.type) for column in result.columns] == [
        ("id", "bigint"),
        ("name", "character varying(40)"),
        ("m", "mood"),
    ]
    assert result.rows == [[1, "Customer 1", "sad"], [2, "Customer 2", "sad"]]
    assert not result.truncated


def test_no_row_keeps_the_columns(postgres_url: str) -> None:
    result = ask(postgres_url, "SELECT id FROM customers WHERE false")
    assert (result.rows, result.truncated, result.columns[0].name) == ([], False, "id")


@pytest.mark.parametrize(
    ("row_cap", "rows", "truncated"), [(499, 499, True), (500, 500, False), (501, 500, False), (1, 1, True)]
)
def test_the_row_cap_is_exact(postgres_url: str, row_cap: int, rows: int, *, truncated: bool) -> None:
    result = ask(postgres_url, "SELECT id FROM customers ORDER BY id", row_cap=row_cap)
    assert [row[0] for row in result.rows] == list(range(1, rows + 1))
    assert result.truncated is truncated


def test_the_byte_cap_ends_the_result(postgres_url: str) -> None:
    result = ask(postgres_url, "SELECT repeat('x', 1000) FROM generate_series(1, 500)", byte_cap=10_100)
    assert len(result.rows) == 10
    assert result.truncated


def test_percent_signs_and_colons_are_left_alone(postgres_url: str, sqlite_url: str) -> None:
    sql = "SELECT '100%', '%s %(x)s %%', ':name', '{}', 7 % 4"
    expected = [["100%", "%s %(x)s %%", ":name", "{}", 3]]
    assert ask(postgres_url, sql).rows == expected
    assert ask(sqlite_url, sql).rows == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP TABLE customers",
        "SELECT 1; SELECT 2",
        "COMMIT; DROP TABLE customers",
        "COMMIT",
        "ROLLBACK; BEGIN READ WRITE; DELETE FROM customers",
        "SET TRANSACTION READ WRITE",
        "INSERT INTO customers (id, name) VALUES (-1, 'x')",
        "WITH gone AS (DELETE FROM customers RETURNING id) SELECT * FROM gone",
        "SELECT * INTO copy FROM customers",
        "SELECT id FROM customers FOR UPDATE",
        "CREATE TABLE mine (id int)",
        "COPY customers TO '/tmp/customers.csv'",
        "COPY customers TO PROGRAM 'true'",
        "DO $$ BEGIN DELETE FROM customers; END $$",
        "EXPLAIN ANALYZE DELETE FROM customers",
        "SELECT set_config('transaction_read_only', 'off', true) FROM customers",
        "SELECT lo_create(0)",
        "SELECT 1 \0; DROP TABLE customers",
        "SELECT '\ud800'",
        "",
        "-- nothing",
    ],
)
def test_a_superuser_cannot_write_or_leave_the_transaction(postgres_url: str, sql: str) -> None:
    with pytest.raises(QueryFailed) as error:
        ask(postgres_url, sql)
    assert error.value.code == "query_failed"
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (500,)
        assert connection.execute("SELECT to_regclass('copy'), to_regclass('mine')").fetchone() == (None, None)


def test_a_failed_statement_brings_the_databases_own_words_without_hints(postgres_url: str) -> None:
    with pytest.raises(QueryFailed, match='column "emial" does not exist') as error:
        ask(postgres_url, "SELECT emial FROM customers")
    assert "email" not in str(error.value)


def test_long_messages_are_trimmed(postgres_url: str) -> None:
    with pytest.raises(QueryFailed) as error:
        ask(postgres_url, f"SELECT '{'x' * 5000}'::int")
    assert len(str(error.value)) < 600


def test_times_are_shown_in_utc(postgres_url: str) -> None:
    assert ask(postgres_url, "SELECT joined FROM customers LIMIT 1").rows == [["2026-01-01T10:00:00+00:00"]]


def test_another_dialect_than_the_urls_is_rejected(postgres_url: str) -> None:
    with pytest.raises(UrlRejected):
        run_query(postgres_url, "SELECT 1", dialect="sqlite", row_cap=1, timeout=1)


def test_sqlite_values_become_json(sqlite_url: str) -> None:
    result = ask(sqlite_url, "SELECT id, name, photo, score FROM customers ORDER BY id")
    assert result.rows == [[1, "Ann 100%", "AP8=", 1.5], [2, "Bob", None, "Infinity"], [3, "Cid", None, None]]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM customers",
        "SELECT 1; DELETE FROM customers",
        "PRAGMA query_only = OFF",
        "PRAGMA table_info(customers)",
        "SELECT * FROM pragma_table_info('customers')",
        "ATTACH 'other.sqlite' AS other",
        "VACUUM INTO 'copy.sqlite'",
        "BEGIN EXCLUSIVE",
        "CREATE TEMP TABLE t (x)",
        "SELECT load_extension('evil')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT ?",
        "",
    ],
)
def test_sqlite_runs_nothing_but_select(sqlite_url: str, sql: str) -> None:
    before = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    with pytest.raises(TargetError):
        ask(sqlite_url, sql)
    assert Path(sqlite_url.removeprefix("sqlite:///")).read_bytes() == before


def test_a_value_that_would_fill_the_memory_is_not_built(sqlite_url: str) -> None:
    with pytest.raises(QueryFailed):
        ask(sqlite_url, "SELECT length(zeroblob(2000000000) || 'x')")


def test_a_locked_sqlite_file_times_out(sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TargetError, match="locked") as error:
            run_query(sqlite_url, "SELECT * FROM customers", dialect="sqlite", row_cap=1, timeout=0.3)
        assert error.value.code == "target_timeout"
        writer.execute("ROLLBACK")
    writer.close()


def test_a_very_long_text_is_cut_and_the_result_says_so(tmp_path: Path) -> None:
    file = tmp_path / "long.sqlite"
    sqlite3.connect(file).close()
    result = run_query(
        f"sqlite:///{file}", "SELECT printf('%.*c', 100001, 'x') AS long", dialect="sqlite", row_cap=5, timeout=10
    )
    assert result.truncated
    assert result.rows == [["x" * 99_999 + "…"]]
