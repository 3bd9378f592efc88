"""Row filters and row limits: a team gets its rows, all of them, and no others, whatever the statement does."""

import sqlite3
from collections.abc import Iterator

import pytest

from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Column, Schema, Table

WHOLE = Schema(
    "sqlite",
    (
        Table("orders", tuple(Column(name, "int") for name in ("id", "customer_id", "total", "tenant"))),
        Table("customers", (Column("id", "int"), Column("name", "text"), Column("tenant", "int"))),
        Table("secret", (Column("id", "int"),)),
    ),
)
VISIBLE = WHOLE.restricted(tables=frozenset({"orders", "customers"}), hidden_columns=frozenset({"orders.tenant"}))
FILTERS = {"orders": "tenant = 1 OR total < 0", "customers": "tenant = 1"}
SCRIPT = """
    CREATE TABLE orders (id int, customer_id int, total int, tenant int);
    CREATE TABLE customers (id int, name text, tenant int);
    INSERT INTO orders VALUES (1, 1, 10, 1), (2, 1, 20, 2), (3, 2, 30, 1), (4, 3, 40, 2), (5, 9, 50, 1), (6, 3, 60, 1);
    INSERT INTO customers VALUES (1, 'Ann', 1), (2, 'Bob', 2), (3, 'Cleo', 1), (4, 'Dan', 1);
"""
TAKEN_AWAY = "DELETE FROM orders WHERE tenant <> 1; DELETE FROM customers WHERE tenant <> 1;"


def printed(sql: str, **filters: str) -> str:
    return guard_statement(sql, schema=VISIBLE, row_filters=filters or FILTERS, whole_schema=WHOLE).sql


@pytest.fixture
def connections() -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """All rows, and only those that the filters let through."""
    whole, allowed = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    whole.executescript(SCRIPT)
    allowed.executescript(SCRIPT)
    allowed.executescript(TAKEN_AWAY)
    yield whole, allowed
    whole.close()
    allowed.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM orders ORDER BY id",
        "SELECT id FROM orders WHERE total > 10 OR id = 2 ORDER BY id",
        "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id OR c.id = 4 ORDER BY 1, 2",
        "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id ORDER BY 1",
        "SELECT o.id, c.name FROM orders o RIGHT JOIN customers c ON c.id = o.customer_id ORDER BY 1, 2",
        "SELECT o.id, c.name FROM orders o FULL JOIN customers c ON c.id = o.customer_id ORDER BY 1, 2",
        "SELECT o.id, c.name FROM orders o FULL JOIN customers c USING (id) ORDER BY 1, 2",
        "SELECT c.name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL ORDER BY 1",
        "SELECT c.name FROM customers c LEFT JOIN orders o USING (id) WHERE o.total IS NULL ORDER BY 1",
        "SELECT a.id, b.id FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.id < b.id ORDER BY 1",
        "SELECT a.id, b.id FROM orders a, orders b WHERE a.id < b.id OR a.total = 1 ORDER BY 1, 2",
        "SELECT o.id FROM orders o CROSS JOIN customers c WHERE o.id = c.id ORDER BY 1",
        "WITH o AS (SELECT * FROM orders) SELECT count(*), sum(total) FROM o",
        "WITH o AS (SELECT * FROM orders), p AS (SELECT * FROM o) SELECT p.id FROM p, customers c ORDER BY 1",
        "SELECT id FROM orders UNION SELECT id FROM customers ORDER BY id",
        "SELECT id FROM customers EXCEPT SELECT customer_id FROM orders ORDER BY id",
        "SELECT name, (SELECT sum(total) FROM orders o WHERE o.customer_id = c.id) AS s FROM customers c ORDER BY name",
        "SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders) ORDER BY name",
        "SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders WHERE customer_id = c.id) ORDER BY name",
        "SELECT customer_id, count(*) FROM orders GROUP BY customer_id HAVING count(*) > 1 ORDER BY 1",
        "SELECT id, rank() OVER (ORDER BY total DESC) FROM orders ORDER BY id",
        "SELECT x.n FROM (SELECT count(*) AS n FROM orders, customers) x",
        "SELECT (SELECT max(total) FROM orders) AS m FROM customers WHERE m > 1 ORDER BY m",
        "SELECT count(*) FROM (orders o JOIN customers c ON o.customer_id = c.id)",
        "SELECT count(*) FROM customers NATURAL JOIN orders",
        "WITH RECURSIVE r AS (SELECT 5 AS i UNION ALL SELECT id FROM r JOIN orders ON id = i + 1) SELECT i FROM r",
        "SELECT id FROM orders ORDER BY (SELECT count(*) FROM orders o WHERE o.id > orders.id) LIMIT 2",
    ],
)
@pytest.mark.parametrize("form", ["{}", "({}) AND (SELECT 1) = 1", "({0}) AND id IN (SELECT x.id FROM {1} x)"])
def test_a_filtered_statement_sees_what_the_filter_leaves(
    sql: str, form: str, connections: tuple[sqlite3.Connection, sqlite3.Connection]
) -> None:
    whole, allowed = connections
    filters = {table: form.format(predicate, table) for table, predicate in FILTERS.items()}
    filtered = printed(sql, **filters)
    assert whole.execute(filtered).fetchall() == allowed.execute(printed(sql, nothing="1 = 1")).fetchall(), filtered


