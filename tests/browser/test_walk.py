"""One way through the house, by mouse: a team is made, asks, learns; and its neighbour stays outside."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from feedback.models import Feedback
from teams.models import ApiKey, Budget
from tests.browser.pages import ask, enter_admin, enter_ask, picture, save
from tests.factories import make_database
from tests.people import make_people
from text2sql.demo.claude import ClaudeStandIn
from text2sql.demo.data import build
from text2sql.demo.load import load_sqlite
from text2sql.models import Database, Example, Generation

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

FIRST = "Which 10 customers opened the most tickets in the last 180 days?"
SECOND = "How has the number of new tickets changed month by month over the last 12 full months?"
COMMENT = "I only wanted the months, not the change."
RIGHT = "SELECT STRFTIME('%Y-%m', opened_at) AS month, COUNT(*) AS tickets FROM tickets GROUP BY 1 ORDER BY 1"
FORGED = """async ([address, body, type]) => {
    const token = document.querySelector('[name=csrfmiddlewaretoken]').value;
    const headers = {'X-CSRFToken': token, 'Content-Type': type};
    const sent = type.endsWith('json') ? JSON.stringify(body) : new URLSearchParams(body);
    return (await fetch(address, {method: 'POST', headers, body: sent})).status;
}"""
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@pytest.fixture
def support(tmp_path: Path, settings: Settings) -> None:
    """The help desk's database, added and read, and open to nobody; nor has anybody a team to ask it."""
    settings.FILE_FOLDERS = [str(tmp_path)]
    content = build("support_db", datetime.now(UTC).date())
    load_sqlite(tmp_path / "support.sqlite", content)
    make_database(tmp_path / "support.sqlite", name="support_db")
    make_people()


def open_page(page: Any, server: LiveServer, name: str) -> None:
    """From the admin's first page by its menu."""
    page.goto(f"{server.url}/admin/")
    page.locator("a", has=page.get_by_text(name, exact=True)).first.click()


def choose(page: Any, field: str, name: str) -> None:
    """A person, out of a list that is searched while one types."""
    page.locator(f"#select2-{field}-container").click()
    page.locator(".select2-search__field").fill(name)
    page.locator(".select2-results__option", has_text=name).click()


def make_team(page: Any, server: LiveServer) -> None:
    """The team Help desk with its lead, its member, its budget and the database that it may ask."""
    open_page(page, server, "Teams")
    page.get_by_title("Add team").click()
    page.fill("#id_slug", "help-desk")
    page.fill("#id_name", "Help desk")
    for row, (name, role) in enumerate((("charlie", "lead"), ("bob", "member"))):
        page.get_by_text("Add another Membership").click()
        choose(page, f"id_memberships-{row}-user", name)
        page.locator(f"#id_memberships-{row}-role").select_option(role)
    page.get_by_text("Add another Budget").click()
    page.locator("#id_budgets-0-period").select_option("month")
    page.locator("#id_budgets-0-limit_usd").fill("40")
    save(page)
    page.wait_for_url("**/admin/teams/team/")
    open_page(page, server, "Databases")
    page.get_by_role("link", name="support_db").click()
    page.get_by_text("Add another Team that may use it").click()
    page.locator("#id_accesses-0-team").select_option("help-desk")
    save(page)
    page.wait_for_url("**/admin/text2sql/database/")


def issue_key(page: Any, server: LiveServer) -> str:
    open_page(page, server, "API keys")
    page.get_by_title("Add API key").click()
    page.fill("#id_name", "dashboard")
    page.select_option("#id_team", "help-desk")
    save(page)
    token: str = page.locator("pre").inner_text()
    return token


def see_it_written(page: Any, question: str) -> None:
    """Ask, and watch the SQL grow until it is there."""
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    sql = page.get_by_role("region", name="SQL")
    page.locator(".progress", has_text="Writing SQL").wait_for()
    begun = sql.inner_text()
    picture(page, "walk-streaming")
    page.locator("article .meta").wait_for()
    assert 0 < len(begun) < len(sql.inner_text())


