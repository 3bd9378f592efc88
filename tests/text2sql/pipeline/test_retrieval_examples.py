import json

import pytest

from text2sql.pipeline.retrieval import Example, examples_read
from text2sql.pipeline.retrieval.examples import sql_tables
from text2sql.pipeline.schema import Column, Schema, Table


def make_schema() -> Schema:
    def table(schema: str | None, name: str, *columns: str) -> Table:
        return Table(name, tuple(Column(column, "text") for column in columns), schema=schema)

    return Schema(
        "postgres",
        (
            table("crm", "users", "email"),
            table("crm", "orders", "amount"),
            table("auth", "users", "password"),
            table("auth", "tokens", "secret"),
            table("billing", "users", "iban"),
        ),
    )


def test_a_list_and_lines_say_the_same() -> None:
    rows = [{"question": "a", "tables": ["CRM.Orders"]}, {"question": "b", "sql": "SELECT * FROM auth.tokens"}]
    expected = [Example("a", ("crm.orders",)), Example("b", ("auth.tokens",))]
    assert examples_read(json.dumps(rows), make_schema()) == expected
    assert examples_read("\n".join(map(json.dumps, rows)) + "\n\n", make_schema()) == expected


def test_named_tables_are_taken_before_the_sql() -> None:
    text = json.dumps([{"question": "a", "sql": "SELECT * FROM auth.tokens", "tables": ["crm.orders"]}])
    assert examples_read(text, make_schema()) == [Example("a", ("crm.orders",))]


def test_examples_of_unknown_tables_or_unreadable_sql_are_left_out() -> None:
    rows = [{"question": "a", "sql": "SELEC oops FROM"}, {"question": "b", "tables": ["nowhere.t"]}]
    assert examples_read(json.dumps(rows), make_schema()) == []


@pytest.mark.parametrize(
    "text",
    ['[{"sql": "SELECT 1"}]', '[{"question": "a"}]', '{"question": "a"', "[1]", '[{"question": "a", "tables": "t"}]'],
)
def test_a_file_of_another_form_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(ValueError, match="1"):
        examples_read(text, make_schema())


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM users JOIN orders USING (id)", {"crm.users", "crm.orders"}),
        ("SELECT password FROM users", {"auth.users"}),
        ("SELECT * FROM users, auth.tokens", {"auth.users", "auth.tokens"}),
        ("WITH users AS (SELECT * FROM orders) SELECT * FROM users", {"crm.orders"}),
        ("WITH users AS (SELECT * FROM crm.users) SELECT * FROM users", {"crm.users"}),
        ("SELECT `secret` FROM `tokens` WHERE EXISTS (SELECT 1 FROM `orders`)", {"auth.tokens", "crm.orders"}),
        ("SELECT TOP 3 [secret] FROM [tokens]", {"auth.tokens"}),
        ("SELECT 1", set()),
    ],
)
def test_tables_are_found_in_sql_of_any_dialect(sql: str, tables: set[str]) -> None:
    assert set(sql_tables(sql, make_schema())) == tables
