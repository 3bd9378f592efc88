"""What Claude is shown: all of a schema that fits, the likeliest tables of one that does not, and which it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.text2sql.services.conftest import Asker, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Catalog, Database, DatabaseAccess, PrefixCount
from text2sql.services.syncing import schema_sync

pytestmark = pytest.mark.django_db(transaction=True)

SUBJECTS = ["invoices", "shipments", "suppliers", "employees", "salaries", "machines", "contracts", "visits"]


@pytest.fixture
def wide(asker: Asker, shop: Path) -> Asker:
    """The shop with a hundred tables more, and room for a few."""
    with closing(sqlite3.connect(shop)) as target:
        for number in range(100):
            subject = SUBJECTS[number % len(SUBJECTS)]
            columns = ", ".join(f"{subject}_value_{place} TEXT" for place in range(20))
            target.execute(f"CREATE TABLE {subject}_{number} (id INTEGER PRIMARY KEY, {columns})")
        target.commit()
    schema_sync(asker.database.pk)
    Database.objects.update(context_tokens=2000)
    return asker


def shown(claude: ClaudeStandIn) -> str:
    body = claude.requests[-1].body
    return str(body["system"]) + str(body["messages"])


def test_a_schema_that_fits_is_shown_whole(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    answer = asker.ask()
    assert answer.strategy == "whole_schema"
    assert "tables:" in answer.strategy_reason
    assert "table customers" in str(claude.requests[-1].body["system"])


def test_of_a_schema_that_does_not_fit_the_likeliest_tables_are_shown(wide: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    answer = wide.ask("Who are the customers?")
    assert answer.strategy == "retrieval"
    assert "of 102 tables" in answer.strategy_reason or "of 10" in answer.strategy_reason
    assert "table customers" in shown(claude)
    assert shown(claude).count("\\ntable ") < 30


def test_the_prefix_is_the_same_whatever_tables_were_chosen(wide: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=2)
    wide.ask("Who are the customers?")
    wide.ask("What do our machines make?")
    first, second = (request.body["system"] for request in claude.requests)
    assert first == second
    assert "machines" in str(claude.requests[1].body["messages"])
    assert PrefixCount.objects.count() == 1


def test_a_table_that_the_team_may_not_see_is_never_chosen(wide: Asker, claude: ClaudeStandIn) -> None:
    every = [table.qualified_name for table in Catalog.objects.latest("read_at").schema.tables]
    visible = [name for name in every if not name.startswith("machines")]
    DatabaseAccess.objects.update(tables=visible)
    play_sql(claude)
    wide.ask("What do our machines make?")
    assert "machines_" not in shown(claude)


def test_today_is_the_teams_today_where_the_database_can_be_told(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    asker.ask()
    assert "in the time zone UTC" in shown(claude)  # SQLite knows no other