def test_a_copy_of_an_output_is_filtered_too() -> None:
    sql = "SELECT (SELECT max(total) FROM orders) AS m FROM customers WHERE m > 1"
    assert printed(sql).count("orders.tenant = 1") == 2


def test_a_filter_stands_beside_its_table_where_that_is_the_same() -> None:
    sql = "SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id OR o.id = 1"
    assert printed(sql) == (
        "SELECT c.name, o.id FROM customers AS c LEFT JOIN orders AS o ON (o.customer_id = c.id OR o.id = 1) AND "
        "(o.tenant = 1 OR o.total < 0) WHERE (c.tenant = 1)"
    )
    assert printed("SELECT id FROM orders FULL JOIN customers USING (id)") == (
        "SELECT id FROM (SELECT id, customer_id, total FROM orders WHERE (tenant = 1 OR total < 0)) AS orders "
        "FULL JOIN (SELECT id, name, tenant FROM customers WHERE (tenant = 1)) AS customers USING (id)"
    )


def test_tables_that_are_not_read_need_no_filter() -> None:
    assert printed("SELECT 1 AS one") == "SELECT 1 AS one"
    assert printed("SELECT name FROM customers", orders="nonsense (") == "SELECT name FROM customers"


@pytest.mark.parametrize(
    "predicate",
    [
        "",
        "tenant = 1 AND",
        "tenant = 1) OR (1 = 1",
        "1 = 1) UNION SELECT 1 FROM secret WHERE (1 = 1",
        "1 = 1) GROUP BY (id",
        "tenant = 1; DROP TABLE orders",
        "tenant = 1 -- )",
        "tenant = load_extension('x')",
        "id IN (SELECT id FROM secret)",
        "customers.tenant = 1",
        "missing = 1",
        "id IN (DELETE FROM orders RETURNING id)",
        "tenant = ?",
        "EXISTS (SELECT 1 FROM sqlite_master)",
    ],
)
def test_a_predicate_can_hold_nothing_but_a_condition(predicate: str) -> None:
    if predicate.endswith("-- )"):
        assert printed("SELECT id FROM orders", orders=predicate).endswith("WHERE (orders.tenant = 1)")
        return
    with pytest.raises(GuardRefusal) as refused:
        printed("SELECT id FROM orders", orders=predicate)
    assert refused.value.code == "row_filter"
    assert refused.value.message.startswith('The row filter of "orders" cannot be used: ')


def test_a_predicate_may_use_columns_that_the_team_does_not_see() -> None:
    assert "tenant = 1" in printed("SELECT id FROM orders")
    with pytest.raises(GuardRefusal):
        guard_statement("SELECT id FROM orders", schema=VISIBLE, row_filters={"orders": "tenant = 1"})
    with pytest.raises(GuardRefusal) as refused:
        printed("SELECT tenant FROM orders")
    assert refused.value.code == "column_not_visible"


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "duckdb", "snowflake", "bigquery", "tsql"])
def test_filters_are_written_in_the_words_of_the_dialect(dialect: str) -> None:
    schema = Schema(dialect, (Table("orders", (Column("id", "int"), Column("group", "int")), schema="shop"),))
    quoted = {"postgres": '"group"', "mysql": "`group`", "bigquery": "`group`", "tsql": "[group]"}.get(
        dialect, '"group"'
    )
    for sql in (
        "SELECT o.id FROM shop.orders o",
        "SELECT o.id FROM shop.orders o RIGHT JOIN shop.orders p ON p.id = o.id",
    ):
        filtered = guard_statement(sql, schema=schema, row_filters={"shop.orders": f"{quoted} = 3"}).sql
        assert filtered.count(f"{quoted} = 3") == sql.count("shop.orders")
        assert guard_statement(filtered, schema=schema).sql


def test_a_limit_is_set_or_lowered_and_never_raised() -> None:
    def limited(sql: str, dialect: str = "sqlite") -> str:
        return guard_statement(sql, dialect=dialect, row_limit=100).sql

    assert limited("SELECT id FROM orders") == "SELECT id FROM orders LIMIT 100"
    assert limited("SELECT id FROM orders LIMIT 5") == "SELECT id FROM orders LIMIT 5"
    assert limited("SELECT id FROM orders LIMIT 500 OFFSET 3") == "SELECT id FROM orders LIMIT 100 OFFSET 3"
    assert limited("SELECT id FROM a UNION SELECT id FROM b") == "SELECT id FROM a UNION SELECT id FROM b LIMIT 100"
    assert limited("SELECT id FROM orders", "tsql") == "SELECT TOP 100 id FROM orders"
    assert limited("SELECT id FROM a UNION SELECT id FROM b", "tsql") == "SELECT id FROM a UNION SELECT id FROM b"
