"""DuckDB: read-only, bounded, with no way out of the file."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from text2sql.pipeline.schema import Column, ForeignKey
from text2sql.targets.duckdb.session import CONFIG
from text2sql.targets.engines import open_target
from text2sql.targets.errors import QueryFailed, TargetError, TargetTimeout, TargetUnreachable
from text2sql.targets.explain import plan_cost
from text2sql.targets.introspect import read_schema
from text2sql.targets.probe import probe_target
from text2sql.targets.run import QueryResult, run_query

ENDLESS = "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE hash(a.range, b.range) = 7"


def ask(url: str, sql: str, *, row_cap: int = 1000, byte_cap: int = 1_000_000, timeout: float = 20) -> QueryResult:
    return run_query(url, sql, dialect="duckdb", row_cap=row_cap, timeout=timeout, byte_cap=byte_cap)


def test_columns_carry_name_and_type_and_rows_come_in_order(duckdb_url: str) -> None:
    result = ask(duckdb_url, 'SELECT id, name AS "ID", 1.50 FROM customers ORDER BY customers.id DESC LIMIT 2 -- done')
    assert [(column.name, column.type) for column in result.columns] == [
        ("id", "BIGINT"),
        ("ID", "VARCHAR"),
        ("1.50", "DECIMAL(3,2)"),
    ]
    assert result.rows == [[500, "Customer 500", "1.50"], [499, "Customer 499", "1.50"]]


@pytest.mark.parametrize(
    ("row_cap", "rows", "truncated"), [(499, 499, True), (500, 500, False), (501, 500, False), (1, 1, True)]
)
def test_the_row_cap_is_exact(duckdb_url: str, row_cap: int, rows: int, *, truncated: bool) -> None:
    result = ask(duckdb_url, "SELECT id FROM customers ORDER BY id", row_cap=row_cap)
    assert [row[0] for row in result.rows] == list(range(1, rows + 1))
    assert result.truncated is truncated


def test_the_byte_cap_ends_a_result_without_end(duckdb_url: str) -> None:
    result = ask(duckdb_url, "SELECT repeat('x', 1000) FROM range(1000000000000)", row_cap=10**9, byte_cap=10_100)
    assert len(result.rows) == 10
    assert result.truncated


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP TABLE customers",
        "SELECT 1; SELECT 2",
        "DELETE FROM customers",
        "CREATE TABLE mine (id INTEGER)",
        "CREATE TEMP TABLE mine (id INTEGER)",
        "COMMIT",
        "SET memory_limit = '64GB'",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "ATTACH 'other.duckdb'",
        "ATTACH ':memory:' AS mine",
        "DETACH memory",
        "INSTALL httpfs",
        "LOAD httpfs",
        "COPY customers TO 'customers.csv'",
        "EXPORT DATABASE 'dump'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd.csv'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT getenv('PATH')",
        "SELECT * FROM duckdb_url",
        "SELECT 1 AS ) FROM (SELECT 2",
        "SELECT $1",
        "SELECT 1 \0",
        "",
        "-- nothing",
    ],
)
def test_nothing_but_one_query_of_the_file_runs(duckdb_url: str, sql: str) -> None:
    path = Path(duckdb_url.removeprefix("duckdb:///"))
    before, files = path.read_bytes(), set(path.parent.iterdir())
    with pytest.raises(TargetError):
        ask(duckdb_url, sql)
    with pytest.raises(TargetError):
        plan_cost(duckdb_url, sql, dialect="duckdb", timeout=10)
    assert path.read_bytes() == before
    assert set(path.parent.iterdir()) == files


def test_even_the_session_underneath_refuses_to_write_and_to_reach_out(duckdb_url: str, tmp_path: Path) -> None:
    # Without the look at the statement's kind, as if it had been fooled.
    with open_target(duckdb_url, timeout=10) as session:
        connection = session._connection  # type: ignore[attr-defined]  # DuckDB's session has one
        for sql in (
            "DELETE FROM customers",
            "CREATE TABLE mine (id INTEGER)",
            f"ATTACH '{tmp_path}/other.duckdb'",
            f"COPY customers TO '{tmp_path}/customers.csv'",
            "SET enable_external_access = true",
            "SET memory_limit = '64GB'",
            "CREATE TABLE memory.main.mine (id INTEGER)",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)


def test_a_failed_statement_brings_the_databases_own_words_without_hints(duckdb_url: str) -> None:
    with pytest.raises(QueryFailed, match="emial") as error:
        ask(duckdb_url, "SELECT emial FROM customers")
    assert '"email"' not in str(error.value)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("170141183460469231731687303715884105727", 170141183460469231731687303715884105727),
        ("12345678901234567890.10::DECIMAL(38,2)", "12345678901234567890.10"),
        ("1.5::DOUBLE", 1.5),
        ("'nan'::DOUBLE", "NaN"),
        ("'-infinity'::FLOAT", "-Infinity"),
        ("true", True),
        ("NULL", None),
        ("DATE '2026-02-28'", "2026-02-28"),
        ("DATE 'infinity'", "infinity"),
        ("TIMESTAMP '2026-02-28 10:00:00.25'", "2026-02-28T10:00:00.25"),
        ("TIMESTAMP_NS '2026-02-28 10:00:00.123456789'", "2026-02-28T10:00:00.123456789"),
        ("TIMESTAMPTZ '2026-02-28 10:00:00+02'", "2026-02-28T08:00:00+00:00"),
        ("TIME '10:00:00'", "10:00:00"),
        ("INTERVAL 1 MONTH", "1 month"),
        ("'\\xAA'::BLOB", "qg=="),
        ("'101'::BIT", "101"),
        ("'67e55044-10b1-426f-9247-bb680e5fe0c8'::UUID", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
        ("'x'::ENUM('x', 'y')", "x"),
        ("""'{"a": [1, null]}'::JSON""", {"a": [1, None]}),
        ("[1, NULL, 3]", [1, None, 3]),
        ("[1.25::DECIMAL(4,2)]", ["1.25"]),
        ("['nan'::DOUBLE]", ["NaN"]),
        ("{'a': DATE '2026-01-01', 'b': [1]}", {"a": "2026-01-01", "b": [1]}),
        ("MAP {'k': 1}", {"k": 1}),
        ("union_value(n := 3)", {"n": 3}),
    ],
)
def test_values_become_json(duckdb_url: str, expression: str, expected: object) -> None:
    assert ask(duckdb_url, f"SELECT {expression}").rows == [[expected]]


def test_the_structure_is_read_with_comments_and_keys(duckdb_url: str) -> None:
    schema = read_schema(duckdb_url, timeout=20)
    assert [table.qualified_name for table in schema.tables] == [
        "big_orders",
        "customers",
        "orders",
        "stock.Item Types",
    ]
    view, customers, orders, items = schema.tables
    assert view.is_view
    assert customers.comment == "Who buys"
    assert customers.columns == (
        Column("id", "BIGINT", nullable=False),
        Column("name", "VARCHAR", nullable=False),
        Column("email", "VARCHAR", comment="Private; % and :name stay as they are"),
    )
    assert customers.row_estimate == 500
    assert orders.primary_key == ("id", "line")
    assert orders.foreign_keys == (ForeignKey(("customer_id",), "customers", ("id",)),)
    assert [column.name for column in items.columns] == ["code", "order"]
    assert read_schema(duckdb_url, timeout=20).version == schema.version


def test_the_probe_names_the_file(duckdb_url: str) -> None:
    probe = probe_target(duckdb_url, timeout=10)
    assert (probe.dialect, probe.database, probe.user, probe.read_only) == ("duckdb", "shop 1%'s.duckdb", "", True)
    assert probe.warnings == ()


def test_the_planner_tells_rows_and_errors(duckdb_url: str) -> None:
    cheap = plan_cost(duckdb_url, "SELECT name FROM customers WHERE id = 7", dialect="duckdb", timeout=10)
    dear = plan_cost(duckdb_url, "SELECT * FROM customers a, customers b", dialect="duckdb", timeout=10)
    assert cheap is not None
    assert dear is not None
    assert cheap < dear
    with pytest.raises(QueryFailed, match="emial"):
        plan_cost(duckdb_url, "SELECT emial FROM customers", dialect="duckdb", timeout=10)


def test_an_endless_query_times_out(duckdb_url: str) -> None:
    with pytest.raises(TargetTimeout, match=r"within 0\.3 seconds"):
        ask(duckdb_url, ENDLESS, timeout=0.3)


def test_a_query_beyond_the_memory_limit_fails_and_writes_nothing(
    duckdb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIG, "memory_limit", "20MB")
    files = set(tmp_path.iterdir())
    with pytest.raises(QueryFailed, match="memory"):
        ask(duckdb_url, "SELECT range, hash(range) FROM range(5000000) ORDER BY hash(range)")
    assert set(tmp_path.iterdir()) == files


def test_a_file_that_someone_writes_to_is_reported_as_busy(duckdb_url: str) -> None:
    path = duckdb_url.removeprefix("duckdb:///")
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(  # noqa: S603 this Python and a file of the test's own
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(TargetTimeout, match="open for writing"):
            ask(duckdb_url, "SELECT 1")
        writer.communicate("")
    assert ask(duckdb_url, "SELECT 1").rows == [[1]]


def test_no_file_is_held_between_two_statements(duckdb_url: str) -> None:
    ask(duckdb_url, "SELECT 1")
    with duckdb.connect(duckdb_url.removeprefix("duckdb:///")) as writer:
        writer.execute("INSERT INTO customers VALUES (501, 'New', NULL)")
    assert ask(duckdb_url, "SELECT max(id) FROM customers").rows == [[501]]


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(TargetUnreachable, match=r"no DuckDB file gone\.duckdb"):
        ask(f"duckdb:///{tmp_path}/gone.duckdb", "SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path, sqlite_url: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, this is not a database. " * 1000)
    for url in (f"duckdb:///{path}", sqlite_url.replace("sqlite:", "duckdb:")):
        with pytest.raises(TargetUnreachable, match="no database"):
            ask(url, "SELECT 1")
