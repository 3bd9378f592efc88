"""The team's feedback by the API: the newest first, page by page, nobody else's."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from feedback.models import Feedback
from tests.clients import ApiClient
from tests.factories import FeedbackFactory, GenerationFactory, TeamFactory, make_database, make_key
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.services.examples import example_publish

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def said(shopper: Shopper, **values: Any) -> Feedback:
    database = values.pop("database", shopper.database)
    return FeedbackFactory(generation=GenerationFactory(team=shopper.team, database=database), **values)


def ids(page: Any) -> list[str]:
    return [row["id"] for row in page["results"]]


def test_a_row_tells_the_answer_the_review_and_the_example(shopper: Shopper) -> None:
    example = example_publish(
        access=shopper.database.accesses.get(), question="Who?", sql="SELECT 1", tables=[], generation=None, actor="x"
    )
    finding = {"severity": "error", "code": "c", "message": "No.", "closest": []}
    row = said(shopper, state="corrected", review_note="With VAT.", example=example, finding=finding, author="nina")
    (told,) = shopper.api.get("feedback").json()["results"]
    expected = {
        "id": str(row.pk), "generation_id": str(row.generation_id), "question": row.generation.question,
        "database": "shop", "rating": "down", "comment": row.comment, "author": "nina", "state": "corrected",
        "review_note": "With VAT.", "example_id": str(example.pk), "findings": [finding], "corrected_sql": "",
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected


def test_feedback_comes_page_by_page_while_more_arrives(shopper: Shopper) -> None:
    made = [said(shopper) for _ in range(7)]
    for number, row in enumerate(made):
        Feedback.objects.filter(pk=row.pk).update(created_at=NOON - timedelta(minutes=number // 3))
    order = [str(row.pk) for row in Feedback.objects.order_by("-created_at", "-id")]
    page = shopper.api.get("feedback", page_size=3).json()
    seen = ids(page)
    said(shopper)
    while page["next"]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(page["next"]).query).items()}
        page = shopper.api.get("feedback", **query).json()
        seen += ids(page)
    assert seen == order


def test_feedback_is_filtered(shopper: Shopper, shop: Any) -> None:
    up = said(shopper, rating="up")
    approved = said(shopper, state="approved")
    elsewhere = said(shopper, database=make_database(shop, shopper.team, name="twin"))

    def found(**query: Any) -> set[str]:
        return set(ids(shopper.api.get("feedback", **query).json()))

    assert found() == {str(up.pk), str(approved.pk), str(elsewhere.pk)}
    assert found(rating="up") == {str(up.pk)}
    assert found(state="approved") == {str(approved.pk)}
    assert found(database="twin") == {str(elsewhere.pk)}
    assert found(generation=str(up.generation_id)) == {str(up.pk)}
    assert found(rating="up", state="approved") == set()


@pytest.mark.parametrize(
    "query", [{"state": "odd"}, {"rating": "5"}, {"generation": "x"}, {"database": "nul\0"}, {"generation": "\0"}]
)
def test_a_filter_that_makes_no_sense_is_a_problem(shopper: Shopper, query: dict[str, str]) -> None:
    document = assert_problem(shopper.api.get("feedback", **query), 400, "invalid-request")
    assert document["errors"][0]["field"] == next(iter(query))


def test_another_teams_feedback_is_not_there(shopper: Shopper) -> None:
    theirs = said(shopper)
    other = ApiClient(make_key(TeamFactory(slug="marketing"))[1])
    assert ids(shopper.api.get("feedback").json()) == [str(theirs.pk)]
    assert ids(other.get("feedback").json()) == []
    assert ids(other.get("feedback", generation=str(theirs.generation_id)).json()) == []


def test_a_long_page_takes_no_more_queries_than_a_short_one(
    shopper: Shopper, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    said(shopper)
    shopper.api.get("feedback")  # a key's first use is written down
    with django_assert_max_num_queries(20) as short:
        shopper.api.get("feedback")
    for _ in range(20):
        said(shopper)
    with django_assert_max_num_queries(len(short)):
        assert len(ids(shopper.api.get("feedback").json())) == 21
