"""What kind of statement gets through the guard, and what is printed of it."""

import pytest

from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Column, Schema, Table


def view(dialect: str) -> Schema:
    names = {
        "customers": ("id", "name", "joined", "tags"),
        "orders": ("id", "customer_id", "total"),
        "nodes": ("id", "parent"),
    }
    tables = tuple(Table(name, tuple(Column(c, "text") for c in columns)) for name, columns in names.items())
    return Schema(dialect, (*tables, Table("items", (Column("mood", "mood"),), schema="stock")), "public")


def refusal(sql: str, dialect: str = "postgres") -> str:
    with pytest.raises(GuardRefusal) as refused:
        guard_statement(sql, schema=view(dialect))
    assert refused.value.message.endswith((".", "?"))
    return refused.value.code


def printed(sql: str, dialect: str = "postgres") -> str:
    return guard_statement(sql, schema=view(dialect)).sql


@pytest.mark.parametrize("dialect", ["postgres", "sqlite"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT name FROM customers WHERE id = 1 ORDER BY name LIMIT 5 OFFSET 2;",
        "WITH top AS (SELECT customer_id, SUM(total) AS s FROM orders GROUP BY customer_id) SELECT s FROM top",
        "SELECT name FROM customers UNION ALL SELECT total FROM orders ORDER BY name",
        "SELECT name FROM customers AS c WHERE EXISTS(SELECT 1 FROM orders AS o WHERE o.customer_id = c.id)",
        "SELECT name, RANK() OVER (PARTITION BY joined ORDER BY id DESC) AS r FROM customers",
        "SELECT COUNT(*) FILTER(WHERE total > 1), COUNT(DISTINCT customer_id) FROM orders HAVING COUNT(*) > 1",
        "SELECT 'it''s; DROP TABLE x -- no' FROM customers",
        "SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders)",
        "SELECT COALESCE(name, 'x') || CAST(id AS TEXT) FROM customers WHERE name LIKE '100%'",
    ],
)
def test_queries_pass_and_read_the_same(dialect: str, sql: str) -> None:
    assert printed(sql, dialect) == sql.rstrip(";")


def test_parentheses_around_the_whole_statement_pass() -> None:
    assert printed("(SELECT id FROM orders)") == "(SELECT id FROM orders)"
    assert printed("((SELECT id FROM orders) UNION (SELECT id FROM customers)) ORDER BY id")


