"""The database a question is about, as its team sees it: found, decrypted, restricted. The only way to a target."""

from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from teams.access import Principal
from text2sql.encryption import secret_decrypt
from text2sql.models import Catalog, Database
from text2sql.models.databases import view_version
from text2sql.pipeline.schema import Schema
from text2sql.problems import Problem, not_found


@dataclass(frozen=True)
class Target:
    team_id: str
    time_zone: ZoneInfo
    model: str
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

    @property
    def view_version(self) -> str:
        return view_version(list(self.tables), list(self.hidden_columns), self.description)

    @property
    def url(self) -> str:
        return secret_decrypt(self.encrypted_url, bound_to=str(self.database_id))

    def database(self) -> Database:
        """The row as far as it has been read."""
        read = [self.database_id, self.name, self.share_text]
        return Database.from_db(connection.alias, ["id", "name", "share_text"], read)

    def view(self) -> Schema:
        """The tables and columns that the team sees."""
        return _view(self.database_id, self.schema_version, self.tables, self.hidden_columns)


def target_find(*, principal: Principal, team_id: str, name: str) -> Target:
    """The team's view of a database, by one plain statement, since every question pays for it.

    Raises:
        Problem: `not-found`, also where the principal does not belong to the team; `database-not-read`.
    """
    if (not principal.is_admin and team_id not in principal.team_ids) or "\0" in name:  # no text in PostgreSQL has one
        raise not_found("database")
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [team_id, name])
        row = cursor.fetchone()
    if row is None:
        raise not_found("database")
    zone, model, database_id, name, description, dialect, share, url, row_cap, timeout, version, tables, hidden = row
    if version is None:
        raise Problem("database-not-read", "The tables of this database have not been read yet; try again in a moment.")
    return Target(
        team_id=team_id,
        time_zone=ZoneInfo(zone),
        model=model or settings.CLAUDE_MODEL,
        database_id=database_id,
        name=name,
        description=description,
        dialect=dialect,
        share_text=share,
        encrypted_url=url,
        row_cap=row_cap,
        timeout_seconds=timeout,
        schema_version=version,
        tables=tuple(tables),
        hidden_columns=tuple(hidden),
    )


_FIND = """
    SELECT t.time_zone, t.model, d.id, d.name, d.description, d.dialect, d.share_text,
           d.encrypted_url, d.row_cap, d.timeout_seconds, c.schema_version, a.tables, a.hidden_columns
    FROM text2sql_databaseaccess a
    JOIN text2sql_database d ON d.id = a.database_id
    JOIN teams_team t ON t.slug = a.team_id
    LEFT JOIN text2sql_catalog c ON c.id = d.catalog_id
    WHERE a.team_id = %s AND d.name = %s
"""


@lru_cache(maxsize=256)
def _view(database_id: UUID, version: str, tables: tuple[str, ...], hidden_columns: tuple[str, ...]) -> Schema:
    # A catalog's structure never changes under its version, so this may be kept for the life of the process.
    schema = Catalog.objects.get(database_id=database_id, schema_version=version).schema
    return schema.restricted(tables=frozenset(tables) or None, hidden_columns=frozenset(hidden_columns))
