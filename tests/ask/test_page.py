"""What the page shows: the team's view, the person's own history, and nothing else."""

import re
from decimal import Decimal
from html import unescape
from pathlib import Path

import pytest

from teams.models import Membership
from tests.ask.conftest import BASE, SQL, Browser, Place
from tests.factories import BudgetFactory, make_database
from text2sql.models import Database, DatabaseAccess, SchemaNote
from text2sql.services.examples import example_publish
from text2sql.services.notes import note_save


def test_the_only_database_is_opened_at_once_and_of_several_the_last_one(place: Place, shop: Path) -> None:
    assert place.bob.get("/ask/").headers["Location"] == BASE
    make_database(shop, place.people.sales, name="other")
    fresh = Browser(place.people.bob)
    assert {"shop", "other"} <= set(re.findall(r"<strong>(\w+)</strong>", fresh.get("/ask/").content.decode()))
    fresh.get("/ask/sales/other/")
    assert fresh.get("/ask/").headers["Location"] == "/ask/sales/other/"
    assert fresh.get("/ask/", all="").status_code == 200


def test_a_person_without_databases_is_told_whom_to_ask(place: Place) -> None:
    assert b"no database yet" in place.mallory.get("/ask/").content


def test_the_tables_are_those_of_the_team_s_view_with_their_comments(place: Place) -> None:
    note_save(note=SchemaNote(database=place.database, table="customers", text="Who buys <here>."), actor="test")
    DatabaseAccess.objects.update(tables=["customers"], hidden_columns=["customers.email"])
    shown = place.bob.get().content.decode()
    assert "Who buys &lt;here&gt;." in shown
    assert "orders" not in shown.split('id="tables"')[1].split("</aside>")[0]
    assert "email" not in shown
    assert b"email" not in place.bob.get("tables", q="email").content


def test_tables_are_found_by_words_in_names_columns_and_comments(place: Place) -> None:
    def found(words: str) -> list[str]:
        return re.findall(r'<summary><span class="name">(\w+)', place.bob.get("tables", q=words).content.decode())

    assert found("") == ["customers", "orders"]
    assert found("AMOUNT") == ["orders"]
    assert found("orders customer_id") == ["orders"]
    assert found("nowhere") == []


def test_suggestions_are_verified_questions_first_then_starters(place: Place) -> None:
    Database.objects.update(starter_questions=["How many orders are there?", "who are the customers"])
    access = DatabaseAccess.objects.get()
    example_publish(
        access=access, question="Who are the customers?", sql=SQL, tables=["customers"], generation=None, actor="test"
    )
    shown = place.bob.get().content.decode().split('id="suggestions"')[1]
    assert re.findall(r'data-question="([^"]*)"', shown.split("</section>")[0]) == [
        "Who are the customers?",
        "How many orders are there?",
    ]
    assert "verified" in shown.split("How many orders")[0]


def test_a_database_that_has_not_been_read_says_so(place: Place) -> None:
    Database.objects.update(catalog=None)
    answer = place.bob.get()
    assert answer.status_code == 409
    assert "have not been read yet" in answer.content.decode()


def test_another_team_s_database_is_not_there(place: Place) -> None:
    theirs, none = place.mallory.get(), place.mallory.get("/ask/sales/nothing/")
    assert theirs.status_code == none.status_code == 404
    assert place.mallory.get("tables").json() == place.mallory.get("/ask/sales/nothing/tables").json()


def test_the_history_is_the_person_s_own_by_conversation(place: Place) -> None:
    place.generation(place.people.bob, question="First of Bob's?")
    place.generation(place.people.bob, question="Then of Bob's?")
    place.generation(place.people.alice, question="Alice's?")
    place.generation(place.people.bob, question="In another sitting?", session_id="later")
    shown = unescape(place.bob.get("history").content.decode())
    assert re.findall(r'class="first">([^<]*)<', shown) == ["In another sitting?", "First of Bob's?"]
    assert "2 questions" in shown
    opened = place.bob.get(session="sitting").content.decode()
    turns = opened.split('id="turns"')[1]
    assert turns.index("First of Bob") < turns.index("Then of Bob")
    assert "Alice" not in opened
    assert "Alice" not in place.bob.get(session="x\0").content.decode()


def test_the_history_of_a_team_that_one_left_is_gone(place: Place) -> None:
    generation = place.generation(place.people.bob)
    Membership.objects.filter(user=place.people.bob).update(team="marketing")
    assert place.bob.get("history").status_code == 404
    assert place.bob.post(f"generations/{generation.pk}/execute").status_code == 404


def test_the_budget_left_is_the_tightest_one(place: Place) -> None:
    assert b"No budget limit" in place.bob.get("budget").content
    BudgetFactory(team=place.people.sales, limit_usd=Decimal(5), period="month")
    BudgetFactory(team=place.people.sales, limit_usd=Decimal("1.5"), period="day")
    shown = " ".join(re.sub(r"<[^>]+>", "", place.bob.get("budget").content.decode()).split())
    assert shown.startswith("$1.50 of $1.50 left to the team today")


@pytest.mark.parametrize("path", ["/ask/login/", "/ask/?all", BASE])
def test_pages_hold_no_inline_script_or_style_and_are_not_stored(path: str, place: Place) -> None:
    answer = (Browser(None) if "login" in path else place.bob).client.get(path)
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert re.findall(r"\sstyle=|<style|\son\w+=|javascript:|https?://", shown) == []
    assert [
        tag for tag in re.findall(r"<script[^>]*>", shown) if "src=" not in tag and "application/json" not in tag
    ] == []


def test_no_address_or_secret_of_a_database_is_on_the_page(place: Place) -> None:
    place.generation(place.people.bob)
    shown = place.bob.get(session="sitting").content.decode()
    assert "sqlite:///" not in shown
    assert place.database.encrypted_url not in shown


def test_the_way_to_the_admin_is_shown_to_those_who_may_enter_it(place: Place) -> None:
    assert b'href="/admin/"' in place.alice.get().content
    assert b'href="/admin/"' not in place.bob.get().content
