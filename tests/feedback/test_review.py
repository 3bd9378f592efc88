"""A lead's verdicts through the dialogs: what becomes an example, what does not, and what becomes of it later."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback.models import Feedback
from observability.models import AuditEntry
from tests.factories import MembershipFactory, TeamFactory, UserFactory
from tests.feedback.conftest import SQL, Desk
from text2sql.models import DatabaseAccess, Example
from text2sql.services.examples import example_publish

RIGHT = "SELECT name FROM customers WHERE region = 'north'"


def told(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def reread(feedback: Feedback) -> Feedback:
    return Feedback.objects.select_related("example").get(pk=feedback.pk)


def reviews() -> list[Any]:
    return list(AuditEntry.objects.filter(verb="feedback.reviewed").order_by("id").values_list("data", flat=True))


def untouched(feedback: Feedback) -> bool:
    """Nothing came of it: no verdict, no example, no entry."""
    now = reread(feedback)
    nothing = (now.state, now.reviewed_by, now.example) == ("new", None, None)
    return nothing and not Example.objects.exists() and reviews() == []


@contextmanager
def refusing_audit(verb: str) -> Iterator[None]:
    """PostgreSQL takes no audit entry of this kind."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE observability_auditentry ADD CONSTRAINT refusing CHECK (verb <> '{verb}') NOT VALID"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE observability_auditentry DROP CONSTRAINT refusing")


def test_an_approved_thumbs_up_becomes_an_example_of_its_question_and_sql(desk: Desk) -> None:
    feedback = desk.feedback(rating="up", generation=desk.generation(question="Who buys here?"))
    answer = desk.act("approve", feedback, note="Checked by hand.")
    assert answer.headers["HX-Redirect"] == reverse("admin:feedback_feedback_changelist")
    example = Example.objects.get()
    assert (example.question, example.sql, example.tables) == ("Who buys here?", SQL, ["customers"])
    assert (example.generation, example.actor, example.number) == (feedback.generation, "user:alice", 1)
    assert list(Example.objects.in_force()) == [example]
    now = reread(feedback)
    assert (now.state, now.reviewed_by, now.review_note) == ("approved", desk.lead, "Checked by hand.")
    assert now.example == example
    assert now.reviewed_at is not None
    entry = AuditEntry.objects.get(verb="feedback.reviewed")
    assert (entry.actor, entry.target, entry.scope) == ("user:alice", str(feedback.pk), "sales")
    assert entry.data == {
        "verdict": "approved",
        "was": {"state": "new", "review_note": "", "example": None},
        "now": {"state": "approved", "review_note": "Checked by hand.", "example": str(example.pk)},
    }
    shown = desk.shown(feedback)
    assert "Checked by hand." in shown
    assert "Who buys here?, version 1" in shown
    assert f"/admin/text2sql/example/{example.pk}/change/" in shown


def test_the_dialog_shows_what_would_be_approved(desk: Desk) -> None:
    feedback = desk.feedback(corrected_sql=RIGHT, comment="Only the north, please.")
    opened = desk.client.get(desk.path("approve", feedback)).content.decode()
    for text in ("How many customers are there?", "Only the north, please.", "&#x27;north&#x27;"):
        assert text in opened


def test_a_thumbs_down_without_a_correction_is_no_example(desk: Desk) -> None:
    feedback = desk.feedback()
    answer = desk.act("approve", feedback)
    assert answer.status_code == 200
    assert "HX-Redirect" not in answer.headers
    assert "say what is right" in answer.content.decode()
    assert untouched(feedback)


def test_a_thumbs_down_with_a_correction_is_approved_by_its_correction(desk: Desk) -> None:
    feedback = desk.feedback(corrected_sql=f"```sql\n{RIGHT};\n```")
    desk.act("approve", feedback)
    assert (Example.objects.get().sql, reread(feedback).state) == (RIGHT, "approved")


@pytest.mark.parametrize("sql", ["DELETE FROM customers", "SELECT nmae FROM customers", "SELECT region FROM customers"])
def test_what_would_not_run_now_is_no_example(desk: Desk, sql: str) -> None:
    feedback = desk.feedback(corrected_sql=sql)
    DatabaseAccess.objects.update(hidden_columns=["customers.region"])
    answer = desk.act("approve", feedback)
    assert "This SQL would not run." in answer.content.decode()
    assert untouched(feedback)


