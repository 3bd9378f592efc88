"""The database a question is about, as its team sees it: found, decrypted, restricted. The only way to a target."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from observability.encryption import secret_decrypt
from teams.access import Principal
from text2sql.models import Catalog, Database, Glossary, SchemaNote
from text2sql.models.databases import view_version
from text2sql.pipeline.context import schema_text
from text2sql.pipeline.guard import GuardedStatement, guard_statement
from text2sql.pipeline.schema import Note, Schema
from text2sql.problems import Problem, not_found

UTC_ONLY = frozenset({"sqlite", "bigquery"})
"""Dialects whose date of today is UTC's whatever the session says."""


@dataclass(frozen=True)
class Rung:
    """A model and how hard it thinks; an empty effort is the model's own default."""

    model: str
    effort: str


@dataclass(frozen=True)
class Ladder:
    """Who answers a team's questions."""

    first: Rung
    repair: Rung
    degraded: Rung

    def repair_after(self, first: Rung) -> Rung:
        """Who repairs where `first` answers in place of this ladder's own."""
        return first if self.repair == self.first else self.repair


@dataclass(frozen=True)
class Target:
    team_id: str
    time_zone: ZoneInfo
    ladder: Ladder
    database_id: UUID
    name: str
    description: str
    dialect: str
    share_text: bool
    encrypted_url: str
    row_cap: int
    timeout_seconds: int
    schema_version: str
    tables: tuple[str, ...]
    hidden_columns: tuple[str, ...]
    row_filters: Mapping[str, str]
    glossary_number: int
    examples_number: int
    answers_number: int
    access_id: int
    notes_version: str
    context_tokens: int
    cost_ceiling: int | None
    allowed_functions: frozenset[str]

    @property
    def view_version(self) -> str:
        return view_version(
            list(self.tables), list(self.hidden_columns), self.description, self.row_filters, self.notes_version
        )

    @property
    def url(self) -> str:
        return secret_decrypt(self.encrypted_url, bound_to=str(self.database_id))

    def database(self) -> Database:
        """The row as far as it has been read."""
        read = [self.database_id, self.name, self.share_text]
        return Database.from_db(connection.alias, ["id", "name", "share_text"], read)

    def view(self) -> Schema:
        """The tables and columns that the team sees."""
        return _view(self.database_id, self.schema_version, self.tables, self.hidden_columns, self.notes_version)

    def view_text(self) -> str:
        """The tables and columns that the team sees, as Claude is shown them."""
        view = self.database_id, self.schema_version, self.tables, self.hidden_columns, self.notes_version
        return _view_text(*view, self.name, self.description)

    @property
    def clock(self) -> str:
        """The time zone that the database's sessions run in, so that its CURRENT_DATE is the team's day."""
        return "UTC" if self.dialect in UTC_ONLY else self.time_zone.key

    def guard(self, sql: str, *, filtered: bool = False) -> GuardedStatement:
        """The one statement that may run. Raises GuardRefusal.

        `filtered`: with the conditions on rows that the team may see, as it runs; else as people are shown it.
        """
        if not (filtered and self.row_filters):
            return guard_statement(sql, schema=self.view(), allowed_functions=self.allowed_functions)
        # A condition may look at columns that the team itself may not see, such as whose row it is.
        whole = _view(self.database_id, self.schema_version, (), (), self.notes_version)
        return guard_statement(
            sql,
            schema=self.view(),
            allowed_functions=self.allowed_functions,
            row_filters=self.row_filters,
            whole_schema=whole,
        )

    def glossary(self) -> str:
        return _glossary(self.access_id, self.glossary_number)


