"""The page to ask as people use it: in a browser, by mouse, by keyboard, on a telephone."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from feedback.models import Feedback
from tests.browser.pages import WIDE, ask, enter_ask, picture, play, width
from tests.browser.sales import BY_MONTH, BY_SEGMENT, QUESTION
from tests.factories import BudgetFactory
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Execution, Generation

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def reader(page: Any, address: str) -> Iterator[Any]:
    """Bob, signed in; what the browser has to refuse or to complain of fails the test."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    enter_ask(page, address)
    yield page
    assert [text for text in complaints if "the server responded with a status of" not in text] == []


def test_a_member_asks_follows_up_edits_runs_and_rates(reader: Any, address: str, claude: ClaudeStandIn) -> None:
    picture(reader, "ask-start")
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
    picture(reader, "ask-rows")

    with reader.expect_download() as file:
        answer.get_by_role("button", name="Download CSV").click()
    assert Path(file.value.path()).read_text(encoding="utf-8-sig").startswith("segment,orders,average_amount\n")

    answer.get_by_role("button", name="Edit SQL").click()
    answer.get_by_label("Edit the SQL").fill("DELETE FROM customers")
    answer.get_by_text("Not allowed:").wait_for()
    picture(reader, "ask-refused")
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
    picture(reader, "ask-opinion")
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
    picture(reader, "ask-line")
    reader.set_viewport_size({"width": 1000, "height": 800})
    picture(reader, "ask-medium")
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
    picture(reader, "ask-clarify")
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
    picture(reader, "ask-problem")
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
    picture(page, f"ask-narrow-{scheme}-sign-in")
    assert width(page) <= 360, page.evaluate(WIDE)
    enter_ask(page, address)
    picture(page, f"ask-narrow-{scheme}-start")
    assert width(page) <= 360, page.evaluate(WIDE)
    for name in ("Tables", "History"):
        page.get_by_role("button", name=name, exact=True).click()
        picture(page, f"ask-narrow-{scheme}-{name}")
        assert width(page) <= 360, page.evaluate(WIDE)
    play(claude)
    answer = ask(page, QUESTION)
    picture(page, f"ask-narrow-{scheme}-answer")
    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("img").wait_for()
    picture(page, f"ask-narrow-{scheme}-rows")
    answer.get_by_role("button", name="Edit SQL").click()
    assert width(page) <= 360, page.evaluate(WIDE)
    page.goto(f"{live_server.url}/ask/?all")
    picture(page, f"ask-narrow-{scheme}-databases")
    assert width(page) <= 360, page.evaluate(WIDE)


def test_the_page_is_dark_where_the_person_wants_it_so(reader: Any, address: str, claude: ClaudeStandIn) -> None:
    light = reader.evaluate("getComputedStyle(document.body).backgroundColor")
    reader.emulate_media(color_scheme="dark")
    assert reader.evaluate("getComputedStyle(document.body).backgroundColor") != light
    picture(reader, "ask-dark-start")
    play(claude)
    answer = ask(reader, QUESTION)
    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("img").wait_for()
    picture(reader, "ask-dark-rows")
