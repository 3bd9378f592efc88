"""Adding a database as people do it: by mouse, by keyboard on a telephone, without scripts."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from tests.browser.axe import grave_findings
from tests.browser.pages import WIDE, enter_ask, picture, width
from tests.text2sql.targets.mariadb import MYSQL_SALES, temporary_mariadb
from text2sql.models import Database
from text2sql.services.syncing import syncs_run

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PASSWORD = "right-password"  # of the test's own server


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """Over TCP, of a role that may only read."""
    with temporary_mariadb() as server, server.database(MYSQL_SALES) as name:
        role = f"reader_{uuid.uuid4().hex[:8]}"
        server.execute(f"CREATE USER {role} IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON {name}.* TO {role}")
        yield server.url(name, user=role, password=PASSWORD)


def focused(page: Any) -> str:
    """The name of the field or the words of what has the focus."""
    found: str = page.evaluate("document.activeElement.name || document.activeElement.textContent")
    return found


def enter_home(page: Any, address: str, username: str) -> None:
    enter_ask(page, address, username)
    page.goto(address.replace("/sales/sales_db/", "/?all"))


def test_a_lead_adds_a_database_and_chooses_its_first_questions(
    page: Any, address: str, server_url: str, settings: Settings, axe: str
) -> None:
    settings.LEAD_DATABASE_HOSTS = ["127.0.0.1"]
    enter_home(page, address, "alice")
    picture(page, "add-home")
    page.get_by_role("link", name="Add a database").click()
    assert page.get_by_label("Team").locator("option").all_inner_texts() == ["Sales"]
    page.get_by_label("Name").fill("orders_db")
    url = page.get_by_label("URL", exact=True)
    url.fill(server_url.replace(PASSWORD, "wrong-password"))
    assert url.get_attribute("type") == "password"
    page.get_by_role("button", name="Show or hide the URL").click()
    assert url.get_attribute("type") == "text"
    picture(page, "add-url")
    assert grave_findings(page, axe) == []
    page.get_by_role("button", name="Connect and add").click()

    page.get_by_text("refused the login").wait_for()
    assert (focused(page), url.input_value()) == ("url", "")
    assert "id_url_error" in url.get_attribute("aria-describedby").split()
    assert "wrong-password" not in page.content()
    picture(page, "add-refused")
    assert grave_findings(page, axe) == []
    url.fill(server_url)
    page.get_by_role("button", name="Connect and add").click()

    page.get_by_text("Waiting for the worker").wait_for()
    assert page.locator("[aria-current=step]").inner_text().split() == ["2", "Tables"]
    picture(page, "add-waiting")
    assert grave_findings(page, axe) == []
    syncs_run()
    page.get_by_text("4 tables").wait_for()
    assert page.locator("#reading").get_attribute("aria-live") == "polite"
    picture(page, "add-read")
    assert grave_findings(page, axe) == []

    page.get_by_role("link", name="On to the first questions").click()
    boxes = page.locator("[name=question]")
    page.get_by_role("button", name="Add a question").wait_for()
    proposed = [text for text in boxes.evaluate_all("all => all.map((each) => each.value)") if text]
    assert "" not in boxes.evaluate_all("all => all.map((each) => each.value)")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        picture(page, f"add-questions-{scheme}")
        assert grave_findings(page, axe) == []
    page.get_by_label("Question 1", exact=True).fill("Who has ordered most?")
    page.get_by_role("button", name="Remove question 2").click()
    assert page.evaluate("document.activeElement.ariaLabel") == "Question 2"
    page.get_by_role("button", name="Add a question").click()
    page.keyboard.type("What was ordered last?")
    page.get_by_role("button", name="Save and go to the database").click()
    page.wait_for_url("**/ask/sales/orders_db/")
    wanted = ["Who has ordered most?", *proposed[2:], "What was ordered last?"]
    assert page.locator("#suggestions button").all_inner_texts() == wanted


def test_an_admin_adds_one_by_keyboard_in_a_narrow_window(page: Any, address: str, sales_file: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    with closing(sqlite3.connect(sales_file.with_name("more.sqlite"))) as connection:
        connection.execute("CREATE TABLE returns (id INTEGER PRIMARY KEY, returned_on DATE)")
    enter_home(page, address, "root")
    press_until(page, "Add a database")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ask/add/")
    assert width(page) <= 360, page.evaluate(WIDE)
    press_until(page, "team")
    page.keyboard.type("Sal")
    for told in ("returns_db", f"sqlite:///{sales_file.with_name('more.sqlit')}"):
        page.keyboard.press("Tab")
        page.keyboard.type(told)
    page.keyboard.press("Enter")
    page.get_by_text("There is no SQLite file").wait_for()
    picture(page, "add-narrow-refused")
    assert width(page) <= 360, page.evaluate(WIDE)
    assert focused(page) == "url"
    page.keyboard.type(f"sqlite:///{sales_file.with_name('more.sqlite')}")
    page.keyboard.press("Enter")
    page.get_by_text("Waiting for the worker").wait_for()

    sales_file.with_name("more.sqlite").rename(sales_file.with_name("away.sqlite"))
    syncs_run()
    page.get_by_text("could not be read").wait_for()
    picture(page, "add-narrow-failed")
    assert width(page) <= 360, page.evaluate(WIDE)
    sales_file.with_name("away.sqlite").rename(sales_file.with_name("more.sqlite"))
    press_until(page, "Try again")
    page.keyboard.press("Enter")
    page.get_by_text("Waiting for the worker").wait_for()
    syncs_run()
    page.get_by_text("1 table").wait_for()
    press_until(page, "On to the first questions")
    page.keyboard.press("Enter")
    page.wait_for_url("**/starters/")
    picture(page, "add-narrow-questions")
    assert width(page) <= 360, page.evaluate(WIDE)
    press_until(page, "question")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ask/sales/returns_db/")
    assert "returns" in page.locator("#suggestions button").first.inner_text()


def press_until(page: Any, wanted: str) -> None:
    """Tab, from wherever the focus is, to what has this name or these words."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page).strip() == wanted:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"{wanted} cannot be reached by keyboard")


