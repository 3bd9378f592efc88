"""What is particular about each dialect: names, stars, outputs, functions in FROM, and doors of its own."""

import pytest

from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Column, Schema, Table

ALL = ("postgres", "sqlite", "mysql", "duckdb", "snowflake", "bigquery", "tsql")
EMP = Table("emp", tuple(Column(name, "text") for name in ("id", "name", "dept_id")))
DEPT = Table("dept", tuple(Column(name, "text") for name in ("id", "title")))


def view(dialect: str) -> Schema:
    return Schema(dialect, (EMP, DEPT, Table("notes", (Column("id", "int"),), schema="other")))


def printed(sql: str, dialect: str) -> str:
    return guard_statement(sql, schema=view(dialect)).sql


def opened(sql: str, dialect: str) -> str:
    return guard_statement(sql, dialect=dialect).sql


def refusal(sql: str, dialect: str, *, is_open: bool = False) -> str:
    with pytest.raises(GuardRefusal) as refused:
        guard_statement(sql, schema=None if is_open else view(dialect), dialect=dialect)
    return refused.value.code


@pytest.mark.parametrize("dialect", ALL)
def test_the_view_holds_in_every_dialect(dialect: str) -> None:
    assert printed("SELECT e.name FROM emp e JOIN dept d ON d.id = e.dept_id", dialect)
    assert printed("SELECT id FROM other.notes", dialect)
    assert refusal("SELECT * FROM secret", dialect) == "table_not_visible"
    assert refusal("SELECT id FROM notes", dialect) == "table_not_visible"
    assert refusal("SELECT id FROM third.emp", dialect) == "table_not_visible"
    assert refusal("SELECT salary FROM emp", dialect) == "column_not_visible"
    assert refusal("SELECT 1 FROM emp e WHERE EXISTS (SELECT 1 FROM dept WHERE e.salary = 1)", dialect) == (
        "column_not_visible"
    )
    assert printed("SELECT * FROM emp", dialect) == "SELECT id, name, dept_id FROM emp"


@pytest.mark.parametrize("dialect", ALL)
def test_without_a_catalog_any_plain_table_and_column_passes(dialect: str) -> None:
    assert opened("SELECT whatever, a.b FROM anything AS a", dialect)
    assert guard_statement("SELECT 1 FROM shop.orders", dialect=dialect).tables == ("shop.orders",)
    assert refusal("SELECT * FROM information_schema.tables", dialect, is_open=True) == "catalog_not_allowed"
    assert refusal("SELECT 1 FROM t WHERE shadowy(a) = 1", dialect, is_open=True) == "function_not_allowed"


@pytest.mark.parametrize("dialect", ALL)
def test_functions_that_the_owner_allows_pass(dialect: str) -> None:
    sql = "SELECT shadowy(name) FROM emp"
    allowed = guard_statement(sql, schema=view(dialect), allowed_functions=frozenset({"shadowy"}))
    assert "shadowy(name)" in allowed.sql.lower()
    with pytest.raises(GuardRefusal):
        guard_statement("SELECT shady(name) FROM emp", schema=view(dialect), allowed_functions=frozenset({"shadowy"}))


@pytest.mark.parametrize(
    ("dialect", "today"),
    [
        ("postgres", "CURRENT_DATE"),
        ("sqlite", "DATE('now')"),
        ("mysql", "CURDATE()"),
        ("duckdb", "TODAY()"),
        ("snowflake", "CURRENT_DATE()"),
        ("bigquery", "CURRENT_DATE('Europe/Berlin')"),
        ("tsql", "CAST(GETDATE() AS DATE)"),
    ],
)
def test_todays_date_is_known(dialect: str, today: str) -> None:
    assert opened(f"SELECT {today} AS today", dialect)


def test_functions_with_a_schema_are_allowed_by_their_whole_name() -> None:
    sql = "SELECT dbo.net_price(name) FROM emp"
    assert refusal(sql, "tsql") == "not_allowed"
    assert refusal("SELECT sales.net_price(name) FROM emp", "bigquery") == "function_not_allowed"
    assert guard_statement(
        sql.replace("dbo", "sales"), schema=view("bigquery"), allowed_functions=frozenset({"sales.net_price"})
    ).sql


