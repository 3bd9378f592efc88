"""The ledger in the admin: read by leads, put right by admins where it was only estimated."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from observability.models import AuditEntry
from teams.models import Charge
from tests.factories import GenerationFactory, make_key
from tests.people import People
from tests.permissions.estate import stored_database
from tests.teams.ledgers import charged

pytestmark = pytest.mark.django_db

LIST = "/admin/teams/charge/"
CONFIRMED = {"_form_submitted": "on"}


@pytest.fixture
def root(people: People) -> Client:
    return people.signed_in(people.root)


@pytest.fixture
def estimate(people: People, shop: Path) -> Charge:
    key, _, _ = make_key(people.sales)
    question = GenerationFactory(
        team=people.sales,
        database=stored_database(shop, people.sales, name="shop"),
        cost_usd=Decimal("0.5"),
        question="How many?",
    )
    return charged(
        people.sales, "0.5", timezone.now(), generation_id=question.pk, api_key_id=key.pk, estimated=True,
        input_tokens=101, cache_write_5m_tokens=102, cache_write_1h_tokens=103, cache_read_tokens=104,
        output_tokens=105,
    )  # fmt: skip


def page_of(charge: Charge) -> str:
    return reverse("admin:teams_charge_change", args=[charge.pk])


def correct(client: Client, charge: Charge, **values: str) -> Any:
    return client.post(reverse("admin:teams_charge_correct", args=[charge.pk]), {**CONFIRMED, **values}, follow=True)


def shown_by(client: Client, query: str) -> list[Charge]:
    return list(client.get(f"{LIST}?{query}").context["cl"].queryset)


def test_the_list_and_the_page_tell_all_kinds_of_tokens(root: Client, estimate: Charge) -> None:
    for path in (LIST, page_of(estimate)):
        shown = root.get(path).content.decode()
        for piece in ("101", "102", "103", "104", "105", "$0.5", "estimated"):
            assert piece in shown
    shown = root.get(page_of(estimate)).content.decode()
    assert "How many?" in shown
    assert "Correct" in shown


def test_filters_find_what_is_estimated_cached_and_not_yet_corrected(root: Client, people: People) -> None:
    now = timezone.now()
    first = charged(people.sales, "1", now, estimated=True)
    second = charged(people.sales, "1", now, estimated=True, corrected_at=now)
    third = charged(people.marketing, "1", now, cached=True, model="claude-haiku-5-5")
    assert set(shown_by(root, "estimated__exact=1")) == {first, second}
    assert shown_by(root, "estimated__exact=1&corrected_at__isempty=1") == [first]
    assert shown_by(root, "cached__exact=1") == shown_by(root, "model=claude-haiku-5-5") == [third]
    assert shown_by(root, "team__slug__exact=marketing") == [third]
    assert shown_by(root, f"charged_at__gte={now.year + 1}-01-01%2000:00:00%2B00:00") == []


def test_an_admin_puts_an_estimate_right_with_a_reason(root: Client, estimate: Charge) -> None:
    for wrong in ({"cost": "-1", "reason": "x"}, {"cost": "1", "reason": ""}, {"cost": "much", "reason": "x"}):
        assert "errors" in correct(root, estimate, **wrong).content.decode()
    answer = correct(root, estimate, cost="0.125", reason="Anthropic's console")
    assert "Corrected by -$0.375." in answer.content.decode()
    estimate.refresh_from_db()
    assert (estimate.cost_usd, estimate.booked_usd) == (Decimal("0.125"), Decimal("0.5"))
    entry = AuditEntry.objects.get(verb="charge.corrected")
    assert (entry.actor, entry.scope, entry.data["reason"]) == ("user:root", "sales", "Anthropic's console")
    shown = root.get(page_of(estimate)).content.decode()
    assert "corrected" in shown
    assert "$0.5<" in shown.replace("\n", "").replace(" ", "")


def test_what_claude_reported_has_no_such_button_and_stands(root: Client, people: People) -> None:
    charge = charged(people.sales, "0.5", timezone.now())
    assert "/correct/" not in root.get(page_of(charge)).content.decode()
    answer = correct(root, charge, cost="0", reason="x")
    assert "only estimates can be corrected" in answer.content.decode()
    charge.refresh_from_db()
    assert charge.cost_usd == Decimal("0.5")


def test_a_lead_reads_the_ledger_of_the_team_and_corrects_nothing(people: People, estimate: Charge) -> None:
    alice, mallory = people.signed_in(people.alice), people.signed_in(people.mallory)
    assert "/correct/" not in alice.get(page_of(estimate)).content.decode()
    for client in (alice, mallory):
        assert correct(client, estimate, cost="0", reason="x").status_code == 403
    estimate.refresh_from_db()
    assert estimate.cost_usd == Decimal("0.5")
