"""Databases: added, tested, read. Celery claims them row by row, so that nothing is lost or done twice."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from observability.services.audit import audit_record
from teams.models import Team
from text2sql.encryption import UnreadableSecret, secret_decrypt, secret_encrypt, secret_rotate
from text2sql.models import Catalog, Database, DatabaseAccess
from text2sql.pipeline.schema import Schema
from text2sql.pipeline.starters import starter_questions
from text2sql.services.connections import connection_release
from text2sql.targets.errors import TargetError, UrlRejected
from text2sql.targets.introspect import read_schema
from text2sql.targets.probe import Probe, probe_target
from text2sql.targets.urls import sqlite_path, target_dialect, target_url

logger = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
SYNC_SECONDS = 120.0
SYNC_LEASE = timedelta(seconds=SYNC_SECONDS + 60)


def url_check(url: str) -> str:
    """The dialect of a target's URL.

    Raises:
        UrlRejected: An unknown or disabled dialect, or a SQLite file outside SQLITE_FOLDERS.
    """
    dialect = target_dialect(url)
    if dialect not in settings.TARGET_DIALECTS:
        raise UrlRejected(f"{dialect} databases are not enabled here; an admin can add it to TARGET_DIALECTS.")
    if dialect == "sqlite":
        file = sqlite_path(target_url(url)).resolve()
        folders = [Path(folder).resolve() for folder in settings.SQLITE_FOLDERS]
        if not any(file.is_relative_to(folder) for folder in folders):
            raise UrlRejected("SQLite files are opened only below the folders in SQLITE_FOLDERS.")
    return dialect


@transaction.atomic
def database_add(*, name: str, url: str, description: str = "", teams: Iterable[Team] = (), actor: str) -> Database:
    """A new database, open to `teams`; its tables are read by the worker. Raises UrlRejected."""
    database_id = uuid4()
    database = Database.objects.create(
        id=database_id,
        name=name,
        description=description,
        dialect=url_check(url),
        encrypted_url=secret_encrypt(url, bound_to=str(database_id)),
        sync_state=Database.SyncState.REQUESTED,
    )
    team_ids = [team.pk for team in teams]
    DatabaseAccess.objects.bulk_create([DatabaseAccess(database=database, team_id=team_id) for team_id in team_ids])
    audit_record(actor=actor, verb="database.added", target=name, data={"dialect": database.dialect, "teams": team_ids})
    return database


@transaction.atomic
def database_url_set(*, database: Database, url: str, actor: str) -> None:
    """Point a database somewhere else; its tables are read anew. Raises UrlRejected."""
    database.dialect = url_check(url)
    database.encrypted_url = secret_encrypt(url, bound_to=str(database.pk))
    # The tables known so far are those of another place: nothing is asked or run until they are read there.
    database.catalog = None
    database.sync_state = Database.SyncState.REQUESTED
    database.save(update_fields=["dialect", "encrypted_url", "catalog", "sync_state"])
    audit_record(actor=actor, verb="database.url_changed", target=database.name, data={"dialect": database.dialect})


def database_url(database: Database) -> str:
    return secret_decrypt(database.encrypted_url, bound_to=str(database.pk))


def database_probe(database: Database) -> Probe:
    """Connect and look around. Raises TargetError or UnreadableSecret, with a sentence that says what to do."""
    return target_probe(database_url(database))


def target_probe(url: str) -> Probe:
    """As `database_probe`, for a URL that is not stored (yet)."""
    url_check(url)
    connection_release()
    return probe_target(url, timeout=PROBE_SECONDS)


def sync_request(*, database: Database, actor: str) -> None:
    """Have the worker read the tables, within seconds."""
    with transaction.atomic():
        Database.objects.filter(pk=database.pk).update(sync_state=Database.SyncState.REQUESTED, sync_claimed_until=None)
        audit_record(actor=actor, verb="database.sync_requested", target=database.name)


def syncs_run(*, limit: int = 20) -> int:
    """Read the databases that wait for it, or whose reader was killed. Returns how many were read."""
    now = timezone.now()
    waiting = Q(sync_state=Database.SyncState.REQUESTED) | Q(
        sync_state=Database.SyncState.RUNNING, sync_claimed_until__lt=now
    )
    due = list(Database.objects.filter(waiting).order_by("created_at")[:limit])
    return sum(schema_sync(database.pk) is not None for database in due if _sync_claim(database.pk, waiting))


def schema_sync(database_id: UUID) -> Catalog | None:
    """Read a database's tables now. None where it failed; why is then in the row's `sync_error`."""
    _sync_claim(database_id, Q())
    database = Database.objects.get(pk=database_id)
    connection_release()
    try:
        url = database_url(database)
        url_check(url)
        schema = read_schema(url, timeout=SYNC_SECONDS)
    except (TargetError, UnreadableSecret) as error:
        logger.warning("The tables of %s could not be read: %s", database.name, error)
        _sync_end(database, Database.SyncState.FAILED)
        _as_read(database).update(sync_error=str(error))
        return None
    return _catalog_store(database, schema)


def encryption_rotate() -> int:
    """Every stored secret under the newest key. Returns how many were written. Raises UnreadableSecret."""
    count = 0
    for database in Database.objects.all():
        rotated = secret_rotate(database.encrypted_url)
        # Only where it is still what was read: a URL changed meanwhile is under the newest key already.
        count += Database.objects.filter(pk=database.pk, encrypted_url=database.encrypted_url).update(
            encrypted_url=rotated
        )
    return count


def _sync_claim(database_id: UUID, waiting: Q) -> bool:
    claimed = Database.objects.filter(waiting, pk=database_id).update(
        sync_state=Database.SyncState.RUNNING, sync_claimed_until=timezone.now() + SYNC_LEASE
    )
    return claimed == 1


def _sync_end(database: Database, state: str) -> None:
    # A request that came during the reading stays one: what it was made for may have changed after we looked.
    _as_read(database).filter(sync_state=Database.SyncState.RUNNING).update(sync_state=state, sync_claimed_until=None)


def _as_read(database: Database) -> QuerySet[Database]:
    # Only while it still points where it was read: one that was pointed elsewhere meanwhile waits to be read anew.
    return Database.objects.filter(pk=database.pk, encrypted_url=database.encrypted_url)


@transaction.atomic(durable=True)
def _catalog_store(database: Database, schema: Schema) -> Catalog:
    now = timezone.now()
    catalog, _ = Catalog.objects.update_or_create(
        database=database, schema_version=schema.version, defaults={"content": schema.as_json(), "read_at": now}
    )
    starters = database.starter_questions or list(starter_questions(schema))
    _sync_end(database, Database.SyncState.DONE)
    _as_read(database).update(catalog=catalog, starter_questions=starters, sync_error="", synced_at=now)
    return catalog
