import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client


def test_a_process_is_alive_without_asking_the_database(client: Client) -> None:
    # No database mark: any query would fail the test.
    answer = client.get("/livez")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_a_migrated_database_is_ready(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok", "migrations": "ok"}


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("observability", "0002_audit_append_only")
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
    assert answer.json() == {"status": "unavailable", "database": "unreachable"}
    assert client.get("/readyz").status_code == 200


def test_health_cannot_be_written_to(client: Client) -> None:
    assert client.post("/livez").status_code == 405