def test_the_statement_comes_with_its_tree_and_its_tables() -> None:
    guarded = guard_statement("SELECT * FROM dept, emp", schema=view("mysql"))
    assert guarded.tree.sql("mysql") == "SELECT * FROM dept, emp"
    assert [table.name for table in guarded.resolved] == ["dept", "emp"]
    with pytest.raises(GuardRefusal) as refused:
        guard_statement("SELECT nme FROM emp", schema=view("mysql"))
    assert refused.value.tree is not None
    assert refused.value.tree.sql("mysql") == "SELECT nme FROM emp"


def test_unquoted_names_fold_upwards_in_snowflake() -> None:
    schema = Schema("snowflake", (Table("EMP", (Column("ID", "int"), Column("Mixed", "int"))),))
    assert guard_statement("SELECT id FROM emp", schema=schema).sql == "SELECT id FROM emp"
    assert guard_statement('SELECT "ID", "Mixed" FROM "EMP"', schema=schema).sql
    for sql in ("SELECT mixed FROM emp", 'SELECT id FROM "Emp"'):
        with pytest.raises(GuardRefusal):
            guard_statement(sql, schema=schema)
    assert guard_statement("SELECT * FROM emp", schema=schema).sql == 'SELECT ID, "Mixed" FROM emp'


def test_table_names_whose_case_may_matter_are_written_as_the_catalog_has_them() -> None:
    for dialect in ("mysql", "bigquery", "tsql"):
        assert printed("SELECT EMP.NAME FROM EMP", dialect) == "SELECT emp.NAME FROM emp"
    both = Schema("mysql", (Table("emp", (Column("id", "int"),)), Table("Emp", (Column("key", "int"),))))
    assert guard_statement("SELECT * FROM Emp", schema=both).sql == "SELECT `key` FROM Emp"
    assert guard_statement("SELECT * FROM emp", schema=both).sql == "SELECT id FROM emp"


def test_stars_can_leave_columns_out_where_the_dialect_has_it() -> None:
    assert printed("SELECT * EXCEPT (name) FROM emp", "bigquery") == "SELECT id, dept_id FROM emp"
    assert printed("SELECT * EXCLUDE (name) FROM emp", "duckdb") == "SELECT id, dept_id FROM emp"
    assert printed("SELECT * REPLACE (UPPER(name) AS name) FROM emp", "duckdb") == (
        "SELECT id, UPPER(name) AS name, dept_id FROM emp"
    )
    assert printed("SELECT * RENAME (id AS no) FROM emp", "snowflake") == "SELECT id AS no, name, dept_id FROM emp"
    assert refusal("SELECT * REPLACE (salary AS id) FROM emp", "duckdb") == "column_not_visible"
    assert refusal("SELECT COLUMNS('.*') FROM emp", "duckdb") == "name_the_columns"
    assert refusal("SELECT OBJECT_CONSTRUCT(*) FROM emp", "snowflake") == "whole_row"


def test_outputs_can_be_named_where_the_dialect_lets_them() -> None:
    sql = "SELECT dept_id AS d, COUNT(*) AS n FROM emp GROUP BY d HAVING n > 1 ORDER BY n"
    for dialect in ("mysql", "duckdb", "snowflake", "bigquery", "sqlite"):
        assert "GROUP BY 1 HAVING (COUNT(*)) > 1" in printed(sql, dialect)
    assert refusal(sql, "postgres") == "column_not_visible"
    assert refusal("SELECT dept_id AS d FROM emp GROUP BY d", "tsql") == "column_not_visible"
    assert (
        printed("SELECT id + 1 AS a, a * 2 AS b FROM emp", "duckdb") == "SELECT id + 1 AS a, (id + 1) * 2 AS b FROM emp"
    )
    ranked = "SELECT name, ROW_NUMBER() OVER (ORDER BY id) AS r FROM emp QUALIFY r = 1"
    assert "QUALIFY (ROW_NUMBER() OVER (ORDER BY id)) = 1" in printed(ranked, "snowflake")
    assert printed("SELECT dept_id, COUNT(*) FROM emp GROUP BY ALL", "duckdb").endswith("GROUP BY ALL")
    assert refusal("SELECT dept_id, COUNT(*) FROM emp GROUP BY ALL", "postgres") == "not_allowed"


