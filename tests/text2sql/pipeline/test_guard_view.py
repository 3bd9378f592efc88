"""Tables and columns outside the team's view stay out of reach, whatever the statement says."""

import pytest

from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Column, Schema, Table

FULL = Schema(
    "postgres",
    (
        Table("emp", (Column("id", "int"), Column("name", "text"), Column("dept_id", "int"), Column("salary", "int"))),
        Table("dept", (Column("id", "int"), Column("title", "text"), Column("salary", "int"))),
        Table("secret", (Column("id", "int"),)),
        Table("Mixed Case", (Column("Id", "int"), Column("order", "int"))),
        Table("notes", (Column("id", "int"),), schema="other"),
    ),
    "public",
)
VISIBLE = FULL.restricted(
    tables=frozenset({"emp", "dept", "Mixed Case", "other.notes"}),
    hidden_columns=frozenset({"emp.salary", "dept.salary"}),
)


def printed(sql: str, dialect: str = "postgres") -> str:
    return guard_statement(sql, schema=Schema(dialect, VISIBLE.tables, "public")).sql


def refused(sql: str, dialect: str = "postgres") -> GuardRefusal:
    with pytest.raises(GuardRefusal) as refusal:
        printed(sql, dialect)
    return refusal.value


def test_a_hidden_table_and_one_that_does_not_exist_are_refused_in_the_same_words() -> None:
    hidden, missing = refused("SELECT * FROM secret"), refused("SELECT * FROM sacred")
    assert hidden.code == missing.code == "table_not_visible"
    assert hidden.message.replace("secret", "sacred") == missing.message
    assert hidden.message == 'The table "secret" is not in this team\'s view.'


def test_a_hidden_column_and_one_that_does_not_exist_are_refused_in_the_same_words() -> None:
    hidden, missing = refused("SELECT salary FROM emp"), refused("SELECT calory FROM emp")
    assert hidden.code == missing.code == "column_not_visible"
    assert hidden.message.replace("salary", "calory") == missing.message


def test_the_nearest_visible_name_is_offered() -> None:
    assert "Did you mean title?" in refused("SELECT titel FROM dept").message
    assert "Did you mean dept?" in refused("SELECT 1 FROM depts").message
    assert 'Did you mean "Mixed Case"?' in refused('SELECT 1 FROM "mixed case"').message


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM secret",
        "SELECT * FROM public.secret",
        "SELECT * FROM other.emp",
        "SELECT * FROM db.public.emp",
        'SELECT * FROM "EMP"',
        "SELECT (SELECT count(*) FROM secret)",
        "SELECT 1 FROM emp WHERE EXISTS (SELECT 1 FROM secret)",
        "SELECT 1 FROM emp ORDER BY (SELECT id FROM secret)",
        "SELECT 1 FROM emp LIMIT (SELECT id FROM secret)",
        "SELECT 1 FROM emp JOIN secret ON true",
        "SELECT 1 FROM emp, LATERAL (SELECT id FROM secret) s",
        "SELECT 1 FROM (emp CROSS JOIN secret)",
        "SELECT id FROM emp UNION SELECT id FROM secret",
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        "WITH a AS (SELECT * FROM secret), secret AS (SELECT 1 AS id) SELECT * FROM a",
        "SELECT * FROM (WITH secret AS (SELECT 1 AS id) SELECT id FROM secret) s, secret",
        "WITH a AS (WITH secret AS (SELECT 1 AS id) SELECT id FROM secret) SELECT a.id FROM a, secret",
        "(WITH secret AS (SELECT 1 AS id) SELECT id FROM secret) UNION SELECT id FROM secret",
        "WITH secret AS (SELECT 1 AS id) SELECT * FROM public.secret",
        "SELECT sum(id) OVER (ROWS BETWEEN (SELECT id FROM secret) PRECEDING AND CURRENT ROW) FROM emp",
        "SELECT (ARRAY[1, 2])[(SELECT id FROM secret)]",
        "SELECT ARRAY(SELECT id FROM secret)",
        "SELECT CASE WHEN 1 = ANY(SELECT id FROM secret) THEN 1 END",
        "SELECT * FROM generate_series(1, (SELECT id FROM secret)) g",
        "VALUES ((SELECT id FROM secret)) UNION SELECT 1",
        "SELECT * FROM (VALUES ((SELECT id FROM secret))) v(x)",
        "TABLE secret",
    ],
)
def test_no_place_in_a_statement_reaches_a_hidden_table(sql: str) -> None:
    assert refused(sql).code == "table_not_visible"


