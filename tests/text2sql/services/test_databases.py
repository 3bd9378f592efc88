"""Databases are added by a policy, read by one worker at a time, and their addresses are sealed."""

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from observability.encryption import UnreadableSecret
from observability.models import AuditEntry
from tests.factories import TeamFactory
from tests.text2sql.services.test_sweeping import run_together
from text2sql.models import Catalog, Database, DatabaseAccess
from text2sql.services import syncing
from text2sql.services.databases import (
    database_add,
    database_probe,
    database_url,
    database_url_set,
    encryption_rotate,
    url_check,
)
from text2sql.services.syncing import schema_sync, sync_request, syncs_run
from text2sql.targets import introspect
from text2sql.targets.errors import TargetError, UrlRejected

pytestmark = pytest.mark.django_db(transaction=True)
KEYS = [Fernet.generate_key().decode() for _ in range(2)]


def add(shop: Path, name: str = "shop") -> Database:
    return database_add(name=name, url=f"sqlite:///{shop}", actor="test")


def test_an_added_database_waits_to_be_read_and_is_open_to_its_teams(shop: Path) -> None:
    teams = [TeamFactory(), TeamFactory()]
    database = database_add(name="shop", url=f"sqlite:///{shop}", teams=teams, actor="user:root", description="d")
    assert (database.dialect, database.sync_state, database.catalog) == ("sqlite", "requested", None)
    assert set(DatabaseAccess.objects.values_list("team", flat=True)) == {team.pk for team in teams}
    assert database_url(database) == f"sqlite:///{shop}"
    entry = AuditEntry.objects.get(verb="database.added")
    assert (entry.actor, entry.target) == ("user:root", "shop")
    assert str(shop) not in repr(entry.data)


def test_the_address_is_kept_nowhere_in_the_clear(shop: Path) -> None:
    database = add(shop)
    assert str(shop) not in repr(Database.objects.values().get(pk=database.pk))


@pytest.mark.parametrize(
    "url",
    [
        "oracle://user:secret@host/db",
        "duckdb:////etc/passwd",
        "postgresql://user:secret@host",
        "secret",
        "sqlite:///:memory:",
        "sqlite:////etc/passwd",
        "sqlite:///{folder}/../outside.sqlite",
        "sqlite:///{folder}/link.sqlite",
        "sqlite:///{folder}x/shop.sqlite",
    ],
)
def test_an_address_that_the_policy_forbids_is_refused_without_repeating_it(shop: Path, url: str) -> None:
    (shop.parent / "link.sqlite").symlink_to("/etc/passwd")
    with pytest.raises(UrlRejected) as raised:
        database_add(name="bad", url=url.format(folder=shop.parent), actor="test")
    assert "secret" not in str(raised.value)
    assert not Database.objects.exists()


def test_a_dialect_must_be_enabled(shop: Path, settings: Settings) -> None:
    settings.TARGET_DIALECTS = ["postgres"]
    with pytest.raises(UrlRejected, match="TARGET_DIALECTS"):
        url_check(f"sqlite:///{shop}")
    settings.TARGET_DIALECTS, settings.FILE_FOLDERS = ["sqlite"], []
    with pytest.raises(UrlRejected, match="FILE_FOLDERS"):
        url_check(f"sqlite:///{shop}")


def test_the_worker_reads_what_waits(shop: Path) -> None:
    database = add(shop)
    assert syncs_run() == 1
    database.refresh_from_db()
    assert (database.sync_state, database.sync_error, database.sync_claimed_until) == ("done", "", None)
    assert database.synced_at is not None
    assert database.catalog is not None
    assert [table.name for table in database.catalog.schema.tables] == ["customers", "orders"]
    assert 0 < len(database.starter_questions) <= 5
    assert syncs_run() == 0


def test_reading_the_same_structure_again_makes_no_new_version(shop: Path) -> None:
    database = add(shop)
    first = schema_sync(database.pk)
    sync_request(database=database, actor="test")
    assert syncs_run() == 1
    assert Catalog.objects.get() == first
    with closing(sqlite3.connect(shop)) as target:
        target.execute("CREATE TABLE extra (id INTEGER)")
    schema_sync(database.pk)
    assert Catalog.objects.count() == 2  # answers still point at the old one
    database.refresh_from_db()
    assert database.catalog != first


