"""A question's page: how its answer came about."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database
from tests.teams.ledgers import charged
from text2sql.admin.timelines import timeline_of
from text2sql.models import Attempt, Generation

pytestmark = pytest.mark.django_db


@pytest.fixture
def question(people: People, shop: Path) -> Generation:
    database = stored_database(shop, people.sales, name="shop")
    values = {"team": people.sales, "database": database}
    parent = GenerationFactory(question="Revenue by <country>?", **values)
    asked: Generation = GenerationFactory(
        question="Now only Europe", parent=parent, rung="repair", strategy="retrieval",
        strategy_reason="12 of 400 tables: the whole has 90,000 of 20,000 tokens", glossary_number=3, **values,
    )  # fmt: skip
    GenerationFactory(question="And by month", parent=asked, **values)
    first = Attempt.objects.create(
        generation=asked, number=1, model="claude-sonnet-5-5", effort="low", max_tokens=900, is_shrunk=True,
        status="succeeded", sql="SELECT nme FROM customers -- <script>", started_at=timezone.now(),
        finding={"code": "unknown_column", "message": "There is no column nme.", "closest": ["name"]},
    )  # fmt: skip
    Attempt.objects.create(
        generation=asked, number=2, kind="repair", model="claude-opus-5-5", max_tokens=4096, status="failed",
        problem="claude-overloaded", problem_detail="Claude is overloaded.", started_at=timezone.now(),
    )  # fmt: skip
    charged(
        people.sales, "0.0125", timezone.now(), generation_id=asked.pk, attempt_id=first.pk, estimated=True,
        output_tokens=321,
    )  # fmt: skip
    return asked


def shown(client: Client, generation: Generation) -> str:
    return client.get(reverse("admin:text2sql_generation_change", args=[generation.pk])).content.decode()


def test_the_page_tells_how_the_answer_came_about(people: People, question: Generation) -> None:
    text = shown(people.signed_in(people.alice), question)
    for told in (
        "12 of 400 tables: the whole has 90,000 of 20,000 tokens", "the model for repairs", "repaired",
        "Revenue by &lt;country&gt;?", "And by month", "repair of the SQL before", "claude-opus-5-5", "effort low",
        "shrunk: money was short for more than 900 output tokens", "SELECT nme FROM customers -- &lt;script&gt;",
        "There is no column nme. Closest names: name.", "$0.0125", "(estimated)", "321 out",
        "claude-overloaded: Claude is overloaded.",
    ):  # fmt: skip
        assert told in text, told
    parent = question.parent
    assert parent is not None
    assert reverse("admin:text2sql_generation_change", args=[parent.pk]) in text


def test_the_page_of_a_cached_answer_has_no_attempts(people: People, question: Generation) -> None:
    assert question.parent is not None
    assert "none: the answer was given before" in shown(people.signed_in(people.root), question.parent)


def test_the_list_marks_and_filters_what_another_model_answered(people: People, question: Generation) -> None:
    root = people.signed_in(people.root)
    cheap = GenerationFactory(team=people.sales, database=question.database, rung="degraded", cost_usd=Decimal(0))
    found = root.get("/admin/text2sql/generation/?rung__exact=degraded")
    assert list(found.context["cl"].queryset) == [cheap]
    assert "cheaper model" in found.content.decode()


def test_the_way_is_drawn_to_scale_in_the_order_in_which_it_was_gone(people: People, question: Generation) -> None:
    began = question.created_at
    at = [(began + timedelta(milliseconds=ms)).isoformat() for ms in (0, 100, 900)]
    question.steps = [
        {"name": "guard", "started_at": at[2], "ended_at": at[2]},
        {"name": "build_context", "started_at": at[0], "ended_at": at[1]},
    ]
    question.finished_at = began + timedelta(seconds=1)
    question.attempts.filter(number=1).update(
        started_at=began + timedelta(milliseconds=250), finished_at=began + timedelta(milliseconds=750)
    )
    question.save()
    timeline = timeline_of(question, list(question.attempts.filter(number=1)))
    assert timeline["whole"] == "1,000 ms"
    assert [(bar["name"], bar["left"], bar["width"], bar["took"]) for bar in timeline["bars"]] == [
        ("context", "0.00", "10.00", "100 ms"),
        ("Claude, first", "25.00", "50.00", "500 ms"),
        ("guard", "90.00", "0.50", "0 ms"),
    ]
    html = shown(people.signed_in(people.alice), question)
    assert "12 of 400 tables" in html
    assert 'x="25.00"' in html


def test_a_question_that_has_not_begun_has_no_way_yet(people: People, question: Generation) -> None:
    question.attempts.all().delete()
    Generation.objects.filter(pk=question.pk).update(status="queued", finished_at=None)
    assert "It has not begun." in shown(people.signed_in(people.alice), question)