def test_a_pivot_sees_only_the_visible_columns() -> None:
    inner = "(SELECT id, name, dept_id FROM emp) AS emp"
    assert printed("PIVOT emp ON dept_id USING count(*)", "duckdb") == f"PIVOT {inner} ON dept_id USING COUNT(*)"
    pivot = "SELECT * FROM emp PIVOT (COUNT(id) FOR dept_id IN ({})) AS p"
    assert inner in printed(pivot.format("1, 2"), "duckdb")
    assert "FROM (SELECT id AS id, name AS name, dept_id AS dept_id FROM emp) AS emp PIVOT" in (
        printed(pivot.format("[1], [2]"), "tsql")
    )
    assert inner in printed(pivot.format("'a'"), "snowflake")
    assert refusal("PIVOT secret ON a USING count(*)", "duckdb") == "table_not_visible"
    assert refusal("PIVOT emp ON id USING max((SELECT 1))", "duckdb") == "not_allowed"


def test_fields_of_a_column_pass_and_those_of_a_stranger_do_not() -> None:
    assert printed("SELECT dept_id.a.b, e.name.c FROM emp e", "bigquery")
    assert printed("SELECT name.upper() FROM emp", "duckdb") == "SELECT UPPER(name) FROM emp"
    for sql in ("SELECT salary.a FROM emp", "SELECT e.salary.a FROM emp e", "SELECT emp.salary.a.b.c FROM emp"):
        assert refusal(sql, "bigquery") == "column_not_visible"
        assert refusal(sql, "duckdb") == "column_not_visible"
    assert refusal("SELECT salary.upper() FROM emp", "duckdb") == "column_not_visible"
    assert refusal("SELECT e.salary.upper() FROM emp e", "duckdb") == "function_not_allowed"


def test_fields_of_unnested_rows_cannot_mean_a_hidden_column() -> None:
    sql = "SELECT (SELECT salary FROM UNNEST(name)) FROM emp"
    assert printed(sql, "bigquery") == "SELECT (SELECT element_1.salary FROM UNNEST(emp.name) AS element_1) FROM emp"
    assert printed("SELECT h.page FROM emp, UNNEST(name) AS h", "bigquery") == (
        "SELECT h.page FROM emp CROSS JOIN UNNEST(name) AS h"
    )
    assert refusal("SELECT salary FROM emp, (SELECT 1 AS a) salary", "duckdb") == "whole_row"
    assert refusal("SELECT salary FROM emp, (SELECT ABS(1))", "postgres") == "alias_missing"


def test_lambdas_and_comprehensions_have_names_of_their_own() -> None:
    assert printed("SELECT list_transform([1], x -> x + 1), [y * 2 FOR y IN [1] IF y > 0] FROM emp", "duckdb")
    assert refusal("SELECT list_transform([1], x -> salary) FROM emp", "duckdb") == "column_not_visible"
    assert refusal("SELECT list_transform(['HOME'], x -> getenv(x))", "duckdb") == "function_not_allowed"


def test_functions_in_from_give_the_columns_of_their_dialect() -> None:
    assert printed("SELECT f.value, f.index FROM emp e, LATERAL FLATTEN(INPUT => e.name) f", "snowflake")
    assert refusal("SELECT f.valeu FROM emp e, LATERAL FLATTEN(INPUT => e.name) f", "snowflake") == "column_not_visible"
    assert printed("SELECT s.value FROM emp e CROSS APPLY STRING_SPLIT(e.name, ',') s", "tsql")
    assert refusal("SELECT s.valeu FROM emp e CROSS APPLY STRING_SPLIT(e.name, ',') s", "tsql") == "column_not_visible"
    table = "SELECT j.a FROM emp e, JSON_TABLE(e.name, '$[*]' COLUMNS ({} INT PATH '$.a')) AS j"
    assert printed(table.format("a"), "mysql")
    assert printed("SELECT i FROM range(3) t(i)", "duckdb")