def test_a_team_that_has_lost_the_database_gets_no_example(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    DatabaseAccess.objects.all().delete()
    assert "This SQL would not run." in desk.act("approve", feedback).content.decode()
    assert untouched(feedback)


def test_the_correction_starts_with_what_was_said_and_becomes_the_example(desk: Desk) -> None:
    feedback = desk.feedback(corrected_sql="SELECT name\nFROM customers\nWHERE region = 'south'")
    opened = desk.opened("correct", feedback)
    assert opened["question"] == "How many customers are there?"
    assert opened["sql"] == feedback.corrected_sql
    answer = desk.act("correct", feedback, opened, question="Who is in the north?", sql=RIGHT, note="North it is.")
    assert "HX-Redirect" in answer.headers
    example = Example.objects.get()
    assert (example.question, example.sql, example.tables) == ("Who is in the north?", RIGHT, ["customers"])
    now = reread(feedback)
    assert (now.state, now.example, now.review_note) == ("corrected", example, "North it is.")
    assert now.corrected_sql == feedback.corrected_sql  # what people said stays
    assert [(each["was"]["state"], each["now"]) for each in reviews()] == [
        ("new", {"state": "corrected", "example": str(example.pk), "review_note": "North it is."})
    ]


def test_without_a_correction_the_answers_sql_is_corrected(desk: Desk) -> None:
    assert desk.opened("correct", desk.feedback())["sql"] == SQL


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"sql": "SELECT nmae FROM customers"}, "name"),
        ({"sql": "DROP TABLE customers"}, "This SQL would not run."),
        ({"sql": " "}, "This field is required."),
        ({"question": ""}, "This field is required."),
        ({"question": "nul \0"}, "Null characters are not allowed."),
        ({"sql": "SELECT '\0'"}, "Null characters are not allowed."),
    ],
)
def test_a_correction_with_mistakes_comes_back_with_them(desk: Desk, typed: dict[str, Any], said: str) -> None:
    feedback = desk.feedback()
    answer = desk.act("correct", feedback, **typed)
    shown = answer.content.decode()
    assert "HX-Redirect" not in answer.headers
    assert said in shown
    if typed.get("sql", " ").strip() and "\0" not in typed["sql"]:
        assert typed["sql"] in shown  # as it was typed, to go on with
    assert untouched(feedback)


@pytest.mark.parametrize("action", ["approve", "correct"])
def test_the_dialog_of_a_follow_up_says_that_the_question_must_stand_alone(desk: Desk, action: str) -> None:
    first = desk.generation(question="Who are our customers?")
    follow_up = desk.feedback(rating="up", generation=desk.generation(question="And in the north?", parent=first))
    alone = desk.feedback(rating="up", generation=first)
    opened = desk.client.get(desk.path(action, follow_up)).content.decode()
    assert "Who are our customers?" in opened
    assert "An example stands alone" in opened
    assert "An example stands alone" not in desk.client.get(desk.path(action, alone)).content.decode()


