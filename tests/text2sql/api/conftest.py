import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from teams.access import Principal
from teams.models import Team
from tests.clients import ApiClient
from tests.factories import TeamFactory, make_database, make_key
from text2sql.models import Database


@dataclass
class Shopper:
    """A team with the database `shop` and a key with every scope."""

    team: Team
    principal: Principal
    database: Database
    api: ApiClient


@pytest.fixture
def shopper(transactional_db: None, shop: Path) -> Shopper:
    team = TeamFactory(slug="sales", name="Sales")
    database = make_database(shop, team)
    _, token, principal = make_key(team)
    return Shopper(team, principal, database, ApiClient(token))


def assert_problem(response: Any, status: int, kind: str) -> dict[str, Any]:
    """The response is this problem, as RFC 9457 wants it; its document."""
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    document: dict[str, Any] = json.loads(response.content)
    assert document["type"] == f"urn:text2sql:problem:{kind}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"].strip()
    assert "Traceback" not in response.content.decode()
    return document
