"""What sales asks in the browser: a small database with comments, a budget and a verified question."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from tests.factories import BudgetFactory, make_database
from tests.people import People, make_people
from text2sql.models import Database, DatabaseAccess, SchemaNote
from text2sql.services.examples import example_publish
from text2sql.services.notes import note_save

TABLES = """
CREATE TABLE regions (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, segment TEXT NOT NULL, region_id INTEGER REFERENCES regions (id)
);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT, list_price NUMERIC(10,2));
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), ordered_on DATE NOT NULL,
    status TEXT NOT NULL, amount NUMERIC(10,2) NOT NULL
);
INSERT INTO regions VALUES (1, 'North'), (2, 'South');
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90)
INSERT INTO customers SELECT
    i, 'Customer ' || i, CASE WHEN i % 9 = 0 THEN 'enterprise' WHEN i % 3 = 0 THEN 'mid_market'
    ELSE 'small_business' END, 1 + i % 2 FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
INSERT INTO orders SELECT
    i, 1 + i * 7 % 90, DATE('2024-01-01', '+' || (i * i / 1200) || ' days'), 'paid', 20 + i * 37 % 400 + 0.5 FROM n;
"""
BY_SEGMENT = """SELECT c.segment, COUNT(*) AS orders, ROUND(AVG(o.amount), 2) AS average_amount
FROM customers AS c
JOIN orders AS o ON o.customer_id = c.id
WHERE o.status <> 'cancelled' AND o.amount > 10
GROUP BY c.segment
ORDER BY c.segment"""
BY_MONTH = """SELECT STRFTIME('%Y-%m', o.ordered_on) AS month, COUNT(*) AS orders
FROM orders AS o
WHERE o.status <> 'cancelled'
GROUP BY STRFTIME('%Y-%m', o.ordered_on)
ORDER BY month"""
QUESTION = "How many orders came from each segment, and how much is one on average?"
NOTES = {
    "customers": "Companies that buy from us, or once did.",
    "customers.segment": "enterprise (over 1,000 staff), mid_market or small_business.",
    "orders": "What was ordered, by whom and when.",
    "products": "Everything that can be bought.",
}


def write_sales_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)


def make_sales(path: Path) -> tuple[People, Database]:
    """The people, and the database in this file, open to sales; it has a budget, comments, and a verified question."""
    people = make_people()
    database = make_database(path, people.sales, name="sales_db")
    database.description = "Customers, products, orders and returns."
    database.starter_questions = ["Which customers have never placed an order?", "What was sold last month?"]
    database.save()
    for about, text in NOTES.items():
        table, _, column = about.partition(".")
        note_save(note=SchemaNote(database=database, table=table, column=column, text=text), actor="test")
    BudgetFactory(team=people.sales, limit_usd=Decimal(25), period="month")
    example_publish(
        access=DatabaseAccess.objects.get(), question="How did orders develop by month?", sql=BY_MONTH,
        tables=["orders"], generation=None, actor="user:alice",
    )  # fmt: skip
    return people, database
