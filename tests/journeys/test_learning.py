"""From a wrong answer to better ones: a person says so, a lead verifies, Claude is shown it, an evaluation asks it."""

import json
import re
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from observability.services.scores import scores_export
from observability.services.traces import traces_export
from teams.models import Membership
from tests.factories import UserFactory
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.api.conftest import Shopper
from tests.text2sql.api.conftest import shopper as shopper  # noqa: PLC0414  # a fixture
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import EvaluationItem, Example

QUESTION = "Which customers are the best ones?"
SIMILAR = "Which are our best customers of the year?"
OTHER = "How many orders were cancelled in March?"
WRONG = "SELECT name FROM customers"
RIGHT = "SELECT name FROM customers ORDER BY name LIMIT 3"


def ask(shopper: Shopper, question: str, claude: ClaudeStandIn | None = None, sql: str = WRONG) -> dict[str, Any]:
    """`claude` where it has to be asked; else the answer comes from the cache."""
    if claude is not None:
        claude.play("answer", sql=sql, explanation="As asked.")
    response = shopper.api.post("generate", {"database": "shop", "question": question})
    assert response.status_code == 200, response.content
    document: dict[str, Any] = response.json()
    assert document["cached"] is (claude is None)
    return document


def last_prompt(claude: ClaudeStandIn) -> str:
    return json.dumps(claude.requests[-1].body["messages"])


def approve_correction(lead: Client, feedback_id: str) -> None:
    """As a browser does it: the dialog is fetched, and sent back as it came."""
    url = f"/admin/feedback/feedback/{feedback_id}/correct/"
    dialog = lead.get(url).content.decode()
    seen_at = re.search(r'name="seen_at" value="([^"]+)"', dialog)
    assert seen_at is not None
    assert RIGHT in unescape(dialog)
    answer = lead.post(
        url,
        {
            "seen_at": unescape(seen_at[1]),
            "question": QUESTION,
            "sql": RIGHT,
            "note": "Three.",
            "_form_submitted": "True",
        },
    )
    assert answer.status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_wrong_answer_teaches_the_next_ones(
    shopper: Shopper, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    wrong, _, _ = (ask(shopper, question, claude) for question in (QUESTION, OTHER, SIMILAR))
    assert ask(shopper, SIMILAR)["sql"] == WRONG

    said = shopper.api.post(
        f"generations/{wrong['id']}/feedback",
        {"rating": "down", "comment": "Only three.", "corrected_sql": RIGHT, "end_user": "nina"},
    ).json()
    assert (said["state"], said["findings"]) == ("new", [])
    traces_export()
    scores_export()
    score = next(score for score in langfuse.scores() if score.name == "user_feedback")
    assert (score.trace_id, score.value) == (wrong["trace_id"], 0)

    # Nothing is learnt before a lead has looked at it.
    ask(shopper, QUESTION, claude)
    assert RIGHT not in last_prompt(claude)

    lead = UserFactory(username="lead")
    Membership.objects.create(team=shopper.team, user=lead, role="lead")
    browser = Client()
    browser.force_login(lead)
    approve_correction(browser, said["id"])
    assert Example.objects.in_force().get().sql == RIGHT
    (listed,) = shopper.api.get("feedback").json()["results"]
    assert (listed["id"], listed["state"]) == (said["id"], "corrected")

    # The same question and one like it are asked anew, with the example; the other one keeps its cached answer.
    for question in (QUESTION, SIMILAR):
        ask(shopper, question, claude, RIGHT)
        assert RIGHT in last_prompt(claude)
    assert ask(shopper, OTHER)["sql"] == WRONG
    assert ask(shopper, QUESTION)["sql"] == RIGHT

    claude.play("answer", sql=RIGHT, explanation="As asked.")
    report = StringIO()
    call_command("evaluate", "--database", "shop", "--examples", "--team", shopper.team.pk, "--yes", stdout=report)
    assert "accuracy  100.0% (1 of 1 correct" in report.getvalue()
    item = EvaluationItem.objects.get()
    assert (item.question, item.gold, item.outcome) == (QUESTION, RIGHT, "correct")
    assert RIGHT not in last_prompt(claude)