def test_a_cte_may_have_the_name_of_a_hidden_table() -> None:
    assert printed("WITH secret AS (SELECT id FROM emp) SELECT id FROM secret")
    assert printed("WITH secret AS (SELECT 1 AS id) SELECT (SELECT max(id) FROM secret) FROM emp")
    assert printed("WITH emp AS (SELECT 1 AS salary) SELECT salary FROM emp")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM emp", "SELECT id, name, dept_id FROM emp"),
        ("SELECT e.* FROM emp e", "SELECT id, name, dept_id FROM emp AS e"),
        ('SELECT * FROM "Mixed Case"', 'SELECT "Id", "order" FROM "Mixed Case"'),
        (
            "SELECT emp.*, d.title FROM emp, (SELECT * FROM dept) d",
            "SELECT emp.id, emp.name, emp.dept_id, d.title FROM emp, (SELECT id, title FROM dept) AS d",
        ),
        (
            "SELECT * FROM emp JOIN dept USING (id)",
            "SELECT id, emp.name, emp.dept_id, dept.title FROM emp JOIN dept USING (id)",
        ),
        (
            "SELECT * FROM emp NATURAL JOIN dept",
            "SELECT id, emp.name, emp.dept_id, dept.title FROM emp JOIN dept USING (id)",
        ),
        ("TABLE dept", "SELECT id, title FROM dept"),
        ("SELECT count(*) FROM emp", "SELECT COUNT(*) FROM emp"),
        ("SELECT public.emp.name FROM public.emp", "SELECT emp.name FROM public.emp"),
    ],
)
def test_stars_show_the_visible_columns(sql: str, expected: str) -> None:
    assert printed(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT salary FROM emp",
        "SELECT e.salary FROM emp e",
        "SELECT emp.salary FROM emp",
        "SELECT public.emp.salary FROM emp",
        'SELECT "salary" FROM emp',
        "SELECT name FROM emp WHERE salary > 1",
        "SELECT name FROM emp ORDER BY salary",
        "(SELECT name FROM emp) ORDER BY salary",
        "((SELECT name FROM emp)) ORDER BY salary LIMIT 1",
        "SELECT name FROM emp UNION SELECT title FROM dept ORDER BY salary",
        "SELECT name FROM emp GROUP BY name, salary",
        "SELECT count(*) FROM emp GROUP BY GROUPING SETS ((name), (salary))",
        "SELECT count(*) FROM emp HAVING max(salary) > 1",
        "SELECT DISTINCT ON (salary) name FROM emp",
        "SELECT rank() OVER (ORDER BY salary) FROM emp",
        "SELECT rank() OVER w FROM emp WINDOW w AS (PARTITION BY salary)",
        "SELECT string_agg(name, ',' ORDER BY salary) FROM emp",
        "SELECT count(*) FILTER (WHERE salary > 1) FROM emp",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) FROM emp",
        "SELECT 1 FROM emp e JOIN dept d ON e.salary = d.id",
        "SELECT 1 FROM emp JOIN dept USING (salary)",
        "SELECT 1 FROM emp e, LATERAL (SELECT e.salary) s",
        "SELECT 1 FROM emp WHERE EXISTS (SELECT 1 FROM dept WHERE emp.salary > dept.id)",
        "SELECT (SELECT salary) FROM emp",
        "SELECT s.salary FROM (SELECT * FROM emp) s",
        "WITH s AS (SELECT * FROM emp) SELECT salary FROM s",
        "SELECT extract(epoch FROM salary) FROM emp",
        "SELECT name FROM emp LIMIT (SELECT salary)",
        "SELECT g FROM emp, generate_series(1, salary) g",
        "SELECT ctid FROM emp",
        "SELECT xmin FROM emp",
        "SELECT x.name FROM emp",
    ],
)
def test_no_place_in_a_statement_reaches_a_hidden_column(sql: str) -> None:
    assert refused(sql).code == "column_not_visible"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT emp FROM emp",
        "SELECT e FROM emp e",
        "SELECT row_to_json(e) FROM emp e",
        "SELECT to_jsonb(emp) FROM emp",
        "SELECT row_to_json(e.*) FROM emp e",
        "SELECT count(e) FROM emp e",
        "SELECT count(e.*) FROM emp e",
        "SELECT e.*::text FROM emp e",
        "SELECT e::text FROM emp e",
        "SELECT ROW(e.*) FROM emp e",
        "SELECT 1 FROM emp e WHERE e IS NOT NULL",
        "SELECT DISTINCT e FROM emp e ORDER BY e",
        "SELECT json_agg(e) FROM emp e",
        "SELECT s FROM (SELECT name FROM emp) s",
    ],
)
def test_whole_rows_are_refused(sql: str) -> None:
    assert refused(sql).code == "whole_row"


