"""The description of the API and its page, which works without any other host."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client
from django.urls import URLResolver, get_resolver

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """As the command writes it; a warning would fail it."""
    arguments = ["manage.py", "spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json"]
    run = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, *arguments], cwd=project.BASE_DIR, capture_output=True, text=True, check=False, timeout=100
    )
    assert run.returncode == 0, run.stderr
    assert "warning" not in run.stderr.lower()
    described: dict[str, Any] = json.loads(run.stdout)
    return described


def test_every_door_of_the_api_is_described(description: dict[str, Any]) -> None:
    described = {path.removeprefix("/api/v1/").replace("{", "<").replace("}", ">") for path in description["paths"]}
    found: set[str] = set()
    for resolver in get_resolver().url_patterns:
        if isinstance(resolver, URLResolver) and str(resolver.pattern) == "api/v1/":
            found |= {re.sub(r"<\w+:", "<", str(door.pattern)) for door in resolver.url_patterns}
    assert described == found - {"openapi.json", "docs"}
    assert len(described) >= 10


def test_every_operation_wants_a_key_and_describes_its_errors(description: dict[str, Any]) -> None:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            where = f"{method} {path}"
            assert operation["security"] == [{"ApiKey": []}], where
            good = operation["responses"]["200"]
            assert "application/json" in good["content"], where


def test_amounts_are_described_as_text(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    amounts = [
        (name, field, kind["type"])
        for name, schema in schemas.items()
        for field, kind in schema.get("properties", {}).items()
        if field.endswith("_usd")
    ]
    assert len(amounts) >= 6
    assert {kind for _, _, kind in amounts} == {"string"}


def test_the_description_is_served_as_json_to_everyone() -> None:
    response = Client().get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert "json" in response.headers["Content-Type"]
    assert json.loads(response.content)["openapi"].startswith("3.")


def test_the_page_needs_no_other_host() -> None:
    response = Client().get("/api/v1/docs")
    assert response.status_code == 200
    page = response.content.decode()
    assert re.findall(r"""(?:https?:)?//[\w.-]+\.\w+""", page) == []
    sources = re.findall(r"""(?:src|href)="([^"]+)""", page)
    assert len(sources) >= 3
    for source in sources:
        assert source.startswith("/"), source
        assert Client().get(source).status_code == 200, source
