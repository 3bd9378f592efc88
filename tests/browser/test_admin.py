"""The admin as people use it: with a mouse, through the dialogs."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from feedback.models import Feedback
from teams.models import ApiKey
from tests.browser.pages import enter_admin, save
from tests.factories import BudgetFactory, FeedbackFactory, GenerationFactory, make_database, make_key
from tests.people import make_people
from tests.teams.ledgers import charged_daily

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_a_lead_corrects_and_approves_feedback_through_the_dialog(
    page: Any, live_server: LiveServer, shop: Path
) -> None:
    people = make_people()
    database = make_database(shop, people.sales)
    feedback = FeedbackFactory(generation=GenerationFactory(team=people.sales, database=database))
    enter_admin(page, live_server, "alice")
    page.click("text=Feedback")
    page.click("text=Revenue is without VAT here.")
    page.goto(f"{live_server.url}/admin/feedback/feedback/{feedback.pk}/change/")
    page.click("text=Correct and approve")
    assert page.input_value("[name=sql]") == feedback.generation.sql
    right = page.locator("form", has=page.locator("[name=sql]")).get_by_role("button", name="Correct and approve")
    page.fill("[name=sql]", "SELECT nmae FROM customers")
    right.click()
    page.wait_for_selector("text=This SQL would not run.")
    page.fill("[name=sql]", "SELECT name FROM customers")
    page.fill("[name=note]", "Names were asked for.")
    right.click()
    page.wait_for_url("**/admin/feedback/feedback/")
    feedback.refresh_from_db()
    assert (feedback.state, feedback.review_note) == (Feedback.State.CORRECTED, "Names were asked for.")
    assert feedback.example is not None
    page.goto(f"{live_server.url}/admin/feedback/feedback/{feedback.pk}/change/")
    page.click("text=Run both")
    page.wait_for_selector("text=Run both again")
    assert "Bert" in page.inner_text("body")


def test_an_admin_issues_a_key_that_is_shown_once(page: Any, live_server: LiveServer) -> None:
    make_people()
    enter_admin(page, live_server, "root")
    page.goto(f"{live_server.url}/admin/teams/apikey/add/")
    page.fill("input[name=name]", "dashboard")
    page.select_option("select[name=team]", "sales")
    save(page)
    token = page.inner_text("pre")
    assert token.startswith(f"t2s_{ApiKey.objects.get().prefix}_")
    page.click("text=I have copied it")
    assert token not in page.content()


def test_a_lead_sees_only_the_own_team_in_a_narrow_window(page: Any, live_server: LiveServer) -> None:
    people = make_people()
    make_key(people.marketing)
    page.set_viewport_size({"width": 360, "height": 740})
    enter_admin(page, live_server, "alice")
    page.goto(f"{live_server.url}/admin/teams/team/")
    assert "Sales" in page.inner_text("body")
    assert "Marketing" not in page.content()


def test_an_admin_tops_a_budget_up_through_the_dialog(page: Any, live_server: LiveServer) -> None:
    budget = BudgetFactory(team=make_people().sales, limit_usd=Decimal(5))
    enter_admin(page, live_server, "root")
    page.goto(f"{live_server.url}/admin/teams/budget/{budget.pk}/change/")
    page.click("text=Top up >> nth=0")
    page.fill("[name=amount]", "2.50")
    page.fill("[name=reason]", "The quarter ends.")
    page.locator("form", has=page.locator("[name=amount]")).get_by_role("button", name="Top up").click()
    page.wait_for_selector("text=$2.50 more until")
    assert "$5.00 and $2.50 topped up" in page.inner_text("body")
    assert "The quarter ends." in page.inner_text("body")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_spending_is_no_wider_than_the_window(page: Any, live_server: LiveServer, width: int) -> None:
    people, now = make_people(), timezone.now()
    charged_daily(people.sales, "1.234567", now, days=28, end_user="somebody.with.a.long.name@example.com")
    BudgetFactory(team=people.sales, limit_usd=Decimal(5))
    page.set_viewport_size({"width": width, "height": 740})
    enter_admin(page, live_server, "alice")
    for path in ("spending/sales/", "teams/budget/"):
        page.goto(f"{live_server.url}/admin/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