def test_a_database_that_cannot_be_read_says_why_and_keeps_what_was_known(shop: Path) -> None:
    database = add(shop)
    known = schema_sync(database.pk)
    shop.rename(shop.with_suffix(".gone"))
    sync_request(database=database, actor="test")
    assert syncs_run() == 0
    database.refresh_from_db()
    assert (database.sync_state, database.catalog) == ("failed", known)
    assert "SQLite file" in database.sync_error
    assert database.sync_claimed_until is None
    with pytest.raises(TargetError):
        database_probe(database)


def test_one_database_in_trouble_does_not_keep_the_others_waiting(shop: Path, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [KEYS[0]]
    sealed = add(shop, "sealed")
    settings.ENCRYPTION_KEYS = [KEYS[1]]  # the old key is lost
    fine = add(shop, "fine")
    assert syncs_run() == 1
    sealed.refresh_from_db()
    fine.refresh_from_db()
    assert (sealed.sync_state, fine.sync_state) == ("failed", "done")
    assert "ENCRYPTION_KEYS" in sealed.sync_error


@pytest.mark.services
def test_of_several_workers_one_reads_each_database(shop: Path) -> None:
    for number in range(6):
        add(shop, f"shop{number}")
    counts: list[int] = []
    run_together(3, lambda: counts.append(syncs_run()))
    assert sum(counts) == 6
    assert Database.objects.filter(sync_state="done").count() == 6


def test_a_reader_that_was_killed_is_replaced_when_its_lease_ends(shop: Path) -> None:
    database = add(shop)
    later = timezone.now() + timedelta(minutes=1)
    Database.objects.update(sync_state="running", sync_claimed_until=later)
    assert syncs_run() == 0
    Database.objects.update(sync_claimed_until=timezone.now() - timedelta(seconds=1))
    assert syncs_run() == 1
    database.refresh_from_db()
    assert database.sync_state == "done"


def test_a_database_pointed_elsewhere_while_it_is_read_is_read_anew(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as target:
        target.execute("CREATE TABLE elsewhere (id INTEGER)")
    database = add(shop)
    # The reader stands still in the middle until the address has been changed.
    reading, changed = threading.Event(), threading.Event()
    read = introspect.read_schema

    def read_slowly(url: str, *, timeout: float) -> object:
        schema = read(url, timeout=timeout)
        reading.set()
        changed.wait(10)
        return schema

    monkeypatch.setattr(syncing, "read_schema", read_slowly)
    reader = threading.Thread(target=run_together, args=(1, syncs_run))
    reader.start()
    reading.wait(10)
    database_url_set(database=Database.objects.get(), url=f"sqlite:///{other}", actor="test")
    changed.set()
    reader.join()
    assert Database.objects.get().sync_state == "requested"
    assert syncs_run() == 1
    catalog = Database.objects.get(pk=database.pk).catalog
    assert catalog is not None
    assert [table.name for table in catalog.schema.tables] == ["elsewhere"]


def test_keys_are_rotated_without_losing_an_address(shop: Path, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [KEYS[0]]
    names = [add(shop, f"shop{number}") for number in range(3)]
    settings.ENCRYPTION_KEYS = [KEYS[1], KEYS[0]]
    assert encryption_rotate() == 3
    settings.ENCRYPTION_KEYS = [KEYS[1]]
    for database in names:
        database.refresh_from_db()
        assert database_url(database) == f"sqlite:///{shop}"


def test_the_rotation_command_says_what_to_do_when_a_key_is_missing(
    shop: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ENCRYPTION_KEYS = [KEYS[0]]
    add(shop)
    call_command("rotate_encryption")
    assert "1 secret" in capsys.readouterr().out
    settings.ENCRYPTION_KEYS = [KEYS[1]]
    with pytest.raises(CommandError, match="put the old key back"):
        call_command("rotate_encryption")


def test_an_address_moved_to_another_row_cannot_be_read(shop: Path) -> None:
    mine, theirs = add(shop, "mine"), add(shop, "theirs")
    Database.objects.filter(pk=mine.pk).update(encrypted_url=theirs.encrypted_url)
    mine.refresh_from_db()
    with pytest.raises(UnreadableSecret, match="another row"):
        database_url(mine)


def test_the_sync_command_reads_by_name_and_fails_for_what_it_cannot_read(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(shop, "fine")
    add(tmp_path / "missing.sqlite", "missing")
    call_command("sync_schema", "fine")
    assert "fine: 2 tables" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Not read: missing"):
        call_command("sync_schema")
    with pytest.raises(CommandError, match=r"no database nowhere\. Known: fine, missing"):
        call_command("sync_schema", "nowhere")