def test_the_tables_read_are_named() -> None:
    sql = (
        "WITH customers AS (SELECT 1 AS x) SELECT c.x, mood FROM customers c, stock.items JOIN public.orders o ON true"
    )
    assert guard_statement(sql, schema=view("postgres")).tables == ("orders", "stock.items")


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("", "not_one_statement"),
        ("-- nothing", "not_one_statement"),
        ("SELECT 1; SELECT 2", "not_one_statement"),
        ("SELECT 1; DROP TABLE customers", "not_one_statement"),
        ("SELECT FROM WHERE", "not_parseable"),
        ("hello there", "not_a_query"),
        ("DELETE FROM orders", "not_a_query"),
        ("EXPLAIN ANALYZE DELETE FROM orders", "not_a_query"),
        ("VALUES (1)", "not_a_query"),
        ("SHOW ALL", "not_a_query"),
        ("SET ROLE postgres", "not_a_query"),
        ("WITH x AS (DELETE FROM orders RETURNING id) SELECT id FROM x", "not_allowed"),
        ("SELECT id INTO copy FROM orders", "not_allowed"),
        ("SELECT id FROM orders FOR UPDATE", "locking"),
        ("SELECT id FROM (SELECT id FROM orders FOR SHARE) o", "locking"),
        ("SELECT pg_sleep(1)", "function_not_allowed"),
        ("SELECT id FROM orders ORDER BY pg_sleep(1)", "function_not_allowed"),
        ("SELECT COUNT(*) FILTER (WHERE lo_unlink(1) = 1) FROM orders", "function_not_allowed"),
        ("SELECT SUM(id) OVER (PARTITION BY pg_ls_dir('.')) FROM orders", "function_not_allowed"),
        ("SELECT query_to_xml('SELECT 1', true, true, '')", "function_not_allowed"),
        ("SELECT setseed(0.5)", "function_not_allowed"),
        ("SELECT current_user", "function_not_allowed"),
        ("SELECT * FROM dblink('x', 'y') AS t(a int)", "function_not_allowed"),
        ("SELECT * FROM lower('x')", "source_not_allowed"),
        ("SELECT pg_catalog.lower('x')", "not_allowed"),
        ("SELECT \"set_config\"('a', 'b', false)", "function_not_allowed"),
        ("SELECT 1 OPERATOR(pg_catalog.+) 1", "not_allowed"),
        ("SELECT 'x'::regclass", "type_not_allowed"),
        ("SELECT 'x'::customers", "type_not_allowed"),
        ("SELECT $1", "parameter"),
        ("SELECT :name", "parameter"),
        ("SELECT 1 /*! , pg_sleep(1) */", "executable_comment"),
        ("SELECT /*+ SeqScan(orders) */ 1", "executable_comment"),
        ("SELECT 1\0", "forbidden_character"),
        ("\ufeffSELECT 1", "forbidden_character"),
        ("SELECT U&'\\0061'", "unicode_escape"),
        ('SELECT U&"\\0061" FROM orders', "unicode_escape"),
        ("SELECT * FROM pg_settings", "catalog_not_allowed"),
        ("SELECT * FROM pg_catalog.pg_class", "catalog_not_allowed"),
        ("SELECT * FROM information_schema.tables", "catalog_not_allowed"),
        ("SELECT * FROM '/etc/passwd'", "path_as_table"),
        ('SELECT * FROM "/etc/passwd"', "path_as_table"),
        ('SELECT * FROM "s3://bucket/x.parquet"', "path_as_table"),
        ('SELECT * FROM "data.csv"', "path_as_table"),
        (f'SELECT 1 AS "{"x" * 64}"', "identifier_too_long"),
        ("SELECT repeat('x', 100000000)", "too_large"),
        ("SELECT repeat('x', 10 ^ 9)", "too_large"),
        ("SELECT count(*) FROM generate_series(1, 100000000000)", "too_large"),
        ("SELECT 1 FROM orders a, orders b, orders c, orders d", "too_large"),
        ("SELECT id FROM orders TABLESAMPLE BERNOULLI ((SELECT 1))", "not_allowed"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_a_stable_code(sql: str, code: str) -> None:
    assert refusal(sql) == code


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("PRAGMA table_info(orders)", "not_a_query"),
        ("ATTACH 'x.db' AS x", "not_a_query"),
        ("SELECT load_extension('x')", "function_not_allowed"),
        ("SELECT * FROM pragma_table_info('orders')", "function_not_allowed"),
        ("SELECT sql FROM sqlite_master", "catalog_not_allowed"),
        ("SELECT * FROM temp.orders", "catalog_not_allowed"),
        ("SELECT id IN secret FROM orders", "not_allowed"),
        ("SELECT id FROM orders INDEXED BY secret", "not_allowed"),
        ("SELECT printf('%2000000000d', 1)", "too_large"),
        ("SELECT printf('%*d', 2000000000, 1)", "too_large"),
        ("SELECT rowid FROM orders", "column_not_visible"),
        ("WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", "unbounded_recursion"),
    ],
)
def test_sqlites_own_doors_are_closed(sql: str, code: str) -> None:
    assert refusal(sql, "sqlite") == code


def test_other_dialects_are_refused_by_name() -> None:
    with pytest.raises(GuardRefusal, match="bigquery, duckdb, mysql, postgres, snowflake, sqlite, tsql") as refused:
        guard_statement("SELECT 1", schema=Schema("oracle", ()))
    assert refused.value.code == "dialect_unsupported"


