"""The page to ask by people: the table, and that what is not one's own looks like what does not exist."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from tests.factories import GenerationFactory
from tests.permissions.estate import World
from tests.permissions.table import ASK_ROWS, ROLES, Row
from tests.permissions.test_admin_matrix import person
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, SavedQuestion

BODY = {"question": "How many customers are there?", "session_id": "sitting", "sql": "SELECT 1 AS one", "rating": "up"}
OF_A_DATABASE = [row for row in ASK_ROWS if "<" in row.address]


def visit(client: Client, row: Row, *, team: str, database: str, generation: UUID, saved: UUID) -> Any:
    named = {
        "<slug:team_id>": team,
        "<slug:name>": database,
        "<uuid:generation_id>": generation,
        "<uuid:saved_id>": saved,
    }
    path = row.address
    for name, value in named.items():
        path = path.replace(name, str(value))
    if row.address.endswith("/"):
        return client.generic(row.method, f"/{path}")
    return client.generic(row.method, f"/{path}", json.dumps(BODY), "application/json")


def bobs(world: World) -> dict[str, Any]:
    """A question that Bob asked about his team's database, and one that he keeps."""
    sales = world.sales
    generation = GenerationFactory(team=sales.team, database=sales.database, user=world.people.bob)
    access = DatabaseAccess.objects.get(team=sales.team, database=sales.database)
    saved = SavedQuestion.objects.create(user=world.people.bob, access=access, question="Kept?")
    return {
        "team": sales.team.pk, "database": sales.database.name, "generation": generation.pk, "saved": saved.pk,
    }  # fmt: skip


def outcome(answer: Any) -> str:
    if answer.status_code == 302 and answer.url.startswith("/ask/login/?next="):
        return "login"
    if answer.streaming:
        b"".join(answer.streaming_content)
    return str(answer.status_code)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", ROLES)
def test_every_address_answers_each_person_as_the_table_says(role: str, world: World, claude: ClaudeStandIn) -> None:
    claude.play("answer", status="ok", sql="SELECT count(*) AS customers FROM customers", explanation="All of them.")
    DatabaseAccess.objects.filter(database=world.shared).delete()  # each team has the one database that is its own
    named, user, found = bobs(world), person(world, role), {}
    for row in ASK_ROWS:
        found[str(row)] = outcome(visit(world.people.signed_in(user), row, **named))
    assert found == {str(row): row.outcomes[role] for row in ASK_ROWS}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", OF_A_DATABASE, ids=str)
def test_what_is_another_team_s_answers_like_what_does_not_exist(row: Row, world: World) -> None:
    mallory = world.people.signed_in(world.people.mallory)
    theirs = visit(mallory, row, **bobs(world))
    nobodys = visit(mallory, row, team="nowhere", database="nothing_db", generation=uuid4(), saved=uuid4())
    assert theirs.status_code == nobodys.status_code == 404
    if not row.address.endswith("/"):
        assert theirs.json() == nobodys.json()
    assert world.sales.word not in theirs.content.decode().replace(world.sales.database.name, "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", [row for row in OF_A_DATABASE if row.method != "GET"], ids=str)
def test_nothing_is_done_without_the_csrf_token(row: Row, world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.people.bob)
    assert visit(strict, row, **bobs(world)).status_code == 403
