"""The glossary's page: each saving is a version, old ones can be taken up again, by the team's leads only."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from observability.models import AuditEntry
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import DatabaseAccess, Glossary
from text2sql.services.glossaries import glossary_save

pytestmark = pytest.mark.django_db

CONFIRMED = {"_form_submitted": "on"}
LIST, ADD = "/admin/text2sql/glossary/", "/admin/text2sql/glossary/add/"


@pytest.fixture
def access(people: People, shop: Path) -> DatabaseAccess:
    stored_database(shop, people.sales, people.marketing, name="shop")
    return DatabaseAccess.objects.get(team=people.sales)


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def page(glossary: Glossary) -> str:
    return reverse("admin:text2sql_glossary_change", args=[glossary.pk])


def versions() -> list[tuple[int, str, str]]:
    return list(Glossary.objects.order_by("number").values_list("number", "text", "actor"))


def test_a_lead_writes_the_first_glossary_and_changes_it(alice: Client, access: DatabaseAccess) -> None:
    assert alice.post(ADD, {"access": access.pk, "text": "buyer: who paid"}).status_code == 302
    (first,) = Glossary.objects.all()
    assert alice.post(page(first), {"text": "buyer: who paid\r\nor will"}).status_code == 302
    assert versions() == [(1, "buyer: who paid", "user:alice"), (2, "buyer: who paid\nor will", "user:alice")]
    access.refresh_from_db()
    assert access.glossary_number == 2
    entries = AuditEntry.objects.filter(verb="glossary.changed", scope="sales", actor="user:alice")
    assert [(entry.data["was"]["text"], entry.data["now"]["text"]) for entry in entries.order_by("at")] == [
        ("", "buyer: who paid"), ("buyer: who paid", "buyer: who paid\nor will"),
    ]  # fmt: skip
    assert [row.number for row in alice.get(LIST).context["cl"].queryset] == [2]


def test_more_than_eight_kilobytes_are_refused_with_their_number(alice: Client, access: DatabaseAccess) -> None:
    refused = alice.post(ADD, {"access": access.pk, "text": "ä" * 4097})
    assert "At most 8192 bytes; this is 8194." in refused.content.decode()
    assert not Glossary.objects.exists()
    assert alice.post(ADD, {"access": access.pk, "text": "ä" * 4096}).status_code == 302
    shown = alice.get(page(Glossary.objects.get())).content.decode()
    assert '<span data-bytes-of="id_text">8,192</span> of 8,192 bytes' in shown


def test_an_old_version_is_shown_and_can_be_taken_up_again(alice: Client, access: DatabaseAccess) -> None:
    first = glossary_save(access=access, text="one", actor="user:carol")
    second = glossary_save(access=access, text="two", actor="user:dora")
    newest = alice.get(page(second)).content.decode()
    assert all(told in newest for told in (page(first), "user:carol", "user:dora", "Version 2</a>, in force"))
    assert "take_up" not in newest
    old = alice.get(page(first)).content.decode()
    assert 'name="text"' not in old
    assert "take_up" in old
    assert alice.post(f"{LIST}{first.pk}/take_up/", CONFIRMED).status_code == 302
    assert versions()[2:] == [(3, "one", "user:alice")]


def test_who_edits_while_somebody_else_saves_is_told_so_and_keeps_the_text(
    alice: Client, access: DatabaseAccess
) -> None:
    first = glossary_save(access=access, text="one", actor="user:alice")
    glossary_save(access=access, text="two", actor="user:dora")
    refused = alice.post(page(first), {"text": "my long work"}).content.decode()
    assert "Meanwhile user:dora saved version 2" in refused
    assert "my long work" in refused
    assert len(versions()) == 2


def test_a_lead_writes_no_other_teams_glossary(people: People, access: DatabaseAccess) -> None:
    mallory = people.signed_in(people.mallory)
    glossary = glossary_save(access=access, text="one", actor="user:alice")
    others = DatabaseAccess.objects.get(team=people.marketing)
    assert f'value="{others.pk}"' in mallory.get(ADD).content.decode()
    Glossary.objects.all().delete()
    DatabaseAccess.objects.update(glossary_number=0)
    assert f'value="{access.pk}"' not in mallory.get(ADD).content.decode()
    assert "access" in mallory.post(ADD, {"access": access.pk, "text": "x"}).context["adminform"].form.errors
    assert mallory.post(f"{LIST}{glossary.pk}/take_up/", CONFIRMED).status_code == 404
    assert not Glossary.objects.exists()


def test_a_team_has_one_glossary_for_a_database(alice: Client, access: DatabaseAccess) -> None:
    glossary_save(access=access, text="one", actor="user:alice")
    assert "access" in alice.post(ADD, {"access": access.pk, "text": "x"}).context["adminform"].form.errors
    assert len(versions()) == 1
