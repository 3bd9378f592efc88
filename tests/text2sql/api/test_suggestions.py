"""Questions near to one that is about to be asked: offered, never answered in its place."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from teams.access import Scope
from teams.models import Team
from tests.clients import ApiClient
from tests.factories import GenerationFactory, TeamFactory, make_database, make_key
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, Example, Generation
from text2sql.services import suggestions
from text2sql.services.examples import example_publish, example_switch, examples_judged

PATH = "databases/shop/suggestions"
ASKED = "How many customers bought orders in the northern region last year?"
NEAR = "How many customers in the northern region bought orders last year"
NEARER = "Last year, how many customers bought orders in the northern region?"
FAR = "What is the average amount?"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def answered(shopper: Shopper, question: str = NEAR, **values: Any) -> Generation:
    values = {"team": shopper.team, "database": shopper.database, "cache_key": "a" * 64, "created_at": NOON} | values
    return GenerationFactory(question=question, **values)


def verified(shopper: Shopper, question: str = NEAR, team: Team | None = None) -> Example:
    access = DatabaseAccess.objects.get(team=team or shopper.team, database=shopper.database)
    return example_publish(
        access=access, question=question, sql="SELECT 1", tables=[], generation=None, actor="user:alice"
    )


def offered(shopper: Shopper, question: str = ASKED) -> list[str]:
    response = shopper.api.get(PATH, question=question)
    assert response.status_code == 200
    return [row["question"] for row in response.json()]


def test_a_near_question_that_was_answered_is_offered(shopper: Shopper) -> None:
    known = answered(shopper)
    answered(shopper, FAR)
    assert shopper.api.get(PATH, question=ASKED).json() == [
        {"question": NEAR, "generation_id": str(known.pk), "example_id": None, "created_at": "2026-11-23T12:00:00Z"}
    ]


def test_a_verified_question_is_offered_in_place_of_the_same_one_answered(shopper: Shopper) -> None:
    answered(shopper, NEAR.upper())
    example = verified(shopper)
    (row,) = shopper.api.get(PATH, question=ASKED).json()
    assert (row["question"], row["generation_id"], row["example_id"]) == (NEAR, None, str(example.pk))


def test_what_is_the_same_question_is_not_offered(shopper: Shopper) -> None:
    answered(shopper, ASKED)
    answered(shopper, f"  {ASKED.upper()} ")
    verified(shopper, ASKED.rstrip("?"))
    assert offered(shopper) == []
    assert offered(shopper, NEARER) == [ASKED.rstrip("?")]


def test_the_same_question_answered_twice_is_offered_once_as_it_was_asked_last(shopper: Shopper) -> None:
    answered(shopper, NEAR.lower())
    last = answered(shopper, created_at=NOON + timedelta(hours=1))
    (row,) = shopper.api.get(PATH, question=ASKED).json()
    assert row["generation_id"] == str(last.pk)


def test_five_are_offered_at_most_the_nearest_first(shopper: Shopper) -> None:
    for number in range(7):
        answered(shopper, f"{NEAR} {'and ' * number}", created_at=NOON + timedelta(hours=number))
    answered(shopper, f"{NEAR} in Saxony", created_at=NOON + timedelta(days=1))
    found = offered(shopper)
    assert len(found) == 5
    assert not any("Saxony" in question for question in found)


@pytest.mark.parametrize(
    "values",
    [
        {"status": "failed"}, {"status": "clarify"}, {"status": "cannot_answer"}, {"status": "running"},
        {"cache_key": ""},
    ],
    ids=str,
)  # fmt: skip
def test_only_what_was_answered_to_people_is_offered(shopper: Shopper, values: dict[str, str]) -> None:
    answered(shopper, **values)
    assert offered(shopper) == []


def test_a_question_that_follows_another_is_not_offered(shopper: Shopper) -> None:
    answered(shopper, parent=answered(shopper, FAR))
    assert offered(shopper) == []


def test_an_example_that_is_not_in_force_is_not_offered(shopper: Shopper) -> None:
    example_switch(example=verified(shopper), enabled=False, actor="user:alice")
    assert offered(shopper) == []
    broken = verified(shopper, NEARER)
    assert offered(shopper) == [NEARER]
    Example.objects.filter(pk=broken.pk).update(finding={"code": "unknown_table", "message": "gone", "closest": []})
    assert offered(shopper) == []
    examples_judged(access=broken.access, findings={broken.pk: None}, actor="test")
    assert offered(shopper) == [NEARER]


def test_another_teams_questions_never_appear(shopper: Shopper) -> None:
    other = TeamFactory(slug="marketing")
    DatabaseAccess.objects.create(team=other, database=shopper.database)
    answered(shopper, team=other)
    verified(shopper, NEARER, team=other)
    assert offered(shopper) == []
    theirs = ApiClient(make_key(other)[1]).get(PATH, question=ASKED).json()
    assert {row["question"] for row in theirs} == {NEAR, NEARER}


def test_questions_about_another_database_do_not_appear(shopper: Shopper, shop: Path) -> None:
    answered(shopper, database=make_database(shop, shopper.team, name="twin"))
    assert offered(shopper) == []


def test_tables_hidden_since_hide_no_question(shopper: Shopper) -> None:
    answered(shopper, tables=["orders"], sql="SELECT count(*) FROM orders")
    DatabaseAccess.objects.update(tables=["customers"])
    assert offered(shopper) == [NEAR]


def test_a_database_that_is_not_the_teams_looks_like_none(shopper: Shopper) -> None:
    answered(shopper)
    other = ApiClient(make_key(TeamFactory(slug="marketing"))[1])
    theirs, none = other.get(PATH, question=ASKED), other.get("databases/nowhere/suggestions", question=ASKED)
    assert_problem(theirs, 404, "not-found")
    assert theirs.content == none.content
    DatabaseAccess.objects.all().delete()
    assert_problem(shopper.api.get(PATH, question=ASKED), 404, "not-found")


@pytest.mark.parametrize("query", [{}, {"question": " "}, {"question": "x" * 100_000}, {"question": "nul\0"}])
def test_a_question_is_needed(shopper: Shopper, query: dict[str, str]) -> None:
    document = assert_problem(shopper.api.get(PATH, **query), 400, "invalid-request")
    assert document["errors"][0]["field"] == "question"


@pytest.mark.parametrize("question", ["?", "of the and", "顧客", "%' OR 1=1", "🙂"])
def test_a_question_like_no_other_is_offered_nothing(shopper: Shopper, question: str) -> None:
    answered(shopper)
    assert offered(shopper, question) == []


def test_suggestions_take_the_read_scope(shopper: Shopper) -> None:
    key = make_key(shopper.team, scopes=(Scope.GENERATE, Scope.EXECUTE))[1]
    assert_problem(ApiClient(key).get(PATH, question=ASKED), 403, "forbidden")


def test_a_near_question_is_never_served_in_place_of_the_one_asked(shopper: Shopper, claude: ClaudeStandIn) -> None:
    for question, sql in ((NEAR, "SELECT 1 AS near"), (ASKED, "SELECT 2 AS asked")):
        claude.play("answer", sql=sql, explanation="As asked.")
        answer = shopper.api.post("generate", {"database": "shop", "question": question}).json()
        assert (answer["cached"], answer["sql"]) == (False, sql)
    assert offered(shopper) == [NEAR]
    assert len(claude.requests) == 2


def test_the_newest_are_compared_in_as_many_queries_as_one(
    shopper: Shopper, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestions, "COMPARED", 3)
    monkeypatch.setattr(suggestions, "LOOKED_AT", 5)
    answered(shopper)
    offered(shopper)
    with CaptureQueriesContext(connection) as few:
        assert offered(shopper) == [NEAR]
    for number in range(3):
        answered(shopper, FAR, created_at=NOON + timedelta(hours=number + 1))
    with CaptureQueriesContext(connection) as many:
        assert offered(shopper) == []
    assert len(many) == len(few)
    twin = make_database(shop, shopper.team, name="twin")
    answered(shopper, NEARER, created_at=NOON + timedelta(days=1))
    assert offered(shopper) == [NEARER]
    for number in range(5):
        answered(shopper, FAR, database=twin, created_at=NOON + timedelta(days=2, hours=number))
    assert offered(shopper) == []