def test_recursion_needs_an_end() -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n {end}) SELECT i FROM n"
    assert refusal(counting.format(end="")) == "unbounded_recursion"
    assert refusal(counting.format(end="WHERE true")) == "unbounded_recursion"
    assert printed(counting.format(end="WHERE i < 10"))
    assert printed(counting.format(end="LIMIT 10"))
    assert printed(
        "WITH RECURSIVE tree AS (SELECT id, parent FROM nodes WHERE parent IS NULL"
        " UNION ALL SELECT n.id, n.parent FROM nodes n JOIN tree t ON n.parent = t.id) SELECT id FROM tree"
    )


def test_comments_are_dropped() -> None:
    assert printed("SELECT id -- first\n, /* DROP */ name FROM customers # x".replace("# x", "")) == (
        "SELECT id, name FROM customers"
    )


def test_all_strings_are_printed_in_one_way() -> None:
    assert printed("SELECT $$it's$$, $a$x$$y$a$, E'a\\nb', e'it\\'s', 'a\\b'") == (
        "SELECT 'it''s', 'x$$y', 'a\nb', 'it''s', 'a\\b'"
    )


def test_functions_keep_their_result_type() -> None:
    assert (
        printed("SELECT date_part('year', joined) FROM customers") == "SELECT DATE_PART('year', joined) FROM customers"
    )


def test_functions_in_from_give_their_columns() -> None:
    assert printed("SELECT d FROM generate_series(1, 3) AS d, orders").startswith("SELECT d.d FROM")
    assert printed("SELECT e.value FROM customers c, jsonb_array_elements(c.tags) e")
    assert printed("SELECT key, value FROM customers, json_each(tags)", "sqlite")
    assert refusal("SELECT key, valeu FROM customers, json_each(tags)", "sqlite") == "column_not_visible"


def test_enum_types_of_visible_columns_can_be_cast_to() -> None:
    assert printed("SELECT mood FROM stock.items WHERE mood = 'sad'::mood")


NESTED = {
    "parentheses": "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 200 + "orders" + ") x" * 200,
    "not": "SELECT " + "NOT " * 4000 + "TRUE",
    "minus": "SELECT " + "- " * 4000 + "1",
    "sum": "SELECT " + "1 + " * 2000 + "1",
    "and": "SELECT 1 WHERE " + "1 = 1 AND " * 1000 + "1 = 1",
    "union": " UNION ALL ".join(["SELECT 1"] * 1000),
    "cast": "SELECT 1" + "::int" * 2000,
    "index": "SELECT tags" + "[1]" * 5000 + " FROM customers",
    "arrow": "SELECT tags" + "->'a'" * 2000 + " FROM customers",
    "case": "SELECT " + "CASE WHEN TRUE THEN " * 500 + "1" + " END" * 500,
    "brackets": "SELECT " + "[" * 5000,
    "list": "SELECT 1 WHERE 1 IN (" + ", ".join(["1"] * 13_000) + ")",
    "length": "SELECT '" + "x" * 200_000 + "'",
}


@pytest.mark.parametrize("dialect", ["postgres", "sqlite"])
@pytest.mark.parametrize("name", NESTED)
def test_monsters_are_refused_as_such(dialect: str, name: str) -> None:
    assert refusal(NESTED[name], dialect) in {"too_complex", "not_parseable"}


def test_deep_but_sensible_nesting_passes() -> None:
    assert printed("SELECT id FROM " + "(SELECT id FROM " * 30 + "orders" + ") AS o" * 30)


def test_repeated_aliases_cannot_grow_without_limit() -> None:
    bomb = "SELECT id AS a FROM orders WHERE a"
    for _ in range(30):
        bomb = "SELECT (?) AS a FROM orders WHERE a AND a AND a".replace("?", bomb)
    assert refusal(bomb, "sqlite") == "too_complex"
