"""What the static check finds is what the engine refuses, and the other way round."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlglot
from sqlglot import exp

from tests.text2sql.targets.conftest import temporary_database
from text2sql.pipeline.check import statement_findings
from text2sql.pipeline.finding import Finding
from text2sql.pipeline.schema import Column, Schema, Table

TABLES = (
    Table(
        "customers",
        (
            Column("id", "bigint"),
            Column("name", "text"),
            Column("city", "character varying(40)"),
            Column("joined", "date"),
            Column("active", "boolean"),
        ),
        primary_key=("id",),
    ),
    Table(
        "orders",
        (
            Column("id", "bigint"),
            Column("customer_id", "bigint"),
            Column("amount", "numeric(10,2)"),
            Column("weight", "double precision"),
            Column("placed", "timestamp with time zone"),
            Column("status", "text"),
            Column("tags", "text[]"),
            Column("extra", "jsonb"),
        ),
        primary_key=("id",),
    ),
)
SCHEMAS = {
    "postgres": Schema("postgres", TABLES, "public"),
    "sqlite": Schema("sqlite", TABLES, "main"),
}

BOTH = [
    ("SELECT * FROM clients", "table_unknown"),
    ("SELECT nam FROM customers", "column_unknown"),
    ("SELECT c.amount FROM customers c", "column_unknown"),
    ("SELECT o.id FROM customers c", "alias_unknown"),
    ("SELECT orders.id FROM orders o", "alias_unknown"),
    ("SELECT id FROM customers c JOIN orders o ON o.customer_id = c.id", "column_ambiguous"),
    ("SELECT x.city FROM (SELECT name FROM customers) x", "column_unknown"),
    ("WITH w AS (SELECT name FROM customers) SELECT city FROM w", "column_unknown"),
    ("WITH w(a, b) AS (SELECT name FROM customers) SELECT a FROM w", "column_count"),
    ("SELECT n FROM (SELECT id AS n FROM orders WHERE customer_id = c.id) o, customers c", "alias_unknown"),
    ("SELECT name FROM customers WHERE EXISTS (SELECT 1 FROM orders WHERE owner = 1)", "column_unknown"),
    ("SELECT c.name FROM customers c JOIN orders o USING (customer_id)", "column_unknown"),
    ("SELECT name FROM customers ORDER BY 2", "position_out_of_range"),
    ("SELECT name, count(*) FROM customers GROUP BY 3", "position_out_of_range"),
    ("SELECT name FROM customers UNION SELECT id, status FROM orders", "column_count"),
    ("SELECT name FROM customers LIMIT 1 UNION SELECT status FROM orders", "order_misplaced"),
    ("SELECT name FROM customers ORDER BY 1 UNION SELECT status FROM orders", "order_misplaced"),
    ("SELECT name FROM customers UNION SELECT status FROM orders ORDER BY city", "order_misplaced"),
    ("SELECT name FROM customers WHERE count(*) > 1", "aggregate_misplaced"),
    ("SELECT count(*) AS n FROM customers GROUP BY n", "aggregate_misplaced"),
    ("SELECT name FROM customers WHERE sum(id) OVER () > 1", "window_misplaced"),
    ("SELECT sum(count(*)) FROM customers", "aggregate_nested"),
    ("SELECT name FROM customers WHERE id IN (SELECT id, name FROM customers)", "subquery_columns"),
    ("SELECT name FROM customers WHERE id = (SELECT id, name FROM customers)", "subquery_columns"),
    ("SELECT * FROM (VALUES (1, 2), (3)) v", "values_lengths"),
    ("SELECT rank() FROM customers", "window_misplaced"),
    ("SELECT sum(id) OVER w FROM customers", "window_unknown"),
    ("SELECT year(joined) FROM customers", "function_unknown"),
    ("SELECT datediff(joined, joined) FROM customers", "function_unknown"),
    ("SELECT upper(name, city) FROM customers", None),
    ("SELECT name FROM customers ORDER BY name LIMIT 1 HAVING name > 'a'", "syntax"),
    ("SELECT name, count(*) FROM customers GROUP BY ORDER BY 1", "syntax"),
    ("SELECT 1 FROM order", "syntax"),
]
POSTGRES = [
    ("SELECT name FROM customers WHERE name = 1", "type_mismatch"),
    ("SELECT name FROM customers WHERE id = 'abc'", "type_mismatch"),
    ("SELECT name FROM customers WHERE joined > '2012'", "type_mismatch"),
    ("SELECT name FROM customers WHERE joined LIKE '2012%'", "type_mismatch"),
    ("SELECT name FROM customers WHERE id", "type_mismatch"),
    ("SELECT name FROM customers WHERE active AND id", "type_mismatch"),
    ("SELECT joined - name FROM customers", "type_mismatch"),
    ("SELECT -name FROM customers", "type_mismatch"),
    ("SELECT CAST(joined AS integer) FROM customers", "type_mismatch"),
    ("SELECT CASE WHEN active THEN id ELSE name END FROM customers", "type_mismatch"),
    ("SELECT coalesce(id, 'none') FROM customers", "type_mismatch"),
    ("SELECT id FROM customers UNION SELECT status FROM orders", "type_mismatch"),
    ("SELECT name FROM customers WHERE id IN (SELECT status FROM orders)", "type_mismatch"),
    ("SELECT id FROM customers WHERE (id, name) IN (SELECT status, id FROM orders)", "type_mismatch"),
    ("SELECT status ->> 'a' FROM orders", "type_mismatch"),
    ("SELECT 1 FROM orders WHERE id = ANY (tags)", "type_mismatch"),
    ("SELECT round(weight, 2) FROM orders", "function_arguments"),
    ("SELECT sum(status), avg(status) FROM orders", "function_arguments"),
    ("SELECT extract(year FROM name) FROM customers", "function_arguments"),
    ("SELECT date_trunc('month', name) FROM customers", "function_arguments"),
    ("SELECT to_char(name, 'YYYY') FROM customers", "function_arguments"),
    ("SELECT string_agg(id, ',') FROM customers", "function_arguments"),
    ("SELECT substring(joined, 1, 4) FROM customers", "function_arguments"),
    ("SELECT strftime('%Y', joined) FROM customers", "function_unknown"),
    ("SELECT ifnull(name, city) FROM customers", "function_unknown"),
    ("SELECT group_concat(name) FROM customers", "function_unknown"),
    ("SELECT city, count(*) FROM customers", "column_not_grouped"),
    ("SELECT * FROM customers GROUP BY city", "column_not_grouped"),
    ("SELECT upper(city), lower(city) FROM customers GROUP BY upper(city)", "column_not_grouped"),
    ("SELECT o.status, c.name FROM customers c, orders o GROUP BY c.id", "column_not_grouped"),
    ("SELECT city AS c, count(*) AS n FROM customers GROUP BY c HAVING n > 1", "column_unknown"),
    ("SELECT name AS n FROM customers WHERE n = 'a'", "column_unknown"),
    ("SELECT name AS n FROM customers ORDER BY n || 'a'", "column_unknown"),
    ("SELECT DISTINCT name FROM customers ORDER BY city", "order_not_selected"),
    ("SELECT DISTINCT ON (name) name FROM customers ORDER BY city", "order_not_selected"),
    ("SELECT 1 FROM customers JOIN customers ON true", "alias_double"),
    ("SELECT 1 FROM customers c JOIN orders o ON p.id = c.id JOIN orders p ON true", "alias_unknown"),
    ("SELECT 1 FROM customers JOIN orders WHERE true", "syntax"),
    ("SELECT joined - INTERVAL 1 DAY FROM customers", "syntax"),
    ("SELECT 1 FROM customers WHERE 1 = id = 1", "syntax"),
    ('SELECT "Name" FROM customers', "column_unknown"),
]
SQLITE = [
    ("SELECT string_agg(name, ',') FROM customers", "function_unknown"),
    ("SELECT extract(year FROM joined) FROM customers", "syntax"),
    ("SELECT left(name, 2) FROM customers", "function_unknown"),
    ("SELECT name::text FROM customers", "syntax"),
    ("SELECT joined - INTERVAL '1 day' FROM customers", "syntax"),
    ("SELECT id FROM customers WHERE joined > DATE '2012-01-01'", "syntax"),
    ("(SELECT name FROM customers) UNION (SELECT status FROM orders)", "syntax"),
    ("SELECT substr(name) FROM customers", "function_arguments"),
    ("SELECT count(DISTINCT id, name) FROM customers", "function_arguments"),
    ("SELECT (id, name) FROM customers", "syntax"),
    ("SELECT name FROM customers HAVING name > 'a'", "aggregate_misplaced"),
    ("SELECT name FROM customers ORDER BY count(*)", "aggregate_misplaced"),
    ("SELECT id FROM customers c WHERE id IN (SELECT 1 FROM orders GROUP BY city)", "column_unknown"),
    ("SELECT `nam` FROM customers", "column_unknown"),
]
FINE_IN_BOTH = [
    "SELECT c.name, count(*) AS n FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY n",
    "SELECT city AS c, count(*) FROM customers GROUP BY c ORDER BY c",
    "SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders WHERE customer_id = c.id AND city = 'Oslo')",
    "SELECT (SELECT max(o.amount) FROM orders o WHERE o.customer_id = c.id) FROM customers c",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "SELECT id, o.status FROM customers JOIN orders o USING (id) ORDER BY id",
    "SELECT name FROM customers UNION ALL SELECT status FROM orders ORDER BY name LIMIT 3",
    "SELECT sum(amount) OVER (PARTITION BY customer_id ORDER BY placed) FROM orders",
    "SELECT city, sum(count(*)) OVER () FROM customers GROUP BY city",
    "SELECT row_number() OVER w FROM customers WINDOW w AS (ORDER BY name)",
    "SELECT x.a FROM (SELECT name AS a, id FROM customers) AS x WHERE x.id > 1",
    "SELECT count(*) FILTER (WHERE active) FROM customers",
    "SELECT coalesce(name, 'none'), nullif(city, '') FROM customers",
    "SELECT CASE WHEN id > 1 THEN 'many' ELSE 'one' END FROM customers GROUP BY 1",
    "SELECT name FROM customers WHERE (id, name) IN (SELECT customer_id, status FROM orders)",
    "SELECT round(amount, 2) FROM orders WHERE amount BETWEEN 1 AND 2.5",
    "SELECT CAST(name AS integer) FROM customers WHERE joined >= '2012-01-01'",
]
FINE_IN_POSTGRES = [
    "SELECT c.id, c.name, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id",
    "SELECT id, name FROM customers GROUP BY id HAVING count(*) > 1",
    "SELECT date_trunc('month', placed), sum(amount) FROM orders GROUP BY date_trunc('month', placed)",
    "SELECT extract(year FROM placed), to_char(placed, 'YYYY-MM'), age(placed) FROM orders",
    "SELECT joined - 30, joined - joined, joined - INTERVAL '1 day', now() - joined FROM customers",
    "SELECT round(weight::numeric, 2), round(avg(amount), 1), avg(id) * 1.5 FROM orders GROUP BY weight",
    "SELECT string_agg(DISTINCT status, ',' ORDER BY status), array_agg(id) FROM orders",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM orders",
    "SELECT t FROM orders, unnest(tags) AS t WHERE t LIKE 'a%'",
    "SELECT x.n FROM customers c CROSS JOIN LATERAL (SELECT count(*) AS n FROM orders WHERE customer_id = c.id) x",
    "SELECT extra ->> 'a', (extra -> 'b') ->> 'c' FROM orders WHERE 'x' = ANY (tags)",
    "SELECT d::date FROM generate_series('2026-01-01'::date, '2026-02-01', '1 day') AS d",
    "SELECT DISTINCT ON (customer_id) customer_id, placed FROM orders ORDER BY customer_id, placed DESC",
    "SELECT city, status, count(*) FROM customers c JOIN orders o ON c.id = o.id GROUP BY ROLLUP (city, status)",
    "SELECT name FROM customers WHERE id = '5' AND joined = '20120101' AND active = 'yes'",
    "SELECT CAST(name AS text), count(*) FROM customers GROUP BY name",
    "SELECT count(c) FROM customers c",
    "SELECT v.a + 1 FROM (VALUES (1, 'x'), (2, NULL)) AS v(a, b)",
    "SELECT name || ' ' || id, concat(name, id) FROM customers",
    "SELECT lag(amount, 1, 0) OVER (ORDER BY placed) FROM orders",
    "SELECT FROM customers",
]
FINE_IN_SQLITE = [
    'SELECT name FROM customers WHERE city = "Oslo"',
    "SELECT name, count(*) FROM customers GROUP BY city",
    "SELECT id AS n FROM customers WHERE n > 1 ORDER BY n + 1",
    "SELECT strftime('%Y', joined), date('now', '-1 day'), julianday(joined) FROM customers",
    "SELECT max(id, 2), iif(active, 1, 0), group_concat(name) FROM customers",
    "SELECT rowid, [name], `city` FROM customers",
    "SELECT name FROM customers LIMIT 2, 5",
    "SELECT 1 FROM customers c JOIN orders o ON p.id = c.id JOIN orders p",
    "SELECT joined - date 'x' FROM (SELECT 1 AS joined, 2 AS date)",
    "SELECT name FROM customers UNION SELECT status FROM orders ORDER BY status",
]


@pytest.fixture(scope="module")
def sqlite_database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(script(TABLES))
        yield database


@pytest.fixture(scope="module")
def postgres_database() -> Iterator[psycopg.Connection[Any]]:
    with temporary_database(script(TABLES)) as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


def script(tables: tuple[Table, ...]) -> str:
    """The statements that create the tables."""
    created = []
    for table in tables:
        columns = ", ".join(f"{column.name} {column.type}".replace("text[]", "text ARRAY") for column in table.columns)
        created.append(f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY (id));")
    return "".join(created).replace("text ARRAY", "text[]")


def findings(sql: str, schema: Schema, *, with_text: bool = True) -> list[Finding]:
    tree = sqlglot.parse_one(sql, read=schema.dialect)
    before = tree.copy()
    found = statement_findings(tree, schema, sql=sql if with_text else None)
    assert tree == before, "the tree was changed"
    return found


def errors(sql: str, schema: Schema, *, with_text: bool = True) -> list[str]:
    return [each.code for each in findings(sql, schema, with_text=with_text) if each.severity == "error"]


def is_refused(sql: str, database: sqlite3.Connection | psycopg.Connection[Any]) -> bool:
    if isinstance(database, sqlite3.Connection):
        try:
            with closing(database.execute(f"EXPLAIN {sql}")):
                return False
        except sqlite3.Error:
            return True
    return database.pgconn.prepare(b"", sql.encode()).status != psycopg.pq.ExecStatus.COMMAND_OK


@pytest.mark.parametrize(("sql", "code"), [each for each in BOTH + POSTGRES if each[1]])
def test_what_postgres_refuses_is_found(sql: str, code: str, postgres_database: psycopg.Connection[Any]) -> None:
    assert is_refused(sql, postgres_database)
    assert code in errors(sql, SCHEMAS["postgres"])


@pytest.mark.parametrize(("sql", "code"), [each for each in BOTH + SQLITE if each[1]])
def test_what_sqlite_refuses_is_found(sql: str, code: str, sqlite_database: sqlite3.Connection) -> None:
    assert is_refused(sql, sqlite_database)
    assert code in errors(sql, SCHEMAS["sqlite"])


@pytest.mark.parametrize("sql", FINE_IN_BOTH + FINE_IN_POSTGRES)
def test_what_postgres_takes_is_left_alone(sql: str, postgres_database: psycopg.Connection[Any]) -> None:
    assert not is_refused(sql, postgres_database)
    assert findings(sql, SCHEMAS["postgres"]) == []
    assert errors(sql, SCHEMAS["postgres"], with_text=False) == []


@pytest.mark.parametrize("sql", FINE_IN_BOTH + FINE_IN_SQLITE)
def test_what_sqlite_takes_is_left_alone(sql: str, sqlite_database: sqlite3.Connection) -> None:
    assert not is_refused(sql, sqlite_database)
    assert findings(sql, SCHEMAS["sqlite"]) == []
    assert errors(sql, SCHEMAS["sqlite"], with_text=False) == []


def test_all_findings_come_back_not_only_the_first() -> None:
    found = errors("SELECT nam, year(joined) FROM customers WHERE count(*) > 1 AND name = 1", SCHEMAS["postgres"])
    assert sorted(found) == ["aggregate_misplaced", "column_unknown", "function_unknown", "type_mismatch"]


def test_the_closest_columns_are_those_in_scope_then_those_of_other_tables() -> None:
    (found,) = findings("SELECT c.nme FROM customers c", SCHEMAS["postgres"])
    assert found.closest == ("c.name",)
    (found,) = findings("SELECT status FROM customers", SCHEMAS["postgres"])
    assert found.closest == ("orders.status",)


def test_the_closest_table_and_what_to_call_instead_are_named() -> None:
    (table,) = findings("SELECT 1 FROM customer", SCHEMAS["postgres"])
    assert table.closest[0] == "customers"
    (function,) = findings("SELECT ifnull(name, '') FROM customers", SCHEMAS["postgres"])
    assert function.closest == ("coalesce",)


def test_an_unknown_table_does_not_make_its_columns_unknown() -> None:
    assert errors("SELECT c.anything, other FROM clients c", SCHEMAS["postgres"]) == ["table_unknown"]


def test_columns_that_nobody_listed_are_not_refuted() -> None:
    schema = Schema("postgres", (Table("logs", ()),), "public")
    assert errors("SELECT a, l.b, count(*) FROM logs l GROUP BY a, l.b ORDER BY c", schema) == []


def test_a_type_that_is_not_known_is_not_judged() -> None:
    columns = (Column("mood", "mood"), Column("place", "geometry"), Column("word", "citext"))
    schema = Schema("postgres", (Table("people", columns),), "public")
    sql = "SELECT lower(mood), round(place, 2), word || 1 FROM people WHERE mood = 'sad' AND place = word"
    assert errors(sql, schema) == []


def test_a_function_that_the_database_has_of_its_own_is_known() -> None:
    tree = sqlglot.parse_one("SELECT our_rank(name) FROM customers", read="postgres")
    assert [each.code for each in statement_findings(tree, SCHEMAS["postgres"])] == ["function_unknown"]
    assert statement_findings(tree, SCHEMAS["postgres"], functions=frozenset({"our_rank"})) == []


def test_without_the_text_a_quoted_word_in_sqlite_is_only_a_doubt() -> None:
    (found,) = findings('SELECT name FROM customers WHERE city = "Oslo"', SCHEMAS["sqlite"], with_text=False)
    assert found.severity == "warning"


def test_a_column_outside_group_by_is_a_doubt_where_a_setting_decides() -> None:
    schema = replace(SCHEMAS["postgres"], dialect="mysql", default_schema=None)
    (found,) = findings("SELECT city, count(*) FROM customers", schema)
    assert (found.code, found.severity) == ("column_not_grouped", "warning")


@pytest.mark.parametrize("dialect", ["mysql", "duckdb", "snowflake", "bigquery", "tsql"])
def test_names_are_looked_up_in_every_dialect(dialect: str) -> None:
    schema = replace(SCHEMAS["postgres"], dialect=dialect, default_schema=None)
    assert errors("SELECT c.name, count(*) FROM customers AS c GROUP BY c.name", schema) == []
    assert errors("SELECT c.name FROM clients AS c", schema) == ["table_unknown"]
    assert errors("SELECT c.nme FROM customers AS c", schema) == ["column_unknown"]
    assert errors("SELECT id FROM customers AS c JOIN orders AS o ON o.customer_id = c.id", schema) == [
        "column_ambiguous"
    ]


def test_a_dialect_without_rules_gives_no_findings() -> None:
    assert findings("SELECT nothing FROM nowhere", Schema("oracle", TABLES)) == []


def test_a_tree_that_cannot_be_read_is_a_doubt_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    tree = sqlglot.parse_one("SELECT nam FROM customers", read="postgres")
    tree.set("where", exp.Where(this=exp.Between(this=exp.column("id"))))
    found = statement_findings(tree, SCHEMAS["postgres"])
    assert [(each.code, each.severity) for each in found] == [("column_unknown", "error"), ("unchecked", "warning")]
    assert "KeyError" in caplog.text


def test_a_statement_that_is_too_deep_is_a_doubt() -> None:
    tree: exp.Expr = exp.column("name")
    for _ in range(5000):
        tree = exp.Neg(this=tree)
    (found,) = statement_findings(exp.Select(expressions=[tree]).from_("customers"), SCHEMAS["sqlite"])
    assert (found.code, found.severity) == ("unchecked", "warning")


def test_findings_are_bounded() -> None:
    columns = ", ".join(f"c{number}" for number in range(200))
    assert len(findings("SELECT " + columns, SCHEMAS["postgres"])) == 20
