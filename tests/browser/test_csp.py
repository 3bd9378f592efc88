"""What the Content-Security-Policy forbids is nothing that our pages need, and is forbidden indeed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.browser.pages import ask, enter_admin, enter_ask, play, save
from tests.factories import BudgetFactory, FeedbackFactory, GenerationFactory, make_database, make_key
from tests.people import make_people
from text2sql.demo.claude import ClaudeStandIn

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LISTEN = """document.addEventListener('securitypolicyviolation', (event) => {
    console.error(`blocked: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});"""
INJECT = """(html) => new Promise((resolve) => {
    const tell = (directive) => resolve([directive, window.injected]);
    document.addEventListener('securitypolicyviolation', (event) => tell(event.effectiveDirective));
    window.injected = false;
    setTimeout(() => tell('nothing blocked'), 5000);
    document.body.append(document.createRange().createContextualFragment(html));
    document.getElementById('injected').click();
})"""
MARKUP, HEADING = "<img src=x onerror=alert(1)>", "<b>name</b>"
BY_SCRIPT = "<p id=injected></p><script>window.injected = true</script>"
BY_HANDLER = "<button id=injected onclick='window.injected = true'>"
BY_ADDRESS = "<a id=injected href='javascript:window.injected = true'>"


@pytest.fixture
def errors(page: Any) -> list[str]:
    """What the browser blocks or complains of, on whichever page comes next."""
    found: list[str] = []

    def note(told: Any) -> None:
        if told.type == "error" and not told.location["url"].endswith("/favicon.ico"):
            found.append(f"{page.url}: {told.text}")

    page.add_init_script(LISTEN)
    page.on("console", note)
    return found


def test_nothing_of_the_admin_is_blocked(page: Any, errors: list[str], live_server: LiveServer, shop: Path) -> None:
    people = make_people()
    database = make_database(shop, people.sales)
    generation = GenerationFactory(team=people.sales, database=database)
    feedback = FeedbackFactory(generation=generation)
    budget = BudgetFactory(team=people.sales)
    make_key(people.sales)
    admin = f"{live_server.url}/admin"
    enter_admin(page, live_server, "root")
    page.locator("#nav-sidebar a").first.wait_for()
    page.goto(f"{admin}/text2sql/generation/")
    page.locator("[x-on\\:click*=filterOpen]").first.click()  # Alpine
    page.get_by_role("button", name="Apply Filters").click()
    page.goto(f"{admin}/text2sql/generation/{generation.pk}/change/")
    page.goto(f"{admin}/feedback/feedback/{feedback.pk}/change/")
    page.click("text=Correct and approve")
    page.wait_for_selector("[name=sql]")
    page.goto(f"{admin}/teams/budget/{budget.pk}/change/")
    page.click("text=Top up >> nth=0")
    page.fill("[name=amount]", "2.50")
    page.fill("[name=reason]", "The quarter ends.")
    page.locator("form", has=page.locator("[name=amount]")).get_by_role("button", name="Top up").click()
    page.wait_for_selector("text=2.50")
    page.goto(f"{admin}/teams/team/sales/change/")
    page.goto(f"{admin}/text2sql/database/{database.pk}/change/")
    page.goto(f"{admin}/spending/sales/")
    page.goto(f"{admin}/answer-cache/sales/")
    page.goto(f"{admin}/teams/apikey/add/")
    page.fill("input[name=name]", "dashboard")
    page.select_option("select[name=team]", "sales")
    save(page)
    assert page.inner_text("pre").startswith("t2s_")
    assert errors == []


def test_nothing_of_the_api_s_page_is_blocked(page: Any, errors: list[str], live_server: LiveServer) -> None:
    page.goto(f"{live_server.url}/api/v1/docs")
    page.locator(".opblock").first.wait_for()
    page.locator(".opblock-summary-control").first.click()
    page.get_by_role("button", name="Try it out").first.click()
    page.get_by_role("button", name="Execute").first.click()
    page.locator(".live-responses-table").first.wait_for()
    asked = [error for error in errors if "401" not in error]  # without a key, as it should be
    assert asked == []


def test_nothing_of_the_page_to_ask_is_blocked(
    page: Any, errors: list[str], live_server: LiveServer, address: str
) -> None:
    enter_ask(page, address, "alice")
    page.get_by_label("Your question").fill("How many orders?")
    page.goto(f"{live_server.url}/ask/add/")
    page.get_by_role("textbox", name="URL").wait_for()
    assert errors == []


def test_what_a_database_claude_or_a_person_says_is_text_on_the_page(
    page: Any, errors: list[str], address: str, claude: ClaudeStandIn
) -> None:
    enter_ask(page, address)
    play(claude, sql=f"SELECT '{MARKUP}' AS \"{HEADING}\", 1 AS n", explanation=f"So {MARKUP} it is.")
    answer = ask(page, f"What is {MARKUP} here?")
    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("heading", name="1 row in").wait_for()
    assert MARKUP in answer.locator("tbody").inner_text()
    assert HEADING in answer.locator("thead").inner_text()
    assert answer.inner_text().count(MARKUP) >= 3
    assert page.locator("img[src=x], thead b").count() == 0
    assert errors == []


@pytest.mark.parametrize("html", [BY_SCRIPT, BY_HANDLER, BY_ADDRESS], ids=["script", "handler", "address"])
@pytest.mark.parametrize(
    "open_page",
    [
        lambda page, server: page.goto(f"{server.url}/ask/login/"),
        lambda page, server: page.goto(f"{server.url}/api/v1/docs"),
        lambda page, server: page.goto(f"{server.url}/admin/login/"),
    ],
    ids=["ask", "docs", "admin"],
)
def test_a_script_that_got_into_a_page_does_not_run(
    page: Any, live_server: LiveServer, open_page: Callable[[Any, LiveServer], Any], html: str
) -> None:
    open_page(page, live_server)
    directive, has_run = page.evaluate(INJECT, html)
    assert (directive.startswith("script-src"), has_run) == (True, False), directive
