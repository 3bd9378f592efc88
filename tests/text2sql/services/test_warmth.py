"""On a cold prefix one question writes Claude's cache, and those that start with it read it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from tests.text2sql.services.conftest import Asker
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database, PrefixWarmth, SchemaNote
from text2sql.services import warmth

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _forget() -> None:
    warmth._known.clear()


def make_prefix_long() -> None:
    database = Database.objects.get()
    assert database.catalog is not None
    for table in database.catalog.schema.tables:
        for column in table.columns:
            note = f"{table.name} {column.name} " + "a long description " * 25
            SchemaNote.objects.create(database=database, table=table.name, column=column.name, text=note)
    Database.objects.update(notes_version="1" * 16)


def test_questions_that_start_together_pay_for_one_cache_write(asker: Asker, claude: ClaudeStandIn) -> None:
    make_prefix_long()

    def ask(number: int) -> None:
        try:
            asker.ask(f"How many are number {number}?")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    written = [bill for bill in claude.billed if bill.usage.written_5m]
    assert len(claude.billed) == 8
    assert len(written) == 1
    assert all(bill.usage.read for bill in claude.billed if bill is not written[0])


def test_a_warmer_that_fails_holds_up_nobody_for_long(asker: Asker, claude: ClaudeStandIn) -> None:
    make_prefix_long()
    claude.play("invalid_key")
    asker.problem_of("First?")
    PrefixWarmth.objects.update(warming_until="2000-01-01T00:00Z")
    asker.ask("Second?")
    assert len(claude.billed) == 1
