"""The first page tells each person of their teams, and each figure leads to its list."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.factories import BudgetFactory, FeedbackFactory, GenerationFactory
from tests.people import People, make_people
from text2sql.models import Database, DatabaseAccess
from text2sql.services.question_days import days_count

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> People:
    people = make_people()
    now = timezone.now()
    for team, count in ((people.sales, 3), (people.marketing, 2)):
        database = Database.objects.create(name=f"shop_{team.pk}", dialect="sqlite")
        for number in range(count):
            GenerationFactory(
                team=team, database=database, cache_key="k", status="failed" if number else "succeeded",
                cost_usd=Decimal("0.25"), created_at=now - timedelta(minutes=1),
            )  # fmt: skip
        DatabaseAccess.objects.create(team=team, database=database)
        BudgetFactory(team=team)
    days_count(now)
    return people


def page(client: Client, name: str, query: str = "") -> str:
    client.force_login(User.objects.get(username=name))
    response = client.get(f"/admin/{query}")
    assert response.status_code == 200
    return response.content.decode()


def card(html: str, title: str) -> tuple[str, str, str]:
    """Its link, its figure and its note."""
    found = re.search(
        rf'<a class="overview-card" href="([^"]*)"><span>{title}</span><strong>([^<]*)</strong><small>([^<]*)', html
    )
    assert found is not None
    return unescape(found[1]), found[2], found[3].replace("&nbsp;", "")


def test_an_admin_sees_all_teams_and_a_lead_the_own_one(client: Client, people: People) -> None:
    whole, own = page(client, "root"), page(client, "alice")
    assert card(whole, "Questions")[1] == "5"
    assert card(own, "Questions")[1] == "3"
    assert card(own, "Questions today")[1:] == ("3", "0 a week ago")
    assert card(own, "Answered")[1:] == ("33 %", "2 failed")
    assert card(own, "Cost")[1] == "$0.75"
    assert people.marketing.name in whole
    assert people.marketing.name not in own
    assert "shop_marketing" not in own


def test_each_card_leads_to_the_rows_that_it_counts(client: Client, people: People) -> None:
    html = page(client, "alice")
    failed = client.get(card(html, "Answered")[0])
    assert failed.status_code == 200
    assert failed.context["cl"].result_count == 2
    assert client.get(card(html, "Questions")[0]).context["cl"].result_count == 3
    for title in ("Questions today", "Latency", "From the cache", "Cost", "This month"):
        assert client.get(card(html, title)[0]).status_code == 200
    for link in re.findall(r'href="(/admin/text2sql/generation/[^"]*)"', html):
        assert client.get(unescape(link)).status_code == 200


def test_the_days_are_in_the_url_and_nonsense_is_told(client: Client, people: People) -> None:
    assert card(page(client, "root", "?from=2026-01-01&to=2026-01-31"), "Questions")[1] == "0"
    for query in ("?from=yesterday", "?from=2026-02-01&to=2026-01-01", "?from=1900-01-01", "?to=9999-12-31"):
        assert "These are the last 30 days." in page(client, "root", query)


def test_what_waits_is_counted_for_whom_it_waits(client: Client, people: People) -> None:
    assert "feedback to review" not in page(client, "alice")
    for generation in people.sales.generations.all():
        FeedbackFactory(generation=generation)
    assert "<strong>3</strong> feedback to review" in page(client, "alice")
    assert "feedback to review" not in page(client, "mallory")


def test_the_page_takes_as_many_queries_for_many_teams(
    client: Client, people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(32):
        page(client, "root")