def ask_and_rate(page: Any, server: LiveServer, claude: ClaudeStandIn) -> None:
    """Bob asks, follows up, runs, looks at the chart, and says what is wrong and what would be right."""
    enter_ask(page, f"{server.url}/ask/help-desk/support_db/")
    claude.play("slow_stream", seconds=2)
    see_it_written(page, FIRST)
    answer = ask(page, SECOND)
    answer.get_by_role("button", name="Run").click()
    assert "tickets over month_label" in answer.get_by_role("img").get_attribute("aria-label")
    picture(page, "walk-chart")
    answer.get_by_role("button", name="The answer is wrong").click()
    answer.get_by_label("What is wrong?").fill(COMMENT)
    answer.get_by_label("The SQL that would be right").fill(RIGHT)
    answer.get_by_role("button", name="Send").click()
    answer.get_by_label("What is wrong?").wait_for(state="hidden")


def review(page: Any, server: LiveServer) -> None:
    """Charlie looks at what Bob said and makes an example of it."""
    open_page(page, server, "Feedback")
    page.locator("tr", has_text=COMMENT).get_by_role("link").first.click()
    approve = page.get_by_text("Approve as example").first
    approve.wait_for()
    picture(page, "walk-review")
    approve.click()
    dialog = page.locator("form", has=page.locator("[name=seen_at]"))
    dialog.get_by_role("button", name="Approve as example").click()
    page.wait_for_url("**/admin/feedback/feedback/")
    page.get_by_text("Questions like it are shown the example from now on.").wait_for()


def test_a_team_is_made_asks_and_learns_and_its_neighbour_stays_outside(
    page: Any, live_server: LiveServer, support: None, claude: ClaudeStandIn
) -> None:
    enter_admin(page, live_server, "root")
    make_team(page, live_server)
    token = issue_key(page, live_server)
    key = ApiKey.objects.get()
    assert token.startswith(f"t2s_{key.prefix}_")

    page.context.clear_cookies()
    ask_and_rate(page, live_server, claude)
    first, second = Generation.objects.order_by("created_at")
    assert second.parent == first

    page.context.clear_cookies()
    enter_admin(page, live_server, "charlie")
    review(page, live_server)
    example = Example.objects.get()
    assert (example.question, Feedback.objects.get().state) == (SECOND, Feedback.State.APPROVED)

    page.context.clear_cookies()
    enter_admin(page, live_server, "mallory")
    try_everything(page, live_server, key)
    assert Budget.objects.get().limit_usd == 40
    assert Feedback.objects.get().state == Feedback.State.APPROVED
    assert list(ApiKey.objects.values_list("pk", "revoked_at")) == [(key.pk, None)]
    assert Generation.objects.count() == 2


def try_everything(page: Any, server: LiveServer, key: ApiKey) -> None:
    """Mallory leads another team. By address and by forged forms she gets nowhere, and reads not a word."""
    rows = [key, key.team, Budget.objects.get(), Feedback.objects.get(), Example.objects.get()]
    rows += [Generation.objects.latest("created_at"), Database.objects.get()]
    for row in rows:
        page.goto(server.url + reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk]))
        assert page.url == f"{server.url}/admin/"
        assert "exist. Perhaps it was deleted?" in page.content()
        assert "Help desk" not in page.content()
    for path in ("/admin/spending/help-desk/", "/ask/help-desk/support_db/"):
        assert page.goto(server.url + path).status == 404
    open_page(page, server, "API keys")
    page.get_by_title("Add API key").click()
    page.fill("#id_name", "mine too")
    page.locator("#id_team").evaluate("(list) => list.add(new Option('Help desk', 'help-desk', true, true))")
    save(page)
    page.get_by_text("That choice is not one of the available choices").wait_for()
    seen_at = Feedback.objects.get().updated_at.isoformat()
    for name, row in (("teams_apikey_revoke", key), ("feedback_feedback_reject", Feedback.objects.get())):
        dialog = reverse(f"admin:{name}", args=[row.pk])
        assert page.evaluate(FORGED, [dialog, {"_form_submitted": "on", "seen_at": seen_at}, FORM]) == 404
    budget = reverse("admin:teams_budget_change", args=[Budget.objects.get().pk])
    page.evaluate(FORGED, [budget, {"limit_usd": "4000", "at_limit": "block"}, FORM])
    question = {"question": FIRST, "session_id": "forged"}
    assert page.evaluate(FORGED, ["/ask/help-desk/support_db/questions", question, JSON]) == 404
