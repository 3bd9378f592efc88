"""The doctor's lines for cache, Claude and databases, and the command as people and machines read it."""

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from observability.langfuse import client
from observability.models import Price
from observability.services import doctor as house
from observability.services.doctor import Level
from tests.factories import TeamFactory, make_database
from tests.standins.langfuse import LangfuseStandIn
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database
from text2sql.services import doctor
from text2sql.services.doctor import cache_look, claude_look, claude_state, database_look, model_look

MODEL = "claude-sonnet-5-5"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    settings.CACHE_TABLE_NAME = "answers"


# --- Cache


@pytest.mark.django_db
def test_a_cache_in_postgresql_is_well() -> None:
    assert cache_look().told == "PostgreSQL"


def test_a_cache_that_is_off_is_a_warning(settings: Settings) -> None:
    settings.ENABLE_CACHE = False
    assert cache_look().level == Level.WARN


def test_a_dynamodb_that_is_down_is_told_with_its_settings(aws: None, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings.DYNAMODB_ENDPOINT_URL = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    found = cache_look()
    assert found.level == Level.FAIL
    assert "DYNAMODB_ENDPOINT_URL" in found.told


# --- Claude


@pytest.mark.parametrize(
    ("values", "state", "level"),
    [
        ({"ANTHROPIC_API_KEY": "sk-ant-x"}, "ok", Level.OK),
        ({"CLAUDE_STAND_IN_URL": "http://127.0.0.1:1"}, "stand-in", Level.WARN),
        ({"DEBUG": True}, "missing", Level.WARN),
        ({"DEBUG": False}, "missing", Level.FAIL),
    ],
)
def test_who_answers_is_told(values: dict[str, Any], state: str, level: Level, settings: Settings) -> None:
    for name, value in ({"ANTHROPIC_API_KEY": "", "CLAUDE_STAND_IN_URL": ""} | values).items():
        setattr(settings, name, value)
    assert claude_state() == state
    assert claude_look().level == level
    assert "sk-ant-x" not in claude_look().told


@pytest.mark.django_db
def test_a_model_is_tried_by_having_tokens_counted(claude: ClaudeStandIn) -> None:
    found = model_look(MODEL)
    assert found.level == Level.OK
    assert [one.path for one in claude.requests] == ["/v1/messages/count_tokens"]
    assert claude.billed == []


@pytest.mark.django_db
def test_a_model_without_a_price_fails(claude: ClaudeStandIn) -> None:
    assert model_look("claude-unknown-9").told.startswith("has no price")
    assert claude.requests == []


@pytest.mark.django_db
def test_a_model_that_claude_does_not_know_fails(claude: ClaudeStandIn) -> None:
    price = Price.objects.filter(model=MODEL, above_tokens=0)[0]
    price.pk, price.model = None, "claude-unknown-9"
    price.save()
    found = model_look("claude-unknown-9")
    assert (found.level, found.told) == (Level.FAIL, "claude-unknown-9 is not known or is retired (404)")


@pytest.mark.django_db
def test_a_deprecated_model_is_a_warning(claude: ClaudeStandIn) -> None:
    Price.objects.filter(model=MODEL).update(status="deprecated", retires_on="2027-01-15")
    prices_changed()
    found = model_look(MODEL)
    assert found.level == Level.WARN
    assert "deprecated and retires on 2027-01-15" in found.told


def prices_changed() -> None:
    Price.objects.filter(model=MODEL)[0].save()  # what was read of them is forgotten


@pytest.mark.django_db
def test_a_claude_that_cannot_be_reached_fails(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings.CLAUDE_STAND_IN_URL = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    found = model_look(MODEL)
    assert found.level == Level.FAIL
    assert found.told.startswith("cannot be reached")


@pytest.mark.django_db
def test_a_claude_that_stalls_is_left_after_its_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CLAUDE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CLAUDE_STAND_IN_URL = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = model_look(MODEL)
    assert (found.level, found.told) == (Level.WARN, "no answer within 0.3 s")


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """The address of a server that answers everything with one status."""
    servers = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                body = b'{"type": "error", "error": {"type": "some_error", "message": "No."}}'
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "level", "told"),
    [
        (401, Level.FAIL, "the key is not accepted (401)"),
        (403, Level.FAIL, "the key is not accepted (403)"),
        (400, Level.FAIL, "refused (400)"),
        (429, Level.WARN, "Claude is busy (429)"),
        (529, Level.WARN, "Claude is busy (529)"),
        (200, Level.FAIL, "the answer is none of Claude's (TypeError)"),
    ],
)
def test_each_refusal_has_its_sentence(
    status: int, level: Level, told: str, settings: Settings, answering: Callable[[int], str]
) -> None:
    settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL = "sk-ant-x", answering(status)
    found = model_look(MODEL)
    assert (found.level, found.told) == (level, told)
    assert found.hint


