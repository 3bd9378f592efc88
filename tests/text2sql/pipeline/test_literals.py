"""Whether SQL has a day written into it, so that it would be wrong tomorrow."""

from datetime import date

import pytest

from text2sql.pipeline.guard import guard_statement
from text2sql.pipeline.literals import holds_day
from text2sql.pipeline.schema import Column, Schema, Table

DAY = date(2026, 1, 5)
COLUMNS = (Column("id", "integer"), Column("placed_on", "date"), Column("place", "integer"), Column("note", "text"))
DIALECTS = ["postgres", "sqlite", "mysql", "duckdb", "snowflake", "bigquery", "tsql"]


def holds(dialect: str, condition: str) -> bool:
    schema = Schema(dialect, (Table("orders", COLUMNS),), None)
    guarded = guard_statement(f"SELECT id FROM orders WHERE {condition}", schema=schema)  # noqa: S608  # never run
    return holds_day(guarded.tree, DAY)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "condition",
    [
        "placed_on = '2026-01-05'",
        "placed_on = '2026-1-5'",
        "placed_on >= CAST('2026-01-05 00:00:00' AS DATE)",
        "placed_on < '2026-01-05T10:00:00Z'",
        "placed_on = '20260105'",
        "place = 20260105",
        "note LIKE '%2026-01-05%'",
        "note = '05.01.2026'",
        "note = '01/05/2026'",
        "note = '05/01/2026'",
        "note = '2026/01/05'",
        "note = '5-JAN-2026'",
        "note = '05 January 2026'",
        "note = 'Jan 5, 2026'",
        "placed_on IN ('2025-12-31', '2026-01-05')",
    ],
)
def test_a_day_written_out_is_seen(dialect: str, condition: str) -> None:
    assert holds(dialect, condition)


@pytest.mark.parametrize(
    ("dialect", "condition"),
    [
        ("postgres", "placed_on = DATE '2026-01-05'"),
        ("postgres", "placed_on = '2026-01-05'::date"),
        ("postgres", "placed_on > date '2026-01-05' - interval '7 days'"),
        ("postgres", "placed_on = make_date(2026, 1, 5)"),
        ("postgres", "placed_on = to_date('05.01.2026', 'DD.MM.YYYY')"),
        ("postgres", "placed_on = $$2026-01-05$$"),
        ("postgres", "placed_on = $day$2026-01-05$day$"),
        ("postgres", "placed_on = E'2026-01-05'"),
        (
            "mysql",
            "year(placed_on) = 2026 AND month(placed_on) = 1 AND day(placed_on) = 5",
        ),
        (
            "mysql",
            "day(placed_on) = 5 AND month(placed_on) = 1 AND year(placed_on) = 2026",
        ),
        ("sqlite", "placed_on > date('2026-01-05', '-7 days')"),
        ("sqlite", "julianday('2026-01-05') - julianday(placed_on) < 30"),
        ("mysql", 'placed_on = "2026-01-05"'),
        ("mysql", "placed_on = N'2026-01-05'"),
        ("mysql", "placed_on = STR_TO_DATE('05/01/2026', '%d/%m/%Y')"),
        ("duckdb", "placed_on = make_date(2026, 01, 05)"),
        ("snowflake", "placed_on = DATE_FROM_PARTS(2026, 1, 5)"),
        ("snowflake", "placed_on = $$2026-01-05$$"),
        ("bigquery", "placed_on = DATE(2026, 1, 5)"),
        ("bigquery", "placed_on = r'2026-01-05'"),
        ("tsql", "placed_on = DATEFROMPARTS(2026, 1, 5)"),
        ("tsql", "placed_on = N'20260105'"),
        ("tsql", "placed_on = CONVERT(date, '20260105')"),
    ],
)
def test_a_day_is_seen_in_the_ways_of_a_dialect(dialect: str, condition: str) -> None:
    assert holds(dialect, condition)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "condition",
    [
        "placed_on = '2026-01-06'",
        "placed_on = '2026-01-15'",
        "placed_on = '2026-11-05'",
        "placed_on = '2025-01-05'",
        "placed_on = '2026-01-50'",
        "note = '15.01.2026'",
        "note = '11/05/2026'",
        "note = '25-JAN-2026'",
        "note = 'Jan 5, 2025'",
        "note = 'Jan 2026'",
        "placed_on >= '2026-01'",
        "place = 2026",
        "place IN (2026, 5) AND id = 7",
        "place > 2026 AND id < 15 AND id <> 1",
        "note = 'on the fifth'",
    ],
)
def test_another_day_or_number_is_not_taken_for_it(dialect: str, condition: str) -> None:
    assert not holds(dialect, condition)


def test_names_are_no_values() -> None:
    schema = Schema("postgres", (Table("orders_20260105", COLUMNS),), None)
    sql = 'SELECT id AS "2026-01-05" FROM orders_20260105'
    assert not holds_day(guard_statement(sql, schema=schema).tree, DAY)


def test_a_day_is_seen_wherever_it_stands() -> None:
    schema = Schema("postgres", (Table("orders", COLUMNS),), None)
    for sql in [
        "SELECT '2026-01-05' AS day, count(*) AS n FROM orders",
        "WITH o AS (SELECT id FROM orders WHERE placed_on = '2026-01-05') SELECT id FROM o",
        "SELECT id FROM orders WHERE id IN (SELECT place FROM orders WHERE placed_on = '2026-01-05')",
        "SELECT count(*) FILTER (WHERE placed_on = '2026-01-05') AS n FROM orders",
        "SELECT id FROM orders UNION ALL SELECT place FROM orders WHERE placed_on = '2026-01-05'",
    ]:
        assert holds_day(guard_statement(sql, schema=schema).tree, DAY), sql
