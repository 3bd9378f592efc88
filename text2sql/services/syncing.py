"""Reading the tables of databases. The worker claims them row by row, so that nothing is lost or done twice."""

import logging
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from observability.encryption import UnreadableSecret
from observability.services.audit import audit_record
from text2sql.models import Catalog, Database
from text2sql.pipeline.schema import Schema
from text2sql.pipeline.starters import starter_questions
from text2sql.services.connections import connection_release
from text2sql.services.databases import database_url, url_check
from text2sql.services.example_checks import examples_check
from text2sql.services.notes import samples_read
from text2sql.targets.errors import TargetError
from text2sql.targets.introspect import read_schema

logger = logging.getLogger(__name__)

ACTOR = "sync"
SYNC_SECONDS = 120.0
SYNC_LEASE = timedelta(seconds=SYNC_SECONDS + 60)


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
    catalog = _catalog_store(database, schema)
    examples_check(database.pk, actor=ACTOR)
    samples_read(database)
    return catalog


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
    _sync_end(database, Database.SyncState.DONE)
    _as_read(database).update(catalog=catalog, sync_error="", synced_at=now)
    # Only where there are none: people may have chosen theirs while the tables were read.
    _as_read(database).filter(starter_questions=[]).update(starter_questions=list(starter_questions(schema)))
    return catalog