def test_a_member_is_shown_no_way_to_add_one(page: Any, address: str) -> None:
    enter_home(page, address, "bob")
    assert page.get_by_role("link", name="sales_db").is_visible()
    assert page.get_by_text("Add a database").count() == 0


def test_without_scripts_it_takes_a_click_more(browser: Any, address: str, sales_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    enter_home(page, address, "root")
    page.get_by_role("link", name="Add a database").click()
    page.get_by_label("Team").select_option("Sales")
    page.get_by_label("Name").fill("more_db")
    page.get_by_label("URL").fill(f"sqlite:///{sales_file}")
    page.get_by_role("button", name="Connect and add").click()
    syncs_run()
    page.get_by_role("link", name="Look again").click()
    page.get_by_role("link", name="On to the first questions").click()
    page.get_by_label("Question 1", exact=True).fill("")
    page.get_by_label("Question 2", exact=True).fill("Which products were never sold?")
    page.get_by_role("button", name="Save and go to the database").click()
    page.wait_for_url("**/ask/sales/more_db/")
    assert Database.objects.get(name="more_db").starter_questions[0] == "Which products were never sold?"
    context.close()


@pytest.mark.parametrize("gone", ["server", "role"])
def test_looking_at_the_reading_goes_on_or_ends_in_words(gone: str, page: Any, address: str) -> None:
    enter_ask(page, address, "alice")
    Database.objects.update(sync_state=Database.SyncState.REQUESTED)
    page.goto(f"{address}reading/")
    trouble = page.locator("#trouble")
    if gone == "server":
        page.context.set_offline(True)
        trouble.get_by_text("The server cannot be reached").wait_for()
        page.context.set_offline(False)
        syncs_run()
        page.get_by_text("4 tables").wait_for()
        assert trouble.inner_text() == ""
    else:
        page.context.clear_cookies()
        trouble.get_by_role("link", name="Sign in").wait_for()
