"""No main page has what axe-core calls a serious or critical barrier: wide and narrow, light and dark."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from feedback.models import Feedback
from observability.services.alerts import alert_raise
from teams.models import Team
from teams.services.members import user_principal
from tests.browser.axe import grave_findings
from tests.browser.pages import ask, enter_admin, enter_ask, play
from tests.browser.sales import QUESTION, make_sales
from tests.factories import BudgetFactory, FeedbackFactory
from tests.people import People
from text2sql.demo.claude import ClaudeStandIn
from text2sql.demo.load_rows import rows_load
from text2sql.services.generation import Question, generation_create

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LOOKS = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def page(request: pytest.FixtureRequest, page: Any) -> Any:
    """A page in each look; its window keeps its width, and nothing moves."""
    width, scheme = request.param
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    return page


@pytest.fixture
def people(live_server: LiveServer, sales_file: Path, claude: ClaudeStandIn) -> People:
    """Of a house that has been in use: a question answered by the real way, and many that were made up."""
    people, database = make_sales(sales_file)
    rows_load(generations=400, teams=3, now=timezone.now(), tell=lambda done, of: None)
    BudgetFactory(team=Team.objects.get(slug="load-001"), limit_usd=Decimal("0.5"), period="month")
    play(claude)
    generation = generation_create(
        principal=user_principal(people.bob), question=Question("sales", database.name, QUESTION)
    )
    FeedbackFactory(generation=generation)
    alert_raise(
        key="sales-80", kind="budget", scope="sales", level="warning", subject="Sales has spent 80 %",
        body="Until the first of the month.", recipients=["alice@example.com"],
    )  # fmt: skip
    return people


def test_the_admin_keeps_nobody_out(page: Any, live_server: LiveServer, people: People, axe: str) -> None:
    page.goto(f"{live_server.url}/admin/login/")
    found = grave_findings(page, axe)
    enter_admin(page, live_server, people.root.username)
    feedback = Feedback.objects.get(generation__question=QUESTION)
    for path in (
        "",
        "text2sql/generation/",
        f"text2sql/generation/{feedback.generation_id}/change/",
        "feedback/feedback/",
        f"feedback/feedback/{feedback.pk}/change/",
        "text2sql/example/",
        "teams/team/sales/change/",
        "teams/budget/",
        "spending/load-001/",
        "savings/",
        "answer-cache/",
        "observability/auditentry/",
        "observability/schedule/",
    ):
        assert page.goto(f"{live_server.url}/admin/{path}").ok
        found += grave_findings(page, axe)
    assert not found, "\n".join(found)


def test_the_page_to_ask_keeps_nobody_out(page: Any, address: str, claude: ClaudeStandIn, axe: str) -> None:
    page.goto(address)
    found = grave_findings(page, axe)
    enter_ask(page, address)
    found += grave_findings(page, axe)
    play(claude)
    answer = ask(page, QUESTION)
    answer.get_by_role("button", name="Run").click()
    answer.get_by_role("img").wait_for()
    answer.get_by_text("How this came about").click()
    answer.get_by_role("button", name="Edit SQL").click()
    answer.get_by_role("button", name="The answer is wrong").click()
    answer.get_by_label("What is wrong?").wait_for()
    found += grave_findings(page, axe)
    page.goto(address.replace("sales/sales_db/", "?all"))
    found += grave_findings(page, axe)
    assert not found, "\n".join(found)
