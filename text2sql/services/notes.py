"""What people say of tables and columns, and the values they let Claude see."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from django.db import transaction

from observability.encryption import UnreadableSecret
from observability.services.audit import audit_change, audit_record, change_audited
from teams.models import Team
from text2sql.models import Database, DraftRun, SchemaNote
from text2sql.services.connections import connection_release
from text2sql.services.databases import database_url, url_check
from text2sql.targets.errors import TargetError
from text2sql.targets.sample import sample_values

logger = logging.getLogger(__name__)

SAMPLE_SECONDS = 20.0
NOTE_TERMS = ["table", "column", "text", "is_sampled"]


@transaction.atomic
def note_save(*, note: SchemaNote, actor: str) -> SchemaNote:
    """Store what a person wrote; it is in the prompt with the next question.

    Raises:
        ValidationError: It is too long, or about something that cannot be said.
    """
    note.full_clean()
    if not note.is_sampled:
        note.samples = []
    with _audited(note, actor):
        note.save()
    notes_version_renew(note.database)
    return note


@transaction.atomic
def note_delete(*, note: SchemaNote, actor: str) -> None:
    database = note.database
    with _audited(note, actor):
        note.delete()
    notes_version_renew(database)


def _audited(note: SchemaNote, actor: str) -> AbstractContextManager[None]:
    return change_audited(note, actor=actor, target=note.database.name, fields=NOTE_TERMS)


@transaction.atomic
def draft_request(*, database: Database, team: Team, actor: str) -> DraftRun:
    """Have the worker draft descriptions of what the team sees, at the team's expense."""
    run = DraftRun.objects.create(database=database, team=team, actor=actor)
    audit_record(actor=actor, verb="drafts.requested", target=database.name, scope=team.pk)
    return run


@transaction.atomic
def drafts_store(*, database: Database, drafts: Mapping[tuple[str, str], str], actor: str) -> int:
    """Keep what Claude proposes, for what exists and has no description yet; returns how many."""
    schema = database.catalog.schema if database.catalog else None
    known = {(table.qualified_name, "") for table in schema.tables} if schema else set()
    known |= {(t.qualified_name, c.name) for t in schema.tables for c in t.columns} if schema else set()
    count = 0
    for (table, column), text in drafts.items():
        if (table, column) not in known or not text.strip():
            continue
        note, _ = SchemaNote.objects.get_or_create(database=database, table=table, column=column)
        if not note.text:
            SchemaNote.objects.filter(pk=note.pk).update(draft=text.strip()[:500])
            count += 1
    audit_record(actor=actor, verb="descriptions.drafted", target=database.name, data={"count": count})
    return count


@transaction.atomic
def drafts_take(*, notes: Iterable[SchemaNote], actor: str) -> int:
    """Take Claude's proposals over as they are; returns how many."""
    taken = [note for note in notes if note.draft]
    was = {note.pk: note.text for note in taken}
    for note in taken:
        note.text, note.draft = note.draft, ""
        note.save(update_fields=["text", "draft", "updated_at"])
    for database in {note.database for note in taken}:
        notes_version_renew(database)
        notes_of = [note for note in taken if note.database == database]
        audit_change(
            actor=actor, verb="drafts.taken", target=database.name,
            was={str(note): was[note.pk] for note in notes_of}, now={str(note): note.text for note in notes_of},
        )  # fmt: skip
    return len(taken)


def samples_read(database: Database) -> None:
    """Read the values of the columns that somebody opted in, after the tables were read. Failures are logged."""
    notes = list(SchemaNote.objects.filter(database=database, is_sampled=True))
    if not notes:
        return
    connection_release()
    try:
        url = database_url(database)
        url_check(url)
        found = sample_values(url, [(note.table, note.column) for note in notes], timeout=SAMPLE_SECONDS)
    except (TargetError, UnreadableSecret) as error:
        logger.warning("The values of %s could not be read: %s", database.name, error)
        return
    with transaction.atomic():
        for note in notes:
            SchemaNote.objects.filter(pk=note.pk).update(samples=found.get((note.table, note.column), []))
        notes_version_renew(database)


def notes_version_renew(database: Database) -> None:
    """Give the notes the version that their content has; the same content has the same one."""
    rows = SchemaNote.objects.filter(database=database).exclude(text="", samples=[])
    content = sorted(rows.values_list("table", "column", "text", "samples"))
    version = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16] if content else ""
    Database.objects.filter(pk=database.pk).update(notes_version=version)
