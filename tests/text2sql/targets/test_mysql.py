"""MySQL and MariaDB, on Debian's MariaDB: read-only, bounded, exactly as written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.text2sql.targets.mariadb import MYSQL_SALES, MariaDb
from text2sql.pipeline.schema import Column, ForeignKey
from text2sql.targets.errors import QueryFailed, TargetDenied, TargetError, TargetTimeout, TargetUnreachable
from text2sql.targets.explain import plan_cost
from text2sql.targets.introspect import read_schema
from text2sql.targets.probe import probe_target
from text2sql.targets.run import QueryResult, run_query

pytestmark = pytest.mark.services


def ask(url: str, sql: str, *, row_cap: int = 1000, byte_cap: int = 1_000_000, timeout: float = 10) -> QueryResult:
    return run_query(url, sql, dialect="mysql", row_cap=row_cap, timeout=timeout, byte_cap=byte_cap)


def test_columns_carry_name_and_type_and_rows_come_in_order(mysql_url: str) -> None:
    result = ask(mysql_url, "SELECT id, name, 1.50 AS d FROM customers ORDER BY id LIMIT 2")
    assert [(column.name, column.type) for column in result.columns] == [
        ("id", "bigint"),
        ("name", "varchar"),
        ("d", "decimal(3,2)"),
    ]
    assert result.rows == [[1, "Customer 1", "1.50"], [2, "Customer 2", "1.50"]]
    assert not result.truncated


@pytest.mark.parametrize(
    "sql", ["SELECT id FROM customers ORDER BY id", "SELECT id FROM customers ORDER BY id LIMIT 9999"]
)
@pytest.mark.parametrize(
    ("row_cap", "rows", "truncated"), [(499, 499, True), (500, 500, False), (501, 500, False), (1, 1, True)]
)
def test_the_row_cap_is_exact(mysql_url: str, row_cap: int, rows: int, sql: str, *, truncated: bool) -> None:
    result = ask(mysql_url, sql, row_cap=row_cap)
    assert [row[0] for row in result.rows] == list(range(1, rows + 1))
    assert result.truncated is truncated


def test_the_byte_cap_ends_the_result_without_reading_the_rest(mysql_url: str) -> None:
    sql = "SELECT repeat('x', 1000) FROM seq_1_to_100000000 LIMIT 100000000"
    result = ask(mysql_url, sql, row_cap=1_000_000_000, byte_cap=10_100)
    assert len(result.rows) == 10
    assert result.truncated


def test_the_text_runs_as_it_was_printed(mysql_url: str) -> None:
    sql = r"""SELECT '100%', '%s %(x)s %%', ':name', 7 % 4, 'a\\b', 'it''s', 'n\n', 'INTO', 1 OR 0"""
    assert ask(mysql_url, sql).rows == [["100%", "%s %(x)s %%", ":name", 3, "a\\b", "it's", "n\n", "INTO", 1]]


@pytest.mark.parametrize(
    "global_mode", ["ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,ORACLE", "", "ONLY_FULL_GROUP_BY"]
)
def test_the_servers_sql_mode_does_not_change_what_text_means(mariadb: MariaDb, global_mode: str) -> None:
    before = mariadb.rows("SELECT @@global.sql_mode")[0][0]
    mariadb.execute(f"SET GLOBAL sql_mode = '{global_mode}'")
    try:
        with mariadb.database(MYSQL_SALES) as name:
            sql = r"""SELECT "a", 'x\\', 1 || 0, name FROM customers GROUP BY id ORDER BY id LIMIT 1"""
            assert ask(mariadb.url(name), sql).rows == [["a", "x\\", 1, "Customer 1"]]
    finally:
        mariadb.execute(f"SET GLOBAL sql_mode = '{before}'")


REFUSED = [
    "SELECT 1; DROP TABLE customers",
    "SELECT 1; SELECT 2",
    "COMMIT",
    "ROLLBACK",
    "SET TRANSACTION READ WRITE",
    "SET @@max_statement_time = 0",
    "INSERT INTO customers (id, name) VALUES (-1, 'x')",
    "DELETE FROM customers",
    "WITH c AS (SELECT 1) DELETE FROM customers",
    "SELECT * FROM customers FOR UPDATE",
    "DROP TABLE customers",
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE customers",
    "SELECT 1 INTO @x",
    "SELECT /*! 1 INTO @x */ 1",
    "HANDLER customers OPEN",
    "CALL nothing()",
    "DO SLEEP(0)",
    "SHOW TABLES",
    "SELECT 1 \0",
    "SELECT '\ud800'",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_an_administrator_cannot_write_or_leave_the_transaction(mariadb: MariaDb, mysql_url: str, sql: str) -> None:
    with pytest.raises(TargetError):
        ask(mysql_url, sql)
    assert mariadb.rows("SELECT count(*) FROM customers", make_url(mysql_url).database) == ((500,),)
    count = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()"
    assert mariadb.rows(count, make_url(mysql_url).database) == ((4,),)


@pytest.mark.parametrize("sql", [sql for sql in REFUSED if "FOR UPDATE" not in sql])
def test_what_is_no_query_is_not_planned_either(mysql_url: str, sql: str) -> None:
    with pytest.raises(TargetError):
        plan_cost(mysql_url, sql, dialect="mysql", timeout=10)


@pytest.mark.parametrize("tail", ["", " -- ", " /*"])
def test_no_file_is_written(mariadb: MariaDb, mysql_url: str, tail: str) -> None:
    path = Path(mariadb.socket).parent / "data" / "out.txt"
    with pytest.raises(QueryFailed):
        ask(mysql_url, f"SELECT 1 INTO OUTFILE '{path}'{tail}")
    assert not path.exists()


def test_even_the_session_underneath_refuses_to_write(mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the look at the text, as if it had been fooled.
    monkeypatch.setattr("text2sql.targets.mysql.session._require_query", lambda _: None)
    for sql in ("DELETE FROM customers", "DROP TABLE customers", "CREATE TABLE mine (id int)", "SELECT 1; SELECT 2"):
        with pytest.raises(QueryFailed):
            ask(mysql_url, sql)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CAST(12345678901234567890.10 AS decimal(30,2))", "12345678901234567890.10"),
        ("18446744073709551615", 18446744073709551615),
        ("1.5e0", 1.5),
        ("true", 1),
        ("NULL", None),
        ("DATE '2026-02-28'", "2026-02-28"),
        ("TIMESTAMP '2026-02-28 10:00:00.250'", "2026-02-28T10:00:00.250"),
        ("CAST('838:59:59' AS time)", "838:59:59"),
        ("x'00ff'", "AP8="),
        ("json_object('a', 1.5)", '{"a": 1.5}'),
        ("'größe 🦆'", "größe 🦆"),
        ("cast('67e55044-10b1-426f-9247-bb680e5fe0c8' AS uuid)", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
        ("point(1, 2)", "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="),
    ],
)
def test_values_become_json(mysql_url: str, expression: str, expected: object) -> None:
    assert ask(mysql_url, f"SELECT {expression}").rows == [[expected]]


def test_stored_values_of_every_kind_become_json(mariadb: MariaDb) -> None:
    script = """
        CREATE TABLE kinds (
            b bit(9), y year, e enum('a', 'b'), s set('a', 'b'), t timestamp NULL, d date, o blob, f float
        );
        SET sql_mode = '';
        INSERT INTO kinds VALUES (b'100000001', 2026, 'b', 'a,b', '2026-01-01 10:00:00', '0000-00-00', 'x', 0.5);
    """
    with mariadb.database(script) as name:
        result = ask(mariadb.url(name), "SELECT * FROM kinds")
    assert result.rows == [[257, 2026, "b", "a,b", "2026-01-01T10:00:00", "0000-00-00", "eA==", 0.5]]
    assert [column.type for column in result.columns] == [
        "bit", "year", "enum", "set", "timestamp", "date", "blob", "float",
    ]  # fmt: skip


def test_the_structure_is_read_with_types_comments_keys_and_estimates(mysql_url: str) -> None:
    schema = read_schema(mysql_url, timeout=20)
    assert schema.dialect == "mysql"
    assert [table.qualified_name for table in schema.tables] == ["big_orders", "customers", "orders", "secrets"]
    view, customers, orders, _ = schema.tables
    assert view.is_view
    assert view.comment == ""
    assert customers.comment == "Who buys"
    assert customers.columns == (
        Column("id", "bigint(20)", nullable=False),
        Column("name", "varchar(40)", nullable=False),
        Column("email", "text", comment="Private; % and :name stay as they are"),
    )
    assert customers.row_estimate == 500
    assert orders.primary_key == ("id", "line")
    assert orders.foreign_keys == (ForeignKey(("customer_id",), "customers", ("id",)),)
    assert read_schema(mysql_url, timeout=20).version == schema.version


def test_another_database_that_the_role_may_read_is_qualified(mariadb: MariaDb, mysql_url: str) -> None:
    with mariadb.database("CREATE TABLE boxes (id int)") as other:
        names = [table.qualified_name for table in read_schema(mysql_url, timeout=20).tables]
        assert f"{other}.boxes" in names
    assert not [name for name in names if name.startswith(("mysql.", "sys.", "information_schema."))]


def test_only_what_the_role_may_read_is_listed(mysql_reader_url: str) -> None:
    tables = {table.name: [c.name for c in table.columns] for table in read_schema(mysql_reader_url, timeout=20).tables}
    assert tables == {
        "big_orders": ["id", "line", "customer_id", "total"],
        "customers": ["id", "name", "email"],
        "orders": ["id", "line", "customer_id"],
    }


def test_a_table_or_column_without_select_is_denied(mysql_reader_url: str) -> None:
    for sql, word in (("SELECT * FROM secrets", "secrets"), ("SELECT total FROM orders", "total")):
        with pytest.raises(TargetDenied, match=word):
            ask(mysql_reader_url, sql)


def test_the_probe_tells_what_a_role_may_do_beyond_reading(mysql_url: str, mysql_reader_url: str) -> None:
    admin, reader = probe_target(mysql_url, timeout=10), probe_target(mysql_reader_url, timeout=10)
    assert not admin.read_only
    assert any("FILE" in warning for warning in admin.warnings)
    assert any("may write" in warning for warning in admin.warnings)
    assert reader.read_only
    assert reader.warnings == ()
    assert reader.user.startswith("reader_")
    assert reader.server_version[0].isdigit()


def test_a_slow_statement_times_out_at_the_server(mysql_url: str) -> None:
    with pytest.raises(TargetTimeout, match=r"within 0\.3 seconds"):
        ask(
            mysql_url,
            "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq * b.seq = 7",
            timeout=0.3,
        )


def test_a_locked_table_is_not_waited_for_beyond_the_limit(mariadb: MariaDb, mysql_url: str) -> None:
    with mariadb.connect(make_url(mysql_url).database) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES secrets WRITE")
        with pytest.raises(TargetTimeout):
            ask(mysql_url, "SELECT * FROM secrets", timeout=0.5)


def test_a_wrong_password_and_an_unknown_database_are_denied(mysql_reader_url: str) -> None:
    url = make_url(mysql_reader_url)
    for changed in (url.set(password="hush"), url.set(database="no_such_database")):
        with pytest.raises(TargetDenied, match="refused the login") as error:
            ask(changed.render_as_string(hide_password=False), "SELECT 1")
        assert "hush" not in str(error.value)


def test_a_refused_connection_says_where(free_port: int) -> None:
    with pytest.raises(TargetUnreachable, match=f"127.0.0.1:{free_port}") as error:
        ask(f"mariadb://ann:hush@127.0.0.1:{free_port}/shop", "SELECT 1")
    assert "hush" not in str(error.value)


def test_a_server_that_accepts_and_never_answers_is_given_up(silent_port: int) -> None:
    with pytest.raises(TargetUnreachable, match="did not answer in time"):
        ask(f"mysql://ann:hush@127.0.0.1:{silent_port}/shop", "SELECT 1", timeout=1)


def test_a_killed_connection_is_reported_as_broken(mariadb: MariaDb, mysql_url: str) -> None:
    with in_background(lambda: kill_when_asleep(mariadb)), pytest.raises(TargetUnreachable, match="broke off"):
        ask(mysql_url, "SELECT sleep(30)", timeout=30)


def test_the_planner_tells_rows_and_errors(mysql_url: str) -> None:
    cheap = plan_cost(mysql_url, "SELECT name FROM customers WHERE id = 7", dialect="mysql", timeout=10)
    dear = plan_cost(mysql_url, "SELECT count(*) FROM customers a, customers b", dialect="mysql", timeout=10)
    assert cheap is not None
    assert dear is not None
    assert cheap < dear
    with pytest.raises(QueryFailed, match="emial"):
        plan_cost(mysql_url, "SELECT emial FROM customers", dialect="mysql", timeout=10)


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def kill_when_asleep(mariadb: MariaDb) -> None:
    for _ in range(200):
        for (number,) in mariadb.rows("SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"):
            mariadb.execute(f"KILL CONNECTION {number}")
            return
        threading.Event().wait(0.05)
