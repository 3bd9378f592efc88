"""Evaluations in the admin: what a run came to, what changed since the last one, and the wrong answers."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from teams.models import Team
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import Database, EvaluationItem, EvaluationRun

pytestmark = pytest.mark.django_db

RUNS, ITEMS = "/admin/text2sql/evaluationrun/", "/admin/text2sql/evaluationitem/"


def make_run(database: Database, team: Team, days_ago: int, outcomes: dict[str, str], **values: Any) -> EvaluationRun:
    right = sum(outcome == "correct" for outcome in outcomes.values())
    given: dict[str, Any] = {
        "source": "month.csv", "model": "claude-sonnet-5-5", "status": "finished", "prompt_version": "v",
        "accuracy": right / len(outcomes), "question_count": len(outcomes), "correct_count": right,
        "created_at": timezone.now() - timedelta(days=days_ago),
    }  # fmt: skip
    run = EvaluationRun.objects.create(database=database, team=team, **given | values)
    EvaluationItem.objects.bulk_create(
        EvaluationItem(run=run, number=number, question=text, gold="SELECT 1", outcome=outcome, why="other rows")
        for number, (text, outcome) in enumerate(outcomes.items(), 1)
    )
    return run


@pytest.fixture
def runs(people: People, shop: Path) -> list[EvaluationRun]:
    database = stored_database(shop, people.sales, name="shop")
    wrong = dict.fromkeys(["one?", "two?", "three?"], "wrong") | {"four?": "correct"}
    right = dict.fromkeys(["one?", "two?", "three?"], "correct") | {"four?": "wrong"}
    return [
        make_run(database, people.sales, 3, wrong),
        make_run(database, people.sales, 2, right, source="another.csv"),
        make_run(database, people.sales, 1, right),
    ]


def test_the_list_tells_accuracy_and_its_change_since_the_same_questions(
    people: People, runs: list[EvaluationRun]
) -> None:
    shown = people.signed_in(people.alice).get(RUNS).content.decode()
    assert "75.0%" in shown
    assert shown.count("+50.0") == 1  # the other source's run has nothing before it


def test_a_runs_page_tells_what_became_right_and_wrong(people: People, runs: list[EvaluationRun]) -> None:
    shown = people.signed_in(people.alice).get(f"{RUNS}{runs[2].pk}/change/").content.decode()
    assert "+50.0 points, 3 newly right, 1 newly wrong" in shown
    assert str(runs[0].pk) in shown


def test_the_wrong_answers_of_a_run_are_one_link_away(people: People, runs: list[EvaluationRun]) -> None:
    client = people.signed_in(people.alice)
    query = f"?run__id__exact={runs[2].pk}&outcome__exact=wrong"
    assert query.replace("&", "&amp;") in client.get(f"{RUNS}{runs[2].pk}/change/").content.decode().replace(
        "&outcome", "&amp;outcome"
    )
    (item,) = client.get(ITEMS + query).context["cl"].queryset
    assert item.question == "four?"
    assert "other rows" in client.get(f"{ITEMS}{item.pk}/change/").content.decode()
