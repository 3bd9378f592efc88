"""The API by kinds of key: the table, and that what is another team's looks like what does not exist."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from teams.access import Scope
from teams.services.keys import key_revoke
from tests.factories import make_key
from tests.permissions.estate import World, issued
from tests.permissions.table import API_ROWS, KEYS, OPEN_ROWS, Row
from text2sql.demo.claude import ClaudeStandIn

PROBLEM = "application/problem+json"


def ask(row: Row, token: str | None, *, database: str, generation: UUID) -> Any:
    body = {"database": database, "question": "How many customers are there?", "rating": "up"}
    path = row.address.replace("<uuid:generation_id>", str(generation)).replace("<str:name>", database)
    path += f"?{row.query}" if row.query else ""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return Client().generic(row.method, f"/{path}", json.dumps(body), "application/json", headers=headers)


def keys_of(world: World) -> dict[str, str | None]:
    revoked, revoked_token, _ = make_key(world.people.sales)
    key_revoke(key=revoked, actor="test")
    return {
        "none": None,
        "malformed": "t2s_tooshort",
        "expired": issued(world.people.sales, *Scope, days=-1),
        "revoked": revoked_token,
        "scopeless": issued(world.people.sales),
        "other": world.marketing.token,
        "right": world.sales.token,
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KEYS)
def test_every_address_answers_each_kind_of_key_as_the_table_says(
    kind: str, world: World, claude: ClaudeStandIn
) -> None:
    claude.play("answer", status="ok", sql="SELECT count(*) AS customers FROM customers", explanation="All of them.")
    token, sales = keys_of(world)[kind], world.sales
    found = {
        str(row): ask(row, token, database=sales.database.name, generation=sales.generation.pk) for row in API_ROWS
    }
    assert {name: str(answer.status_code) for name, answer in found.items()} == {
        str(row): row.outcomes[kind] for row in API_ROWS
    }
    for answer in found.values():
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == PROBLEM
            assert answer.json()["status"] == answer.status_code
        if answer.status_code == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        if kind == "other":
            assert sales.word not in answer.content.decode().replace(sales.database.name, "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", [row for row in API_ROWS if row.outcomes["other"] == "404"], ids=str)
def test_another_teams_row_answers_like_one_that_does_not_exist(row: Row, world: World) -> None:
    theirs = ask(row, world.marketing.token, database=world.sales.database.name, generation=world.sales.generation.pk)
    nobodys = ask(row, world.marketing.token, database="nothing_db", generation=uuid4())
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json() == nobodys.json()
    differing = {name for name, value in theirs.headers.items() if nobodys.headers.get(name) != value}
    assert differing <= {"X-Request-ID"}  # of its own in every answer
    assert theirs.headers.keys() == nobodys.headers.keys()


@pytest.mark.parametrize("row", [row for row in API_ROWS if row.scope != "-"], ids=str)
def test_a_key_with_every_scope_but_the_one_needed_is_refused(row: Row, world: World) -> None:
    token = issued(world.people.sales, *(scope for scope in Scope if scope != row.scope))
    answer = ask(row, token, database=world.sales.database.name, generation=world.sales.generation.pk)
    assert answer.status_code == 403
    assert f"`{row.scope}`" in answer.json()["detail"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", [row for row in API_ROWS if row.scope != "-"], ids=str)
def test_a_key_with_only_the_scope_needed_is_let_in(row: Row, world: World, claude: ClaudeStandIn) -> None:
    claude.play("answer", status="ok", sql="SELECT count(*) AS customers FROM customers", explanation="All of them.")
    token = issued(world.people.sales, Scope(row.scope))
    answer = ask(row, token, database=world.sales.database.name, generation=world.sales.generation.pk)
    assert answer.status_code == 200


def test_asking_for_rows_takes_the_execute_scope_as_well(world: World) -> None:
    token = issued(world.people.sales, Scope.GENERATE)
    body = {"database": world.sales.database.name, "question": "How many?", "execute": True}
    answer = Client().post("/api/v1/generate", body, "application/json", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["detail"]) == (403, "This API key lacks the scope `execute`.")


def test_the_keys_of_an_inactive_team_are_refused(world: World) -> None:
    world.people.sales.active = False
    world.people.sales.save()
    answer = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {world.sales.token}"})
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


def test_signing_in_to_the_admin_opens_no_door_of_the_api(world: World) -> None:
    client = world.people.signed_in(world.people.root)
    assert client.get("/api/v1/generations").status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", OPEN_ROWS, ids=str)
def test_what_is_open_is_open_to_anybody(row: Row) -> None:
    assert str(Client().get("/" + row.address.replace("<home>", "")).status_code) == row.outcomes["anybody"]
