import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import GenerationFactory, make_database
from tests.people import People, make_people
from text2sql.api.streams import stream_crew
from text2sql.models import Database, Generation

BASE = "/ask/sales/shop/"
SQL = "SELECT name FROM customers ORDER BY name"


class Browser:
    """A person's browser, which sends the page's token with whatever it sends."""

    def __init__(self, user: User | None) -> None:
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        if user is not None:
            self.client.force_login(user)
        self.client.cookies["csrftoken"] = "t" * 32

    def get(self, path: str = "", **query: str) -> Any:
        return self.client.get(path if path.startswith("/") else BASE + path, query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, str | bytes) else json.dumps({} if body is None else body)
        address = path if path.startswith("/") else BASE + path
        told = {"X-CSRFToken": "t" * 32, **headers}
        return self.client.post(address, data, "application/json", headers=told)

    def delete(self, path: str) -> Any:
        return self.client.delete(BASE + path, headers={"X-CSRFToken": "t" * 32})


@dataclass(frozen=True)
class Place:
    """The people of tests/people.py, and the database `shop` of sales."""

    people: People
    database: Database
    bob: Browser
    alice: Browser
    mallory: Browser

    def generation(self, user: User, **values: Any) -> Generation:
        """A question that the person was answered on the page."""
        shared = {"team": self.people.sales, "database": self.database, "session_id": "sitting", "sql": SQL}
        generation: Generation = GenerationFactory(**{**shared, **values}, user=user)
        return generation


@pytest.fixture
def place(transactional_db: None, shop: Path) -> Place:
    people = make_people()
    database = make_database(shop, people.sales)
    return Place(people, database, Browser(people.bob), Browser(people.alice), Browser(people.mallory))


@pytest.fixture(autouse=True)
def fresh_crew() -> Iterator[None]:
    """Threads for this test, all at rest when it ends."""
    stream_crew.cache_clear()
    yield
    stream_crew()._threads.shutdown()
    stream_crew.cache_clear()
