"""Each curl in docs/api.md is run as it stands there, against the real web process."""

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from pytest_django import Settings

from teams.models import Budget
from tests.conftest import SHOP
from tests.events import Told, events_read
from tests.factories import BudgetFactory, GenerationFactory, TeamFactory, make_database, make_key
from tests.processes import PROJECT, web_running
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import CacheEntry, Generation

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SQL = "SELECT name FROM customers ORDER BY name"


@pytest.fixture(scope="module")
def curls() -> dict[str, str]:
    """By the heading under which each stands."""
    page = (PROJECT / "docs/api.md").read_text()
    found: dict[str, str] = {}
    for part in page.split("\n## ")[1:]:
        for number, block in enumerate(re.findall(r"^```sh\n(curl .*?)^```", part, re.MULTILINE | re.DOTALL)):
            found[part.splitlines()[0] + (f" {number + 1}" if number else "")] = block
    return found


@pytest.fixture
def environment(
    transactional_db: None, claude: ClaudeStandIn, tmp_path: Path, settings: Settings
) -> Iterator[dict[str, str]]:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as shop:
        shop.executescript(SHOP)
    settings.FILE_FOLDERS = [str(tmp_path)]
    team = TeamFactory(slug="sales")
    BudgetFactory(team=team)
    database = make_database(tmp_path / "shop.sqlite", team, name="sales_db")
    known = GenerationFactory(team=team, database=database, sql=SQL)
    with web_running(tmp_path) as (url, _):
        yield {"URL": f"{url}/api/v1", "KEY": make_key(team)[1], "ID": str(known.pk)}


def test_every_curl_does_what_the_page_says(
    curls: dict[str, str], environment: dict[str, str], claude: ClaudeStandIn, tmp_path: Path
) -> None:
    assert len(curls) == 7

    def run(heading: str) -> str:
        arguments = ["bash", "-c", curls.pop(heading)]
        ran = subprocess.run(  # noqa: S603  # the page's own words
            arguments,
            env=os.environ | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return ran.stdout

    claude.play("answer", sql=SQL, explanation="x")
    at_once = json.loads(run("At once"))
    assert (at_once["sql"], at_once["rows"]) == (SQL, [["Ada"], ["Bert"]])

    claude.play("answer", sql=SQL, explanation="x")
    told = [event for event in events_read(run("As a stream").split("\n")) if isinstance(event, Told)]
    names = [event.name for event in told]
    assert (names[:3], names[-2:]) == (["context", "attempt", "sql"], ["result", "done"])
    assert told[-2].data["rows"] == at_once["rows"]

    later = run("Later")
    assert later.startswith("HTTP/1.1 202 ")
    queued = Generation.objects.get(status="queued")
    assert f"location: /api/v1/generations/{queued.pk}" in later.lower()
    assert "preference-applied: respond-async" in later.lower()
    looked = run("Later 2")
    assert looked.startswith("HTTP/1.1 200 ")
    assert environment["ID"] in looked

    run("Rows, also as CSV")
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name"], ["Ada"], ["Bert"]]

    again = curls["Again, without paying again"]
    first = run("Again, without paying again")
    curls["Again, without paying again"] = again
    billed = len(claude.billed)
    second = run("Again, without paying again")
    assert "idempotency-replayed: true" in second.lower()
    assert "idempotency-replayed" not in first.lower()
    assert json.loads(second.splitlines()[-1])["id"] == json.loads(first.splitlines()[-1])["id"]
    assert len(claude.billed) == billed

    # Two documents, one after the other.
    said = run("Feedback")
    given, end = json.JSONDecoder().raw_decode(said)
    listed = json.loads(said[end:])
    assert (given["rating"], given["comment"]) == ("down", "Without VAT, please.")
    assert [(row["comment"], row["generation_id"], row["state"]) for row in listed["results"]] == [
        ("Without VAT, please.", environment["ID"], "new")
    ]
    assert curls == {}


def test_the_python_does_what_the_page_says(environment: dict[str, str], claude: ClaudeStandIn, tmp_path: Path) -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```", (PROJECT / "docs/api.md").read_text(), re.MULTILINE | re.DOTALL)

    def run() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", script]
        return subprocess.run(  # noqa: S603  # the page's own words
            command, env=os.environ | environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )

    claude.play("answer", sql=SQL, explanation="x")
    assert run().stdout.splitlines() == [SQL, "Ada", "Bert"]
    Budget.objects.update(limit_usd=Decimal("0.000001"))
    CacheEntry.objects.all().delete()
    refused = run()
    assert refused.returncode == 1
    assert refused.stderr.startswith("No money left until 20")