@pytest.mark.parametrize(
    ("dialect", "sql", "code"),
    [
        ("tsql", "SELECT 1 SHUTDOWN", "not_one_statement"),
        ("tsql", "SELECT id FROM emp CHECKPOINT", "not_one_statement"),
        ("tsql", "SELECT id FROM emp WITH (UPDLOCK)", "hint"),
        ("tsql", "SELECT id FROM emp OPTION (QUERYTRACEON 1)", "hint"),
        ("tsql", "SELECT * FROM linked.shop.dbo.emp", "not_allowed"),
        ("tsql", "SELECT * FROM master..syslogins", "catalog_not_allowed"),
        ("tsql", "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", "unbounded_recursion"),
        ("snowflake", "SELECT * FROM TABLE('emp')", "not_allowed"),
        ("snowflake", "SELECT * FROM IDENTIFIER('emp')", "function_not_allowed"),
        ("snowflake", "SELECT * FROM @stage/x", "path_as_table"),
        ("snowflake", "SELECT SYSTEM$WAIT(1)", "function_not_allowed"),
        ("snowflake", "SELECT emp.nextval FROM emp", "function_not_allowed"),
        ("snowflake", "SELECT 1 FROM TABLE(GENERATOR(TIMELIMIT => 60))", "too_large"),
        ("bigquery", "SELECT * FROM `other.ds.emp`", "table_not_visible"),
        ("bigquery", "SELECT * FROM EXTERNAL_QUERY('c', 'x')", "function_not_allowed"),
        ("bigquery", "SELECT * FROM `ds.INFORMATION_SCHEMA.TABLES`", "catalog_not_allowed"),
        ("bigquery", "SELECT * FROM `emp*`", "table_not_visible"),
        ("duckdb", "SELECT * FROM 'x.parquet'", "path_as_table"),
        ("duckdb", "SELECT * FROM (DESCRIBE emp)", "not_allowed"),
        ("duckdb", "SELECT ('HOME').getenv()", "function_not_allowed"),
        ("mysql", "SELECT 1 --1; DROP TABLE emp", "not_one_statement"),
        ("mysql", "SELECT /*!50000 1 */ + 1", "executable_comment"),
        ("mysql", "SELECT @a := 1", "not_allowed"),
        ("mysql", "SELECT @@version", "parameter"),
        ("mysql", "SELECT SQL_CALC_FOUND_ROWS id FROM emp", "not_allowed"),
        ("sqlite", "SELECT $name FROM emp", "parameter"),
    ],
)
def test_each_dialects_own_doors_are_closed(dialect: str, sql: str, code: str) -> None:
    assert refusal(sql, dialect) == code


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("tsql", "SELECT TOP 3 id FROM emp WITH (NOLOCK) ORDER BY id"),
        ("tsql", "SELECT STUFF((SELECT ',' + name FROM emp FOR XML PATH('')), 1, 1, '') AS names"),
        ("mysql", "SELECT id FROM emp USE INDEX (i1)"),
        ("mysql", "SELECT 1 FROM dual"),
        ("snowflake", "SELECT level, id FROM t CONNECT BY PRIOR id = parent"),
        ("bigquery", "SELECT AVG(x) FROM `p.d.events_*` WHERE _TABLE_SUFFIX = '20260101'"),
        ("duckdb", "SELECT * FROM a ASOF JOIN b ON a.k = b.k AND a.t >= b.t"),
    ],
)
def test_what_analysts_write_passes_in_its_dialect(dialect: str, sql: str) -> None:
    assert opened(sql, dialect)


@pytest.mark.parametrize("dialect", ["mysql", "bigquery", "snowflake"])
def test_backslashes_in_strings_are_read_and_written_alike(dialect: str) -> None:
    sql = r"SELECT 'it\'s', 'a\\', ' OR shadowy() -- ' FROM emp"
    once = printed(sql, dialect)
    assert printed(once, dialect) == once
    assert refusal(r"SELECT 'a\\' OR shadowy() -- '", dialect) == "function_not_allowed"
