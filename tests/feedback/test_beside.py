"""Feedback on the page of the generation that it is about."""

from pathlib import Path

import pytest

from tests.factories import FeedbackFactory, GenerationFactory
from tests.people import People
from text2sql.services.databases import database_add

pytestmark = pytest.mark.django_db


def test_a_generations_page_shows_what_was_said_of_it_and_leads_there(people: People, shop: Path) -> None:
    database = database_add(name="shop", url=f"sqlite:///{shop}", teams=[people.sales], actor="test")
    said, other = (
        FeedbackFactory(generation=GenerationFactory(team=people.sales, database=database), comment=comment)
        for comment in ("Without VAT, please.", "All is well.")
    )
    page = people.signed_in(people.alice).get(f"/admin/text2sql/generation/{said.generation.pk}/change/")
    shown = page.content.decode()
    assert "Without VAT, please." in shown
    assert f"/admin/feedback/feedback/{said.pk}/change/" in shown
    assert other.comment not in shown
    assert 'name="feedback-0-comment"' not in shown  # nobody edits what others have said
