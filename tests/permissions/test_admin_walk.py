"""Follows every link a person is shown, and reads every page on the way."""

import html
import re
from collections import deque
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.permissions.estate import World

pytestmark = pytest.mark.slow  # whole walks through the admin

ADDRESS = re.compile(r'\s(?:href|action|hx-get|hx-post)="([^"#]+)')
LEAVING = ("/admin/logout/",)


def walk(client: Client) -> dict[str, tuple[int, str]]:
    """Status and body of every page of the admin that is linked from another one, by path and query."""
    seen: dict[str, tuple[int, str]] = {}
    waiting = deque(["/admin/"])
    while waiting:
        path = waiting.popleft()
        if path in seen or path.startswith(LEAVING):
            continue
        answer: Any = client.get(path, follow=True)
        # A file for download is sent piece by piece.
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        seen[path] = (answer.status_code, body.decode())
        # The links of a filtered list are other filters of the same list: one step is enough.
        if "?" not in path:
            links = [urljoin(path, html.unescape(link)) for link in ADDRESS.findall(seen[path][1])]
            waiting.extend(link for link in links if urlsplit(link).path.startswith("/admin/") and "//" not in link)
    return seen


def secrets_of(world: World) -> list[str]:
    """Names, people, ids and the key of sales: none is part of any text of the product."""
    sales = world.sales
    ids = [str(row.pk) for row in sales.rows.values() if len(str(row.pk)) > 20]
    people = [user.email for user in (world.people.alice, world.people.bob)]
    return [sales.word, sales.team.name, sales.key.prefix, sales.token, *ids, *people, "customers.email"]


def test_no_page_a_lead_can_reach_holds_a_word_of_another_team(world: World) -> None:
    pages = walk(world.people.signed_in(world.people.mallory))
    assert len(pages) > 60
    for path, (_, body) in pages.items():
        found = [secret for secret in secrets_of(world) if secret.lower() in body.lower()]
        assert not found, (path, found)
    assert all(any(str(row.pk) in path for path in pages) for row in [world.marketing.generation, world.marketing.key])


def test_the_same_walk_finds_each_of_those_words_where_they_belong(world: World) -> None:
    bodies = "".join(body.lower() for _, body in walk(world.people.signed_in(world.people.alice)).values())
    unseen = [secret for secret in secrets_of(world) if secret.lower() not in bodies]
    # The key itself was shown once, and people's addresses are for the admins.
    assert set(unseen) == {world.sales.token, world.people.bob.email}


@pytest.mark.parametrize("role", ["alice", "mallory", "root"])
def test_no_link_leads_to_a_page_that_is_missing_or_forbidden(role: str, world: World) -> None:
    user: User = getattr(world.people, role)
    pages = walk(world.people.signed_in(user))
    assert {path: status for path, (status, _) in pages.items() if status != 200} == {}
    gone = [path for path, (_, body) in pages.items() if "Perhaps it was deleted" in body]
    assert gone == []


@pytest.mark.parametrize("role", ["alice", "root"])
def test_no_page_shows_a_databases_url(role: str, world: World, shop: object) -> None:
    user: User = getattr(world.people, role)
    for path, (_, body) in walk(world.people.signed_in(user)).items():
        assert str(shop) not in body, path
        assert world.sales.database.encrypted_url not in body, path
