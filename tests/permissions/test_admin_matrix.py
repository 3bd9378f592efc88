"""The admin by people: the table, and that what is another team's looks like what does not exist."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from tests.permissions.estate import World
from tests.permissions.table import ADMIN_ROWS, ROLES, Row

CONFIRMED = {"_form_submitted": "on"}
ACTIONS = (
    "revoke/",
    "test/",
    "sync/",
    "approve/",
    "reject/",
    "acknowledge/",
    "run_now/",
    "take_up/",
    "forget/",
    "switch_off/",
    "switch_on/",
)


def person(world: World, role: str) -> User | None:
    return None if role == "nobody" else getattr(world.people, role)


def path_of(row: Row, key: str) -> str:
    named = {"<path:object_id>": key, "<slug:team_id>": key, "<id>": key, "<app_label>": "teams", "<url>": "nowhere"}
    path = row.address
    for name, value in named.items():
        path = path.replace(name, value)
    return f"/{path}?{row.query}" if row.query else f"/{path}"


def visit(client: Client, row: Row, key: str) -> Any:
    body = CONFIRMED if row.address.endswith(ACTIONS) else {}
    return (
        client.generic(row.method, path_of(row, key)) if row.method == "GET" else client.post(path_of(row, key), body)
    )


def outcome(answer: Any) -> str:
    if answer.status_code in (301, 302):
        if answer.url.startswith("/admin/login/"):
            return "login"
        if answer.url == "/admin/" and any(
            "Perhaps it was deleted" in str(m) for m in get_messages(answer.wsgi_request)
        ):
            return "gone"
    return str(answer.status_code)


def sales_key(world: World, row: Row) -> str:
    label = "teams.team" if "team_id" in row.address else ".".join(row.address.split("/")[1:3])
    return str(world.sales.rows[label].pk) if label in world.sales.rows else ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", ROLES)
def test_every_page_answers_each_person_as_the_table_says(role: str, world: World) -> None:
    found, user = {}, person(world, role)
    for row in ADMIN_ROWS:
        answer = visit(world.people.signed_in(user), row, sales_key(world, row))
        found[f"{row}?{row.query}"] = outcome(answer)
    assert found == {f"{row}?{row.query}": row.outcomes[role] for row in ADMIN_ROWS}


@pytest.mark.django_db(transaction=True)
def test_another_teams_row_answers_like_one_that_does_not_exist(world: World) -> None:
    compared = 0
    for row in ADMIN_ROWS:
        if "object_id" not in row.address and "team_id" not in row.address:
            continue
        key = sales_key(world, row)
        by_slug = "/team/" in row.address or "team_id" in row.address
        nobodys = "no-such-team" if by_slug else "987654321" if key.isdecimal() else str(uuid4())
        theirs, none = (visit(world.people.signed_in(world.people.mallory), row, k) for k in (key, nobodys))
        assert outcome(theirs) == outcome(none), row
        assert said(theirs) == [text.replace(nobodys, quote(key)) for text in said(none)], row
        compared += 1
    assert compared > 90


def said(answer: Any) -> list[str]:
    """All that the answer tells: its body without what differs by chance, where it leads, and its messages."""
    body = answer.content.decode()
    body = "\n".join(line for line in body.splitlines() if "csrf" not in line.lower())
    messages = [str(message) for message in get_messages(answer.wsgi_request)]
    return [body, getattr(answer, "url", ""), *messages]