def test_rejecting_makes_no_example(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("reject", feedback, note="Too special.")
    now = reread(feedback)
    assert (now.state, now.review_note, now.reviewed_by) == ("rejected", "Too special.", desk.lead)
    assert [each["now"] for each in reviews()] == [{"state": "rejected", "review_note": "Too special."}]
    assert not Example.objects.exists()


def test_rejecting_later_switches_the_example_off(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("approve", feedback)
    answer = desk.act("reject", feedback)
    assert "switched off" in told(answer)
    assert not Example.objects.in_force().exists()
    now = reread(feedback)
    assert now.state == "rejected"
    assert now.example is not None
    assert not now.example.enabled
    assert AuditEntry.objects.filter(verb="example.switched_off", actor="user:alice").count() == 1


def test_approving_anew_after_a_rejection_makes_a_new_version(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    for action in ("approve", "reject", "approve"):
        desk.act(action, feedback)
    assert [(each.number, each.sql) for each in Example.objects.in_force()] == [(2, SQL)]
    assert reread(feedback).example == Example.objects.in_force().get()


def test_approving_twice_changes_nothing_of_the_example(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("approve", feedback)
    desk.act("approve", feedback)
    assert Example.objects.get().number == 1
    assert len(reviews()) == 2


def test_correcting_what_was_approved_replaces_its_example(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("approve", feedback)
    desk.act("correct", feedback, sql=RIGHT)
    assert [(each.number, each.sql) for each in Example.objects.in_force()] == [(2, RIGHT)]


def test_an_example_under_another_question_leaves_none_under_the_old_one(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("approve", feedback)
    desk.act("correct", feedback, question="Who are all the customers?")
    assert [each.question for each in Example.objects.in_force()] == ["Who are all the customers?"]


def test_rejecting_leaves_a_newer_version_that_is_not_of_this_feedback(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("approve", feedback)
    newer = example_publish(
        access=DatabaseAccess.objects.get(), question=feedback.generation.question, sql=RIGHT, tables=["customers"],
        generation=None, actor="user:root",
    )  # fmt: skip
    desk.act("reject", feedback)
    assert reread(feedback).state == "rejected"
    assert list(Example.objects.in_force()) == [newer]


@pytest.mark.parametrize("action", ["approve", "correct", "reject"])
def test_nothing_happens_to_feedback_that_was_replaced_while_the_dialog_was_open(desk: Desk, action: str) -> None:
    """The person speaks again, by the API, between the lead's look and the lead's click."""
    feedback = desk.feedback(rating="up", author="nina")
    opened = desk.opened(action, feedback)
    body = {"rating": "down", "comment": "No, wrong after all.", "end_user": "nina"}
    path = f"generations/{feedback.generation_id}/feedback"
    assert desk.shopper.api.post(path, body).json()["id"] == str(feedback.pk)
    answer = desk.act(action, feedback, opened)
    assert answer.headers["HX-Redirect"] == desk.path("change", feedback)
    assert "Nothing was done" in told(answer)
    assert untouched(feedback)
    # Looked at again, it can be decided about.
    desk.act("reject", feedback)
    assert reread(feedback).state == "rejected"


def test_a_verdict_on_a_state_that_the_feedback_never_was_in_is_none(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    opened = desk.opened("reject", feedback)
    opened["seen_at"] = (timezone.now() + timedelta(days=1)).isoformat()
    assert "Nothing was done" in told(desk.act("reject", feedback, opened))
    assert untouched(feedback)


@pytest.mark.parametrize("seen_at", ["", "yesterday", "\0"])
@pytest.mark.parametrize("action", ["approve", "correct", "reject"])
def test_a_dialog_that_does_not_say_what_was_seen_decides_nothing(desk: Desk, action: str, seen_at: str) -> None:
    feedback = desk.feedback(rating="up")
    assert "HX-Redirect" not in desk.act(action, feedback, seen_at=seen_at).headers
    assert untouched(feedback)


def test_nothing_becomes_an_example_from_the_list(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    page = reverse("admin:feedback_feedback_changelist")
    offered = desk.client.get(page).content.decode()
    assert "approve_selected" not in offered
    assert "reject_selected" in offered
    desk.client.post(page, {"action": "approve_selected", "_selected_action": [str(feedback.pk)], "index": "0"})
    assert untouched(feedback)
    desk.client.post(page, {"action": "reject_selected", "_selected_action": [str(feedback.pk)], "index": "0"})
    assert reread(feedback).state == "rejected"


def test_rejecting_from_the_list_switches_examples_off_too(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("approve", feedback, note="Fine.")
    page = reverse("admin:feedback_feedback_changelist")
    desk.client.post(page, {"action": "reject_selected", "_selected_action": [str(feedback.pk)], "index": "0"})
    assert not Example.objects.in_force().exists()
    assert reread(feedback).review_note == "Fine."


@pytest.mark.parametrize("action", ["approve", "correct", "reject", "compare"])
def test_another_teams_lead_gets_no_dialog(desk: Desk, action: str) -> None:
    feedback = desk.feedback(rating="up", corrected_sql=RIGHT)
    mallory = UserFactory(username="mallory")
    MembershipFactory(team=TeamFactory(slug="marketing"), user=mallory, role="lead")
    client = Client()
    client.force_login(mallory)
    opened = {} if action == "compare" else desk.opened(action, feedback)
    assert client.get(desk.path(action, feedback)).status_code == 404
    assert client.post(desk.path(action, feedback), opened).status_code == 404
    assert untouched(feedback)
    assert not AuditEntry.objects.filter(verb="feedback.compared").exists()


def test_a_finding_is_told_on_the_page(desk: Desk) -> None:
    body = {"rating": "down", "corrected_sql": "SELECT nmae FROM customers"}
    generation = desk.generation()
    given = desk.shopper.api.post(f"generations/{generation.pk}/feedback", body).json()
    shown = desk.shown(Feedback.objects.get(pk=given["id"]))
    assert given["findings"][0]["message"].split("'")[0].split('"')[0] in shown
    assert shown.count("Closest names: customers.name.") == 1


def test_the_api_tells_what_became_of_it(desk: Desk) -> None:
    feedback = desk.feedback(rating="up")
    desk.act("approve", feedback, note="Yes.")
    (row,) = desk.shopper.api.get("feedback").json()["results"]
    assert (row["state"], row["review_note"], row["example_id"]) == ("approved", "Yes.", str(Example.objects.get().pk))


def test_a_verdict_that_fails_half_way_leaves_nothing(desk: Desk) -> None:
    """The database itself refuses the last step, the audit entry."""
    feedback = desk.feedback(rating="up")
    opened = desk.opened("approve", feedback)
    with refusing_audit("feedback.reviewed"):
        desk.client.raise_request_exception = False
        assert desk.act("approve", feedback, opened).status_code == 500
    assert untouched(feedback)
    assert not AuditEntry.objects.filter(verb="example.published").exists()
    assert DatabaseAccess.objects.get().examples_number == 0