# --- Databases


@pytest.fixture
def database(transactional_db: None, shop: Path) -> Database:
    return make_database(shop, TeamFactory(slug="sales"))


def test_a_database_that_answers_is_well(database: Database) -> None:
    found = database_look(database)
    assert found.level == Level.OK
    assert found.told.startswith("sqlite ")


def test_a_database_that_is_gone_fails_with_its_own_sentence(database: Database, shop: Path) -> None:
    shop.unlink()
    found = database_look(database)
    assert found.level == Level.FAIL
    assert found.hint


def test_a_database_that_cannot_be_decrypted_fails(database: Database, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ["b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktISE="]
    assert database_look(database).level == Level.FAIL


def test_a_database_whose_tables_could_not_be_read_is_a_warning(database: Database) -> None:
    database.sync_state, database.sync_error = Database.SyncState.FAILED, "No rights."
    found = database_look(database)
    assert found.level == Level.WARN
    assert "No rights." in found.told


# --- The command


@pytest.fixture
def well(
    transactional_db: None,
    claude: ClaudeStandIn,
    langfuse: LangfuseStandIn,
    shop: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Database:
    """An installation in which only the worker and the schedule are missing."""
    settings.DEBUG = True
    client._clients_forget()
    monkeypatch.setattr(house, "WORKER_SECONDS", 0.5)
    return make_database(shop, TeamFactory(slug="sales"))


def run(*options: str) -> tuple[str, int]:
    output = io.StringIO()
    try:
        call_command("doctor", *options, stdout=output, no_color=True)
    except SystemExit as ended:
        return output.getvalue(), int(ended.code or 0)
    return output.getvalue(), 0


def test_the_table_has_a_line_for_each_and_hints_where_needed(well: Database) -> None:
    text, code = run()
    assert code == 1
    assert "ok    database shop " in text
    assert "fail  worker" in text
    assert "→ Start it: celery -A text2sql worker" in text
    assert "2 fail" in text.splitlines()[-1]


def test_as_json_it_is_a_list_for_machines(well: Database) -> None:
    text, code = run("--json")
    found = {one["name"]: one for one in json.loads(text)}
    assert list(found) == [
        "database", "settings", "migrations", "broker", "worker", "schedule", "langfuse", "langfuse keys", "clock",
        "langfuse trace", "langfuse score", "cache", "claude", f"model {MODEL}", "database shop",
    ]  # fmt: skip
    assert code == 1
    failed = [name for name, one in found.items() if one["level"] == "fail"]
    assert failed == ["worker", "schedule"]
    assert found["claude"]["level"] == "warn"


def test_without_a_database_the_rest_is_looked_at_all_the_same(
    settings: Settings, langfuse: LangfuseStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client._clients_forget()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    found = {one["name"]: one for one in json.loads(run("--json")[0])}
    assert "/nowhere" in found["database"]["told"]
    assert found["worker"]["told"] == found["cache"]["told"] == "needs the database, which does not answer"
    assert found["broker"]["level"] == found["langfuse keys"]["level"] == found["langfuse score"]["level"] == "ok"


def test_warnings_alone_are_no_failure(well: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "looks", list)  # leaves out worker and schedule, which are not there
    text, code = run()
    assert code == 0
    assert "0 fail" in text


def test_teams_own_models_are_tried_too(well: Database) -> None:
    TeamFactory(slug="marketing", model="claude-unknown-9")
    found = {one["name"]: one for one in json.loads(run("--json")[0])}
    assert found["model claude-unknown-9"]["level"] == "fail"


def test_no_secret_is_printed(well: Database, settings: Settings) -> None:
    text, _ = run()
    for secret in (settings.LANGFUSE_SECRET_KEY, settings.SECRET_KEY, *settings.ENCRYPTION_KEYS):
        assert secret not in text
