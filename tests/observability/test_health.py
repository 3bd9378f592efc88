import socket
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from observability.services.traces import trace_record, traces_export
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn


def test_a_process_is_alive_without_asking_the_database(client: Client) -> None:
    # No database mark: any query would fail the test.
    answer = client.get("/livez")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_a_migrated_database_is_ready(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok", "database": "ok", "migrations": "ok", "broker": "ok", "cache": "ok",
        "langfuse": "off", "claude": "missing",
    }  # fmt: skip


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready(client: Client) -> None:
    ((app, name),) = MigrationLoader(connection).graph.leaf_nodes("observability")
    MigrationRecorder(connection).record_unapplied(app, name)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["migrations"] == "1 missing"


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_down_is_not_ready_and_tells_no_secrets(client: Client) -> None:
    where = connection.settings_dict
    host, pool = where["HOST"], where["OPTIONS"].pop("pool", None)
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's wrapper has one
    where["HOST"] = "/nowhere"
    try:
        answer = client.get("/readyz")
        assert client.get("/livez").status_code == 200
    finally:
        connection.close()
        where["HOST"] = host
        if pool is not None:
            where["OPTIONS"]["pool"] = pool
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable", "database": "unreachable", "broker": "ok", "cache": "unreachable",
        "langfuse": "off", "claude": "missing",
    }  # fmt: skip
    assert client.get("/readyz").status_code == 200


def test_health_cannot_be_written_to(client: Client) -> None:
    assert client.post("/livez").status_code == 405


@pytest.mark.django_db
def test_a_broker_that_is_down_is_not_ready(client: Client, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings.REDIS_URL = f"redis://:hunter2@127.0.0.1:{nobody.getsockname()[1]}/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["broker"] == "unreachable"
    assert "hunter2" not in answer.content.decode()


@pytest.mark.django_db
def test_a_broker_that_stalls_does_not_hold_the_answer(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observability.health.SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert client.get("/readyz").json()["broker"] == "unreachable"


@pytest.mark.django_db
def test_a_broker_folder_that_cannot_be_written_is_not_ready(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "missing")}
    assert client.get("/readyz").status_code == 503


@pytest.mark.django_db
def test_a_cache_that_is_down_is_not_ready_and_one_that_is_off_is_no_hindrance(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings.DYNAMODB_ENDPOINT_URL = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    settings.CACHE_TABLE_NAME = "answers"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["cache"]) == (503, "unreachable")
    settings.ENABLE_CACHE = False
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["cache"]) == (200, "off")


@pytest.mark.django_db
def test_langfuse_and_claude_are_told_and_decide_nothing_and_neither_is_asked(
    client: Client, settings: Settings, langfuse: LangfuseStandIn
) -> None:
    settings.ANTHROPIC_API_KEY = "sk-ant-test"
    settings.ANTHROPIC_BASE_URL = "http://127.0.0.1:9"  # nobody
    assert client.get("/readyz").json()["langfuse"] == "ok"
    trace_record(trace_made(start=timezone.now() - timedelta(minutes=1)))
    langfuse.refuse()
    traces_export()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert (answer.json()["langfuse"], answer.json()["claude"]) == ("waiting", "ok")
    assert langfuse.requests == []