@pytest.mark.parametrize(
    "sql", ["SELECT (e).salary FROM emp e", "SELECT (e).* FROM emp e", "SELECT a FROM emp AS e(a, b, c, d)"]
)
def test_fields_and_renamed_columns_of_tables_are_refused(sql: str) -> None:
    assert refused(sql).code == "not_allowed"


def test_whole_rows_of_checked_subqueries_pass() -> None:
    sql = "SELECT json_agg(s) FROM (SELECT name FROM emp) s"
    assert printed(sql) == "SELECT JSON_AGG(s.*) FROM (SELECT name FROM emp) AS s"


def test_a_name_that_a_hidden_column_could_take_is_written_with_its_source() -> None:
    assert printed("SELECT (SELECT salary FROM emp LIMIT 1) FROM (SELECT 1 AS salary) o") == (
        "SELECT (SELECT o.salary FROM emp LIMIT 1) FROM (SELECT 1 AS salary) AS o"
    )
    assert printed("SELECT salary FROM emp, (SELECT 1 AS salary) o") == (
        "SELECT o.salary FROM emp, (SELECT 1 AS salary) AS o"
    )
    assert printed("SELECT lower(name) AS salary, count(*) FROM emp GROUP BY salary") == (
        "SELECT LOWER(name) AS salary, COUNT(*) FROM emp GROUP BY 1"
    )


def test_an_alias_that_is_shadowed_is_refused() -> None:
    sql = "SELECT (SELECT salary FROM emp o) FROM (SELECT 1 AS salary) o"
    assert refused(sql).code == "alias_ambiguous"
    assert refused("SELECT 1 FROM emp, emp").code == "alias_ambiguous"


def test_ambiguous_columns_are_refused_with_the_choices() -> None:
    refusal = refused("SELECT id FROM emp JOIN dept ON true")
    assert refusal.code == "column_ambiguous"
    assert "emp.id or dept.id" in refusal.message


def test_unquoted_names_fold_as_the_database_folds_them() -> None:
    assert printed("SELECT NAME FROM EMP") == "SELECT NAME FROM EMP"
    assert refused('SELECT "NAME" FROM emp').code == "column_not_visible"
    assert refused('SELECT Id FROM "Mixed Case"').code == "column_not_visible"
    assert printed('SELECT "NAME" FROM "EMP"', "sqlite") == 'SELECT "NAME" FROM "EMP"'
    # str.lower() makes a k of the Kelvin sign; the databases do not.
    kelvin = Schema("postgres", (Table("k", (Column("k", "int"),)),), "public")
    with pytest.raises(GuardRefusal):
        guard_statement("SELECT k FROM \u212a", schema=kelvin)


def test_sqlite_reads_a_double_quoted_stranger_as_a_string() -> None:
    assert printed('SELECT name FROM emp WHERE name = "Ann"', "sqlite") == "SELECT name FROM emp WHERE name = 'Ann'"
    assert printed('SELECT name FROM emp WHERE name = "salary"', "sqlite").endswith("name = 'salary'")
    assert refused('SELECT "salary" FROM emp', "sqlite").code == "column_not_visible"
    assert refused("SELECT name FROM emp WHERE `salary` > 1", "sqlite").code == "column_not_visible"
    assert refused("SELECT name FROM emp WHERE [salary] > 1", "sqlite").code == "column_not_visible"


def test_sqlite_clauses_may_use_output_names() -> None:
    sql = "SELECT id + 1 AS salary FROM emp WHERE salary > 1 GROUP BY salary HAVING salary > 2 ORDER BY salary"
    assert printed(sql, "sqlite") == (
        "SELECT id + 1 AS salary FROM emp WHERE (id + 1) > 1 GROUP BY 1 HAVING (id + 1) > 2 ORDER BY salary"
    )


def test_columns_of_a_table_without_known_columns_are_not_checked() -> None:
    schema = Schema("postgres", (Table("raw", ()),), "public")
    assert guard_statement("SELECT anything FROM raw", schema=schema).tables == ("raw",)
    with pytest.raises(GuardRefusal):
        guard_statement("SELECT ctid FROM raw", schema=schema)
