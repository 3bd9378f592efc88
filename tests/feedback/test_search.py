"""The search of the feedback list: comments, and words of the questions, rare and common ones alike."""

from pathlib import Path

import pytest

from feedback.admin import feedback as page
from tests.factories import FeedbackFactory, GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database

pytestmark = pytest.mark.django_db

LIST = "/admin/feedback/feedback/"


@pytest.mark.parametrize("few", [0, 300], ids=["as of common words", "as of rare words"])
def test_comments_and_questions_are_searched(
    people: People, shop: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "FEW_QUESTIONS", few)
    database = stored_database(shop, people.sales, people.marketing, name="shop")
    first, second, theirs = (
        GenerationFactory(question=question, team=team, database=database, sql="SELECT 1")
        for question, team in (
            ("Revenue by country?", people.sales), ("Who bought?", people.sales), ("Revenue?", people.marketing),
        )
    )  # fmt: skip
    by_question = FeedbackFactory(generation=first, comment="")
    by_comment = FeedbackFactory(generation=second, comment="That is not revenue.")
    FeedbackFactory(generation=second, comment="Fine.")
    other = FeedbackFactory(generation=theirs, comment="")
    alice, root = people.signed_in(people.alice), people.signed_in(people.root)
    for term in ("revenue", "REVEN"):
        assert set(alice.get(LIST, {"q": term}).context["cl"].queryset) == {by_question, by_comment}
        assert set(root.get(LIST, {"q": term}).context["cl"].queryset) == {by_question, by_comment, other}
    assert list(alice.get(LIST, {"q": "country reven"}).context["cl"].queryset) == [by_question]
    assert list(alice.get(LIST, {"q": "?!"}).context["cl"].queryset) == []
    assert len(alice.get(LIST, {"q": " "}).context["cl"].queryset) == 3