def target_find(*, principal: Principal, team_id: str, name: str) -> Target:
    """The team's view of a database, by one plain statement, since every question pays for it.

    Raises:
        Problem: `not-found`, also where the principal does not belong to the team; `database-not-read`.
    """
    if (not principal.is_admin and team_id not in principal.team_ids) or "\0" in name:  # no text in PostgreSQL has one
        raise not_found("database")
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [team_id, name])
        columns = [column.name for column in cursor.description or ()]
        found = cursor.fetchone()
    if found is None:
        raise not_found("database")
    row = dict(zip(columns, found, strict=True))
    if row["schema_version"] is None:
        raise Problem("database-not-read", "The tables of this database have not been read yet; try again in a moment.")
    return Target(
        team_id=team_id,
        time_zone=ZoneInfo(row["time_zone"]),
        ladder=_ladder(row),
        database_id=row["id"],
        name=row["name"],
        description=row["description"],
        dialect=row["dialect"],
        share_text=row["share_text"],
        encrypted_url=row["encrypted_url"],
        row_cap=row["row_cap"],
        timeout_seconds=row["timeout_seconds"],
        schema_version=row["schema_version"],
        tables=tuple(row["tables"]),
        hidden_columns=tuple(row["hidden_columns"]),
        row_filters=json.loads(row["row_filters"]),
        glossary_number=row["glossary_number"],
        examples_number=row["examples_number"],
        answers_number=row["answers_number"],
        access_id=row["access_id"],
        notes_version=row["notes_version"],
        context_tokens=row["context_tokens"],
        cost_ceiling=row["cost_ceiling"],
        allowed_functions=frozenset(row["allowed_functions"]),
    )


def _ladder(row: Mapping[str, Any]) -> Ladder:
    first = Rung(row["model"] or settings.CLAUDE_MODEL, row["effort"] or settings.CLAUDE_EFFORT)
    repair = Rung(row["repair_model"], row["repair_effort"]) if row["repair_model"] else first
    return Ladder(
        first=first,
        repair=replace(repair, effort=row["repair_effort"] or repair.effort),
        degraded=Rung(row["degraded_model"] or settings.CLAUDE_DEGRADED_MODEL, row["degraded_effort"]),
    )


# As text, so that no JSON decoder of the connection has a say.
_FIND = """
    SELECT t.time_zone, t.model, t.effort, t.repair_model, t.repair_effort, t.degraded_model, t.degraded_effort,
           d.id, d.name, d.description, d.dialect, d.share_text, d.encrypted_url, d.row_cap, d.timeout_seconds,
           d.context_tokens, d.cost_ceiling, d.allowed_functions, d.notes_version, c.schema_version,
           a.id AS access_id, a.tables, a.hidden_columns, a.row_filters::text, a.glossary_number,
           a.examples_number, d.answers_number
    FROM text2sql_databaseaccess a
    JOIN text2sql_database d ON d.id = a.database_id
    JOIN teams_team t ON t.slug = a.team_id
    LEFT JOIN text2sql_catalog c ON c.id = d.catalog_id
    WHERE a.team_id = %s AND d.name = %s
"""


@lru_cache(maxsize=256)
def _view(
    database_id: UUID, version: str, tables: tuple[str, ...], hidden_columns: tuple[str, ...], notes_version: str
) -> Schema:
    # A catalog's structure never changes under its version, nor do notes, so this is kept for the process's life.
    schema = Catalog.objects.get(database_id=database_id, schema_version=version).schema
    if notes_version:
        rows = SchemaNote.objects.filter(database=database_id)
        schema = schema.described({str(row): Note(row.text, tuple(row.samples)) for row in rows})
    return schema.restricted(tables=frozenset(tables) or None, hidden_columns=frozenset(hidden_columns))


@lru_cache(maxsize=256)
def _view_text(
    database_id: UUID, version: str, tables: tuple[str, ...], hidden_columns: tuple[str, ...], notes_version: str,
    name: str, description: str,
) -> str:  # fmt: skip
    view = _view(database_id, version, tables, hidden_columns, notes_version)
    return schema_text(view, name=name, description=description)


@lru_cache(maxsize=256)
def _glossary(access_id: int, number: int) -> str:
    if not number:
        return ""
    return Glossary.objects.values_list("text", flat=True).get(access=access_id, number=number)
