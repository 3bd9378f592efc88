"""Reading the structure of a target."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from tests.text2sql.targets.conftest import temporary_database
from text2sql.pipeline.schema import Column, ForeignKey, Schema
from text2sql.targets.errors import TargetUnreachable
from text2sql.targets.introspect import read_schema


@pytest.fixture(scope="module")
def schema(postgres_url: str) -> Schema:
    return read_schema(postgres_url, timeout=20)


def test_all_tables_and_views_come_in_stable_order_and_partitions_do_not(schema: Schema) -> None:
    names = [table.qualified_name for table in schema.tables]
    assert names == ["big_orders", "customers", "events", "orders", "secrets", "stock.Item Types"]
    assert schema.default_schema == "public"


def test_columns_carry_types_as_the_database_spells_them(schema: Schema) -> None:
    customers = schema.table("customers")
    assert customers is not None
    assert customers.columns == (
        Column("id", "bigint", nullable=False),
        Column("name", "character varying(40)", nullable=False),
        Column("email", "text", comment="Private; % and :name stay as they are"),
        Column("joined", "timestamp with time zone"),
    )
    assert customers.comment == "Who buys"


def test_keys_are_read_in_their_order_and_once(schema: Schema) -> None:
    items, events, orders = schema.table("stock.Item Types"), schema.table("events"), schema.table("orders")
    assert items is not None
    assert events is not None
    assert orders is not None
    assert orders.primary_key == ("id", "line")
    assert items.foreign_keys == (ForeignKey(("order_id", "order_line"), "orders", ("id", "line")),)
    assert events.foreign_keys == (ForeignKey(("customer_id",), "customers", ("id",)),)


def test_rows_are_estimated_also_for_a_partitioned_table_and_not_for_a_view(schema: Schema) -> None:
    estimates = {table.name: (table.row_estimate, table.is_view) for table in schema.tables}
    assert estimates["customers"] == (500, False)
    assert estimates["events"] == (300, False)
    assert estimates["big_orders"] == (None, True)


def test_only_what_the_role_may_read_is_listed(reader_url: str) -> None:
    schema = read_schema(reader_url, timeout=20)
    assert schema.table("secrets") is None
    orders = schema.table("orders")
    assert orders is not None
    assert [column.name for column in orders.columns] == ["id", "line", "customer_id"]


def test_a_second_look_gives_the_same_version(postgres_url: str, schema: Schema) -> None:
    assert read_schema(postgres_url, timeout=20).version == schema.version


def test_a_thousand_tables_take_a_handful_of_queries() -> None:
    script = "".join(
        f"CREATE TABLE t{n} (id int PRIMARY KEY, parent int{' REFERENCES t' + str(n - 1) if n else ''}, note text);"
        for n in range(1000)
    )
    statements: list[str] = []

    def note_statement(_c: object, _k: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    with temporary_database(script) as url:
        event.listen(Engine, "before_cursor_execute", note_statement)
        try:
            schema = read_schema(url, timeout=60)
        finally:
            event.remove(Engine, "before_cursor_execute", note_statement)
    assert len(schema.tables) == 1000
    assert sum(len(table.foreign_keys) for table in schema.tables) == 999
    assert len(statements) < 10


def test_sqlite_is_read_with_keys_and_counts(sqlite_url: str) -> None:
    schema = read_schema(sqlite_url, timeout=10)
    assert [table.name for table in schema.tables] == ["customers", "names", "order lines"]
    customers, names, lines = schema.tables
    assert customers.columns[:2] == (
        Column("id", "INTEGER", nullable=False),
        Column("name", "VARCHAR(40)", nullable=False),
    )
    assert customers.row_estimate == 3
    assert names.is_view
    assert lines.primary_key == ("order_id", "line")
    assert lines.foreign_keys == (ForeignKey(("customer_id",), "customers", ("id",)),)


def test_a_missing_sqlite_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(TargetUnreachable, match=r"no SQLite file gone\.db"):
        read_schema(f"sqlite:///{tmp_path / 'gone.db'}", timeout=5)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, this is not a database. " * 100)
    with pytest.raises(TargetUnreachable, match="not an SQLite database"):
        read_schema(f"sqlite:///{path}", timeout=5)
