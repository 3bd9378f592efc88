"""The page to ask as people use it: in a browser, by mouse, by keyboard, on a telephone."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from feedback.models import Feedback
from tests.factories import BudgetFactory, make_database
from tests.people import make_people
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, Execution, Generation, SchemaNote
from text2sql.services.examples import example_publish
from text2sql.services.notes import note_save

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PASSWORD = "a long enough password"
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


@pytest.fixture
def sales_file(tmp_path: Path) -> Path:
    path = tmp_path / "sales.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return path


@pytest.fixture
def address(live_server: LiveServer, sales_file: Path, settings: Settings) -> str:
    """Where sales asks its database, with a budget, comments, and a verified question."""
    settings.FILE_FOLDERS = [str(sales_file.parent)]
    people = make_people()
    database = make_database(sales_file, people.sales, name="sales_db")
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
    return f"{live_server.url}/ask/sales/sales_db/"


@pytest.fixture
def reader(page: Any, address: str) -> Iterator[Any]:
    """Bob, signed in; what the browser has to refuse or to complain of fails the test."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    sign_in(page, address)
    yield page
    assert [text for text in complaints if "the server responded with a status of" not in text] == []


def sign_in(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_label("Username").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(address)


def play(claude: ClaudeStandIn, sql: str = BY_SEGMENT, **answer: Any) -> None:
    claude.play(
        "answer", **{"sql": sql, "explanation": "Counts each segment's orders and averages their amounts.", **answer}
    )


def ask(page: Any, question: str) -> Any:
    """Ask, and the answer once it is there."""
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.locator("article").filter(has_text=question).last
    answer.locator(".meta, .note").first.wait_for()
    return answer


def picture(page: Any, name: str) -> None:
    """Kept where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"ask-{name}.png"))


WIDE = """[...document.querySelectorAll('*')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth)
    .map((element) => element.outerHTML.slice(0, 90))"""
"""Told where the page is wider than its window."""


def width(page: Any) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth")
    return found


def test_a_member_asks_follows_up_edits_runs_and_rates(reader: Any, address: str, claude: ClaudeStandIn) -> None:
    picture(reader, "start")
    reader.get_by_role("searchbox").fill("segment")
    reader.locator("#tables details").nth(1).wait_for(state="detached")
    reader.get_by_text("customers", exact=True).click()
    assert reader.get_by_text("enterprise (over 1,000 staff)").is_visible()

    play(claude)
    answer = ask(reader, QUESTION)
    shown = answer.get_by_role("region", name="SQL").inner_text()
    assert shown.split() == Generation.objects.get().sql.split()
    assert shown.count("\n") == BY_SEGMENT.count("\n")
    assert reader.evaluate("document.activeElement.tagName") == "ARTICLE"
    answer.get_by_text("How this came about").click()
    assert "Tables shown to Claude" in answer.inner_text()

    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("heading", name="3 rows in").wait_for()
    drawing = answer.get_by_role("img")
    assert drawing.get_attribute("aria-label").startswith("orders by segment: highest")
    answer.get_by_label("Show").select_option(label="average_amount")
    assert drawing.get_attribute("aria-label").startswith("average_amount by segment")
    answer.get_by_role("button", name="orders").click()
    answer.get_by_role("button", name="orders").click()
    assert answer.locator("th[aria-sort=descending]").inner_text().startswith("orders")
    counts = [int(text) for text in answer.locator("tbody td:nth-child(2)").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)
    picture(reader, "rows")

    with reader.expect_download() as file:
        answer.get_by_role("button", name="Download CSV").click()
    assert Path(file.value.path()).read_text(encoding="utf-8-sig").startswith("segment,orders,average_amount\n")

    answer.get_by_role("button", name="Edit SQL").click()
    answer.get_by_label("Edit the SQL").fill("DELETE FROM customers")
    answer.get_by_text("Not allowed:").wait_for()
    picture(reader, "refused")
    answer.get_by_role("button", name="Run").click()
    answer.get_by_text("This SQL is not allowed").wait_for()
    answer.get_by_label("Edit the SQL").fill("SELECT segment FROM customers GROUP BY segment")
    answer.get_by_role("button", name="Check").click()
    answer.get_by_text("this would run").wait_for()
    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("heading", name="3 rows in").wait_for()
    assert Execution.objects.latest("executed_at").sql == "SELECT segment FROM customers GROUP BY segment"

    answer.get_by_role("button", name="The answer is wrong").click()
    answer.get_by_label("What is wrong?").fill("Only the segments were wanted.")
    assert answer.get_by_label("The SQL that would be right").input_value().startswith("SELECT segment")
    picture(reader, "opinion")
    answer.get_by_role("button", name="Send").click()
    answer.get_by_label("What is wrong?").wait_for(state="hidden")
    said = Feedback.objects.get()
    assert (said.author, said.rating, said.comment) == ("user:bob", "down", "Only the segments were wanted.")

    play(claude, BY_MONTH, explanation="Counts orders that were not cancelled.")
    follow_up = ask(reader, "And orders by month?")
    first, second = Generation.objects.order_by("created_at")
    assert second.parent == first
    follow_up.get_by_role("button", name="Run").click()
    assert "orders over month: highest" in follow_up.get_by_role("img").get_attribute("aria-label")
    picture(reader, "line")
    reader.set_viewport_size({"width": 1000, "height": 800})
    picture(reader, "medium")
    assert width(reader) <= 1000, reader.evaluate(WIDE)

    reader.get_by_role("link", name=QUESTION).click()
    reader.wait_for_url("**?session=*")
    assert reader.locator("article").count() == 2
    assert reader.locator("#history a[aria-current=page]").count() == 1
    reader.get_by_role("link", name="New conversation").click()
    reader.wait_for_url(address)
    assert reader.get_by_role("heading", name="What would you like to know?").is_visible()


def test_suggestions_and_saved_questions_go_into_the_box(reader: Any, claude: ClaudeStandIn) -> None:
    box = reader.get_by_label("Your question")
    box.fill("month dev")
    reader.locator("#suggestions li:visible").nth(1).wait_for(state="hidden")
    reader.get_by_role("button", name="How did orders develop by month? verified").click()
    assert box.input_value() == "How did orders develop by month?"
    assert reader.evaluate("document.activeElement.id") == "question"
    play(claude, BY_MONTH)
    answer = ask(reader, box.input_value())
    answer.get_by_role("button", name="Save").click()
    saved = reader.locator("#saved")
    saved.get_by_text("How did orders develop").wait_for()
    saved.get_by_role("button", name="Remove").click()
    saved.get_by_text("None yet.").wait_for()


def test_what_claude_asks_back_is_answered_by_a_button(reader: Any, claude: ClaudeStandIn) -> None:
    play(claude, "", status="clarify", explanation="By what?", choices=["By revenue", "By number of orders"])
    ask(reader, "Who are the best customers?")
    picture(reader, "clarify")
    play(claude)
    reader.get_by_role("button", name="By revenue").click()
    reader.locator("article").nth(1).locator(".meta").wait_for()
    first, second = Generation.objects.order_by("created_at")
    assert (second.question, second.parent) == ("By revenue", first)


def test_a_problem_is_told_in_words_and_can_be_tried_again(
    reader: Any, claude: ClaudeStandIn, settings: Settings
) -> None:
    settings.CLAUDE_RETRIES = 0
    claude.play("overloaded")
    answer = ask(reader, "How many customers?")
    assert "Claude is overloaded." in answer.inner_text()
    picture(reader, "problem")
    play(claude)
    answer.get_by_role("button", name="Try again").click()
    reader.locator("article").nth(1).locator(".meta").wait_for()


def test_the_spent_budget_is_told_with_the_day_when_the_next_begins(reader: Any, claude: ClaudeStandIn) -> None:
    BudgetFactory(team_id="sales", limit_usd=Decimal("0.000001"), period="day")
    answer = ask(reader, "How many customers?")
    assert "The next period begins on" in answer.inner_text()
    assert answer.get_by_role("button", name="Try again").count() == 0
    reader.locator("#budget").get_by_text("today").wait_for()


def test_asking_and_running_takes_no_mouse(reader: Any, claude: ClaudeStandIn) -> None:
    play(claude)
    assert reader.evaluate("document.activeElement.id") == "question"
    reader.keyboard.type("How many customers?")
    reader.keyboard.press("Enter")
    reader.locator("article .meta").wait_for()
    reader.wait_for_function("document.activeElement.tagName === 'ARTICLE'")
    for _ in range(8):
        reader.keyboard.press("Tab")
        if reader.evaluate("document.activeElement.textContent") == "Run":
            break
    assert reader.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    reader.keyboard.press("Enter")
    reader.get_by_role("heading", name="3 rows in").wait_for()
    assert reader.evaluate("document.activeElement.tagName") == "H3"
    assert reader.locator("#status").inner_text().startswith("3 rows in")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_narrow_window(
    scheme: str, page: Any, address: str, live_server: LiveServer, claude: ClaudeStandIn
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    picture(page, f"narrow-{scheme}-sign-in")
    assert width(page) <= 360, page.evaluate(WIDE)
    sign_in(page, address)
    picture(page, f"narrow-{scheme}-start")
    assert width(page) <= 360, page.evaluate(WIDE)
    for name in ("Tables", "History"):
        page.get_by_role("button", name=name, exact=True).click()
        picture(page, f"narrow-{scheme}-{name}")
        assert width(page) <= 360, page.evaluate(WIDE)
    play(claude)
    answer = ask(page, QUESTION)
    picture(page, f"narrow-{scheme}-answer")
    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("img").wait_for()
    picture(page, f"narrow-{scheme}-rows")
    answer.get_by_role("button", name="Edit SQL").click()
    assert width(page) <= 360, page.evaluate(WIDE)
    page.goto(f"{live_server.url}/ask/?all")
    picture(page, f"narrow-{scheme}-databases")
    assert width(page) <= 360, page.evaluate(WIDE)


def test_the_page_is_dark_where_the_person_wants_it_so(reader: Any, address: str, claude: ClaudeStandIn) -> None:
    light = reader.evaluate("getComputedStyle(document.body).backgroundColor")
    reader.emulate_media(color_scheme="dark")
    assert reader.evaluate("getComputedStyle(document.body).backgroundColor") != light
    picture(reader, "dark-start")
    play(claude)
    answer = ask(reader, QUESTION)
    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("img").wait_for()
    picture(reader, "dark-rows")
