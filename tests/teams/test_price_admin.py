"""Prices in the admin: a list is looked through before it is applied, and every change is audited."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import reverse

from observability.models import AuditEntry, Price
from observability.services.prices import SEED
from tests.people import People

pytestmark = pytest.mark.django_db

IMPORT = "/admin/observability/price/import/"


@pytest.fixture
def root(people: People) -> Client:
    return people.signed_in(people.root)


def upload(client: Client, text: str) -> Any:
    return client.post(IMPORT, {"file": SimpleUploadedFile("prices.json", text.encode())})


def dearer() -> str:
    file = json.loads(SEED.read_text())
    for entry in file["models"]:
        if entry["model"] == "claude-opus-5-5":
            entry["input"] = "4.50"
    return json.dumps(file)


def test_a_list_is_shown_first_and_applied_when_confirmed(root: Client) -> None:
    assert IMPORT in root.get(reverse("admin:observability_price_changelist")).content.decode()
    assert "Price list" in root.get(IMPORT).content.decode()
    shown = upload(root, dearer())
    assert "1 to change" in shown.content.decode()
    assert "4 → <strong>4.5</strong>" in shown.content.decode()
    assert Price.objects.get(model="claude-opus-5-5").input == 4
    confirmed = {name: shown.context_data[name] for name in ("text", "digest")}
    answer = root.post(IMPORT, confirmed, follow=True)
    assert "Prices imported: 1 written" in answer.content.decode()
    assert Price.objects.get(model="claude-opus-5-5").input == Decimal("4.5")
    entry = AuditEntry.objects.get(verb="price.imported")
    assert (entry.actor, entry.data["was"], entry.data["now"]) == ("user:root", {"input": "4"}, {"input": "4.5"})


def test_prices_that_changed_meanwhile_are_shown_again(root: Client) -> None:
    shown = upload(root, dearer())
    Price.objects.filter(model="claude-opus-5-5").update(input=5)
    again = root.post(IMPORT, {name: shown.context_data[name] for name in ("text", "digest")})
    assert "Look again" in again.content.decode()
    assert "5 → <strong>4.5</strong>" in again.content.decode()
    assert Price.objects.get(model="claude-opus-5-5").input == 5


@pytest.mark.parametrize("text", ["no JSON", "{}", "\x00"])
def test_what_is_no_list_is_said_so(root: Client, text: str) -> None:
    answer = upload(root, text)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


def test_a_file_that_is_no_text_is_said_so(root: Client) -> None:
    answer = root.post(IMPORT, {"file": SimpleUploadedFile("prices.json", b"\xff\xfe\x00")})
    assert "no text in UTF-8" in answer.content.decode()


def test_a_lead_imports_nothing(people: People) -> None:
    assert upload(people.signed_in(people.alice), dearer()).status_code == 403
    assert Price.objects.get(model="claude-opus-5-5").input == 4


def test_an_edit_by_hand_is_audited_once_with_old_and_new_values(root: Client) -> None:
    price = Price.objects.get(model="claude-opus-5-5")
    values = {name: "" if value is None else value for name, value in model_to_dict(price).items()}
    moment = price.effective_from
    values |= {"input": "4.75", "effective_from_0": f"{moment:%Y-%m-%d}", "effective_from_1": f"{moment:%H:%M:%S}"}
    answer = root.post(reverse("admin:observability_price_change", args=[price.pk]), values)
    assert answer.status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.data["was"], entry.data["now"]) == ("price.changed", {"input": "4"}, {"input": "4.75"})
    assert root.post(reverse("admin:observability_price_delete", args=[price.pk]), {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.filter(verb="price.deleted").count() == 1
    assert AuditEntry.objects.count() == 2
