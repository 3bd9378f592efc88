"""What people say of tables, and the values they opt in, reach the prompt, and nothing that a team may not see does."""

import json

import pytest

from observability.models import AuditEntry
from teams.models import Charge, Reservation
from tests.factories import BudgetFactory
from tests.text2sql.services.conftest import Asker, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database, DatabaseAccess, DraftRun, SchemaNote
from text2sql.services.drafts import drafts_run
from text2sql.services.glossaries import glossary_save
from text2sql.services.notes import draft_request, drafts_take, note_delete, note_save
from text2sql.services.syncing import schema_sync

pytestmark = pytest.mark.django_db(transaction=True)


def system_of(claude: ClaudeStandIn) -> str:
    return str(claude.requests[-1].body["system"])


def describe(asker: Asker, **values: object) -> SchemaNote:
    return note_save(note=SchemaNote(database=asker.database, table="customers", **values), actor="test")


def test_a_description_is_in_the_next_prompt_and_makes_old_answers_old(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=3)
    asker.ask()
    note = describe(asker, text="One row for each buyer.")
    assert not asker.ask().cached
    assert "One row for each buyer." in system_of(claude)
    note_delete(note=note, actor="test")
    assert asker.ask().cached  # all is as it was for the first answer


def test_values_are_shown_only_where_somebody_opted_in(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=2)
    schema_sync(asker.database.pk)
    asker.ask("First?")
    names = ["Ada", "Bob"]
    assert not any(f'"{name}"' in system_of(claude).replace("\\", "") for name in names)
    describe(asker, column="name", is_sampled=True)
    schema_sync(asker.database.pk)
    values = SchemaNote.objects.get().samples
    assert values
    asker.ask("Second?")
    assert all(value in system_of(claude) for value in values)


def test_values_of_a_hidden_column_are_never_shown(asker: Asker, claude: ClaudeStandIn) -> None:
    describe(asker, column="name", is_sampled=True)
    schema_sync(asker.database.pk)
    DatabaseAccess.objects.update(hidden_columns=["customers.name"])
    play_sql(claude, "SELECT count(*) AS n FROM customers")
    asker.ask()
    assert all(value not in system_of(claude) for value in SchemaNote.objects.get().samples)


def test_the_glossary_is_versioned_and_in_the_prompt(asker: Asker, claude: ClaudeStandIn) -> None:
    access = DatabaseAccess.objects.get()
    first = glossary_save(access=access, text="revenue: paid orders", actor="user:lead")
    assert glossary_save(access=access, text="revenue: paid orders ", actor="user:lead") == first
    second = glossary_save(access=access, text="revenue: all orders", actor="user:lead")
    assert (first.number, second.number) == (1, 2)
    play_sql(claude)
    assert asker.ask().glossary_number == 2
    assert "revenue: all orders" in system_of(claude)
    assert "paid orders" not in system_of(claude)
    assert AuditEntry.objects.filter(verb="glossary.changed").count() == 2


def test_claude_drafts_what_is_missing_and_people_take_it_over(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team)
    told = [
        {"table": "customers", "column": "", "text": "One row for each buyer."},
        {"table": "secrets", "column": "", "text": "Not there."},
        {"table": "customers", "column": "name", "text": "Full name."},
    ]
    claude.play("answer", text=json.dumps({"descriptions": told}))
    draft_request(database=asker.database, team=asker.team, actor="user:lead")
    assert drafts_run() == 2
    assert Charge.objects.get().cost_usd == claude.billed[0].cost
    assert not Reservation.objects.exists()
    play_sql(claude, times=2)
    asker.ask("Before?")
    assert "One row for each buyer." not in system_of(claude)
    assert drafts_take(notes=SchemaNote.objects.all(), actor="user:lead") == 2
    asker.ask("After?")
    assert "One row for each buyer." in system_of(claude)
    assert Database.objects.get().notes_version


def test_drafts_that_the_budget_does_not_allow_are_not_made(asker: Asker, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=asker.team, limit_usd=0)
    run = draft_request(database=asker.database, team=asker.team, actor="user:lead")
    assert drafts_run() == 0
    run.refresh_from_db()
    assert run.state == DraftRun.State.FAILED
    assert "budget" in run.last_error
    assert claude.requests == []
