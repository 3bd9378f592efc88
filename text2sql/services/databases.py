"""Databases: added, tested, read. Celery claims them row by row, so that nothing is lost or done twice."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from observability.encryption import secret_decrypt, secret_encrypt, secret_rotate
from observability.services.audit import audit_change, change_audited, row_values
from teams.models import Team
from text2sql.models import Database, DatabaseAccess
from text2sql.services.connections import connection_release
from text2sql.targets.errors import UrlRejected
from text2sql.targets.probe import Probe, probe_target
from text2sql.targets.urls import FILE_DIALECTS, file_path, target_dialect, target_url

logger = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
DATABASE_TERMS = [
    "name", "description", "row_cap", "timeout_seconds", "context_tokens", "cost_ceiling", "allowed_functions",
    "share_text",
]  # fmt: skip
"""What people set; the rest is the worker's to write."""
ACCESS_TERMS = ["team", "tables", "hidden_columns", "row_filters"]


def url_check(url: str) -> str:
    """The dialect of a target's URL.

    Raises:
        UrlRejected: An unknown or disabled dialect, or a file outside FILE_FOLDERS.
    """
    dialect = target_dialect(url)
    if dialect not in settings.TARGET_DIALECTS:
        raise UrlRejected(f"{dialect} databases are not enabled here; an admin can add it to TARGET_DIALECTS.")
    if dialect in FILE_DIALECTS:
        file = file_path(target_url(url)).resolve()
        folders = [Path(folder).resolve() for folder in settings.FILE_FOLDERS]
        if not any(file.is_relative_to(folder) for folder in folders):
            raise UrlRejected("Database files are opened only below the folders in FILE_FOLDERS.")
    return dialect


@transaction.atomic
def database_add(
    *, name: str, url: str, description: str = "", terms: Mapping[str, Any] | None = None, teams: Iterable[Team] = (),
    actor: str,
) -> Database:  # fmt: skip
    """A new database, open to `teams`; its tables are read by the worker. Raises UrlRejected.

    `terms` are further ones of DATABASE_TERMS; what is not among them is as it usually is.
    """
    database_id = uuid4()
    database = Database.objects.create(
        id=database_id,
        name=name,
        description=description,
        dialect=url_check(url),
        encrypted_url=secret_encrypt(url, bound_to=str(database_id)),
        sync_state=Database.SyncState.REQUESTED,
        **(terms or {}),
    )
    team_ids = [team.pk for team in teams]
    DatabaseAccess.objects.bulk_create([DatabaseAccess(database=database, team_id=team_id) for team_id in team_ids])
    audit_change(
        actor=actor, verb="database.added", target=name, was=None,
        now={**row_values(database, ["dialect", *DATABASE_TERMS]), "teams": team_ids}, secrets=["url"],
    )  # fmt: skip
    return database


def database_change(database: Database, *, actor: str) -> None:
    """Store what people set."""
    with change_audited(database, actor=actor, target=database.name, fields=DATABASE_TERMS):
        database.save(update_fields=DATABASE_TERMS)


def access_save(access: DatabaseAccess, *, actor: str) -> None:
    """Open a database to a team, or change what the team sees of it."""
    with _access_audited(access, actor):
        # Not the row as a whole: publishing an example or a glossary moves numbers in it.
        access.save(update_fields=None if access._state.adding else ACCESS_TERMS)


def access_delete(access: DatabaseAccess, *, actor: str) -> None:
    """Close it to the team, whose glossary and examples for it go too."""
    with _access_audited(access, actor):
        access.delete()


def _access_audited(access: DatabaseAccess, actor: str) -> AbstractContextManager[None]:
    told = {"target": access.database.name, "scope": access.team_id}
    return change_audited(access, actor=actor, kind="access", fields=ACCESS_TERMS, **told)


@transaction.atomic
def database_url_set(*, database: Database, url: str, actor: str) -> None:
    """Point a database somewhere else; its tables are read anew. Raises UrlRejected."""
    was, database.dialect = database.dialect, url_check(url)
    database.encrypted_url = secret_encrypt(url, bound_to=str(database.pk))
    # The tables known so far are those of another place: nothing is asked or run until they are read there.
    database.catalog = None
    database.sync_state = Database.SyncState.REQUESTED
    database.save(update_fields=["dialect", "encrypted_url", "catalog", "sync_state"])
    audit_change(
        actor=actor, verb="database.url_changed", target=database.name, secrets=["url"],
        was={"dialect": was}, now={"dialect": database.dialect},
    )  # fmt: skip


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


def encryption_rotate() -> int:
    """Every stored URL under the newest key. Returns how many were written. Raises UnreadableSecret."""
    count = 0
    for database in Database.objects.all():
        rotated = secret_rotate(database.encrypted_url)
        # Only where it is still what was read: a URL changed meanwhile is under the newest key already.
        count += Database.objects.filter(pk=database.pk, encrypted_url=database.encrypted_url).update(
            encrypted_url=rotated
        )
    return count
