"""Lists as files: what is on the screen, nothing that a spreadsheet would compute, and an entry in the audit."""

import csv
import io
import re
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from observability.models import AuditEntry
from teams.admin import exports
from teams.admin.exports import ExportedAdmin
from tests.factories import FeedbackFactory, GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database
from tests.teams.ledgers import charged
from text2sql.admin.charges import ChargeAdmin
from text2sql.models import Database, Generation

pytestmark = pytest.mark.django_db

QUESTIONS = "/admin/text2sql/generation/"
CHARGES = "/admin/teams/charge/"
FEEDBACK = "/admin/feedback/feedback/"


@pytest.fixture
def database(people: People, shop: Path) -> Database:
    return stored_database(shop, people.sales, people.marketing, name="shop")


@pytest.fixture
def question(people: People, database: Database) -> Generation:
    GenerationFactory(team=people.marketing, database=database, question="What did they spend?", end_user="theirs")
    question: Generation = GenerationFactory(
        team=people.sales, database=database, question='=HYPERLINK("http://evil.example","Click")',
        end_user="@SUM(A1)", cost_usd=Decimal("0.000000000001"), sql="-- none\nSELECT 1",
    )  # fmt: skip
    return question


def sent(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def table(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(sent(answer).decode(), newline="")))


def test_no_cell_of_a_csv_file_is_computed(people: People, question: Generation) -> None:
    (row,) = table(people.signed_in(people.alice).post(f"{QUESTIONS}export.csv"))
    assert row["question"] == '\'=HYPERLINK("http://evil.example","Click")'
    assert (row["end user"], row["SQL"]) == ("'@SUM(A1)", "'-- none\nSELECT 1")
    assert (row["cost in USD"], row["team"], row["database"]) == ("0.000000000001", "Sales", "shop")


def test_a_workbook_holds_texts_as_texts_and_numbers_as_numbers(people: People, question: Generation) -> None:
    answer = people.signed_in(people.alice).post(f"{QUESTIONS}export.xlsx")
    assert re.fullmatch(
        r'attachment; filename="generations-\d{4}-\d\d-\d\d-\d{4}\.xlsx"', answer["Content-Disposition"]
    )
    with zipfile.ZipFile(io.BytesIO(sent(answer))) as book:
        parts = {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xml")}
    sheet = parts["xl/worksheets/sheet1.xml"]
    assert sheet.count("<row ") == 2
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert "=HYPERLINK(" in sheet
    assert re.search(r'<c r="[A-Z]2"><v>5</v></c>', sheet)  # the latency


def test_the_file_holds_what_is_on_the_screen(people: People, database: Database) -> None:
    for number in range(3):
        GenerationFactory(
            team=people.sales,
            database=database,
            question=f"Question {number}?",
            status="failed" if number else "clarify",
        )
    root = people.signed_in(people.root)
    query = "status__exact=failed&q=question&o=0"
    screen = [str(row.pk) for row in root.get(f"{QUESTIONS}?{query}").context["cl"].result_list]
    assert [row["id"] for row in table(root.post(f"{QUESTIONS}export.csv?{query}"))] == screen
    assert len(screen) == 2
    entry = AuditEntry.objects.get(verb="list.exported")
    assert (entry.actor, entry.target, entry.scope) == ("user:root", "text2sql.generation", "")
    filters = {"status__exact": ["failed"], "q": ["question"], "o": ["0"]}
    assert entry.data == {"filters": filters, "rows": 2, "is_cut": False, "file": "csv"}


def test_charges_and_feedback_are_taken_along_too(people: People, question: Generation) -> None:
    charged(people.sales, "0.5", timezone.now(), end_user="+1")
    charged(people.marketing, "7", timezone.now())
    FeedbackFactory(generation=question, comment="=1+1")
    alice = people.signed_in(people.alice)
    (charge,) = table(alice.post(f"{CHARGES}export.csv"))
    assert (Decimal(charge["cost in USD"]), charge["end user"], charge["estimated"]) == (Decimal("0.5"), "'+1", "False")
    (feedback,) = table(alice.post(f"{FEEDBACK}export.csv"))
    assert (feedback["comment"], feedback["rating"]) == ("'=1+1", "down")
    entries = AuditEntry.objects.filter(verb="list.exported").values_list("target", "scope", "actor")
    assert set(entries) == {("teams.charge", "sales", "user:alice"), ("feedback.feedback", "sales", "user:alice")}


def test_a_lead_takes_nothing_of_another_team_along(people: People, question: Generation) -> None:
    alice = people.signed_in(people.alice)
    for query in ("", "?team__slug__exact=marketing", "?q=spend", "?end_user=theirs"):
        rows = table(alice.post(f"{QUESTIONS}export.csv{query}"))
        assert [row for row in rows if row["team"] != "Sales"] == [], query


def test_a_filter_that_the_list_refuses_is_refused_here_too(people: People, question: Generation) -> None:
    root = people.signed_in(people.root)
    assert root.post(f"{QUESTIONS}export.csv?user__password__startswith=p").status_code == 400
    answer = root.post(f"{QUESTIONS}export.csv?cost_usd__gte=much")
    assert (answer.status_code, answer["Location"]) == (302, f"{QUESTIONS}?e=1")
    assert not AuditEntry.objects.filter(verb="list.exported").exists()


def test_a_long_list_is_cut_and_the_audit_says_so(
    people: People, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    GenerationFactory.create_batch(3, team=people.sales, database=database)
    monkeypatch.setattr(exports, "LIMIT", 2)
    assert len(table(people.signed_in(people.alice).post(f"{QUESTIONS}export.csv"))) == 2
    entry = AuditEntry.objects.get(verb="list.exported")
    assert (entry.data["rows"], entry.data["is_cut"]) == (2, True)


def test_a_person_without_the_right_is_offered_no_file_and_gets_none(
    people: People, question: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, root = people.signed_in(people.alice), people.signed_in(people.root)
    monkeypatch.setattr(ChargeAdmin, "lead_may", frozenset({"view"}))
    assert "export.csv" in root.get(CHARGES).content.decode()
    assert "export.csv" not in alice.get(CHARGES).content.decode()
    for kind in ("csv", "xlsx"):
        assert alice.post(f"{CHARGES}export.{kind}").status_code == 403
    assert not AuditEntry.objects.filter(verb="list.exported").exists()


def test_the_offer_keeps_the_filters_of_the_list(people: People, question: Generation) -> None:
    html = people.signed_in(people.alice).get(f"{QUESTIONS}?status__exact=succeeded&q=a").content.decode()
    assert 'formaction="export.csv?status__exact=succeeded&amp;q=a"' in html


def test_a_forged_form_exports_nothing(people: People, question: Generation) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.root)
    assert client.post(f"{QUESTIONS}export.csv").status_code == 403
    assert not AuditEntry.objects.filter(verb="list.exported").exists()


def test_a_file_of_many_rows_is_read_in_a_few_queries(
    people: People, database: Database, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    GenerationFactory.create_batch(40, team=people.sales, database=database)
    root = people.signed_in(people.root)
    with django_assert_max_num_queries(20):
        assert len(table(root.post(f"{QUESTIONS}export.csv"))) == 40


def test_no_page_offers_a_file_without_the_verb_for_it() -> None:
    from django.contrib import admin  # noqa: PLC0415  # the registry, once it is full

    offering = [page for page in admin.site._registry.values() if isinstance(page, ExportedAdmin)]
    assert len(offering) >= 3
    assert all("export" in page.admin_may and page.export_columns for page in offering)
