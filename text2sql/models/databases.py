import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from teams.access import Principal, TenantQuerySet
from teams.models import Team
from text2sql.pipeline.schema import Schema
from text2sql.pipeline.starters import starter_questions


class Catalog(models.Model):
    """The tables and columns of a database as last read. Kept per schema version, since answers point at one."""

    database = models.ForeignKey("text2sql.Database", on_delete=models.CASCADE, related_name="catalogs")
    schema_version = models.CharField(max_length=16)
    content = models.JSONField()
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["database", "schema_version"], name="one_catalog_per_version")]
        ordering = ["-read_at"]

    def __str__(self) -> str:
        return f"{self.database_id} {self.schema_version}"

    @property
    def schema(self) -> Schema:
        return Schema.from_json(self.content)


class DatabaseQuerySet(TenantQuerySet["Database"]):
    def visible_to(self, principal: Principal) -> Self:
        return self if principal.is_admin else self._opened_to(principal.team_ids)

    def led_by(self, principal: Principal) -> Self:
        return self if principal.is_admin else self._opened_to(principal.lead_team_ids)

    def _opened_to(self, team_ids: frozenset[str]) -> Self:
        # A subquery, not a join: a database that two of a person's teams may use is still one row.
        return self.filter(pk__in=DatabaseAccess.objects.filter(team__in=team_ids).values("database"))


class Database(models.Model):
    """A team's target: where questions are answered."""

    class Dialect(models.TextChoices):
        POSTGRES = "postgres", "PostgreSQL"
        SQLITE = "sqlite", "SQLite"
        MYSQL = "mysql", "MySQL or MariaDB"
        DUCKDB = "duckdb", "DuckDB"

    class SyncState(models.TextChoices):
        NEVER = "never", "never read"
        REQUESTED = "requested", "waiting"
        RUNNING = "running", "reading"
        DONE = "done", "read"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*$", "Small letters, digits and underscores, a letter first.")],
        help_text="As clients name it, for example `sales_db`.",
    )
    description = models.CharField(max_length=500, blank=True, help_text="What is in it; Claude reads this too.")
    dialect = models.CharField(max_length=20, choices=Dialect.choices, editable=False)
    # The connection URL, encrypted with the row's id bound into it (observability/encryption.py).
    encrypted_url = models.TextField(editable=False)
    share_text = models.BooleanField(
        "share text with Langfuse",
        default=True,
        help_text="Off: traces and scores carry numbers only, no question, SQL, comment or error text.",
    )
    row_cap = models.PositiveIntegerField(
        default=1000,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="Rows returned at most.",
    )
    timeout_seconds = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(600)],
        help_text="A query is stopped after this.",
    )
    context_tokens = models.PositiveIntegerField(
        "schema tokens",
        default=20_000,
        validators=[MinValueValidator(1000), MaxValueValidator(500_000)],
        help_text="A schema up to this size goes to Claude whole; of a larger one, the likeliest tables.",
    )
    cost_ceiling = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="A query that the database's planner puts above this cost is refused; empty: none is.",
    )
    allowed_functions = ArrayField(
        models.CharField(max_length=100),
        default=list,
        blank=True,
        help_text="Further functions that queries may call: your own ones that only read.",
    )
    # Changes with every note and sample, so that answers given before are not given again.
    notes_version = models.CharField(max_length=16, blank=True, editable=False)
    # Moved on where all answers that were cached shall be forgotten.
    answers_number = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    teams = models.ManyToManyField(Team, through="DatabaseAccess", related_name="databases")
    catalog = models.ForeignKey(Catalog, null=True, editable=False, on_delete=models.SET_NULL, related_name="+")
    starter_questions = ArrayField(models.CharField(max_length=300), default=list, blank=True, editable=False)
    sync_state = models.CharField(max_length=10, choices=SyncState.choices, default=SyncState.NEVER, editable=False)
    sync_error = models.TextField(blank=True, editable=False)
    sync_claimed_until = models.DateTimeField(null=True, editable=False)
    synced_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DatabaseQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class DatabaseAccess(models.Model):
    """That a team may use a database, and which part of it the team sees."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="accesses")
    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="accesses")
    tables = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="The tables the team may see; none named: all.",
    )
    hidden_columns = ArrayField(
        models.CharField(max_length=300),
        default=list,
        blank=True,
        help_text="Columns the team may not see, as `table.column`.",
    )
    row_filters = models.JSONField(
        default=dict,
        blank=True,
        help_text="The rows of a table that the team may see: a condition on its columns, by the table's name.",
    )
    glossary_number = models.PositiveIntegerField(default=0, editable=False)
    # Moves with every change of the team's examples.
    examples_number = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    objects = TenantQuerySet["DatabaseAccess"].as_manager()

    class Meta:
        verbose_name_plural = "database accesses"
        constraints = [models.UniqueConstraint(fields=["team", "database"], name="one_access_per_team_and_database")]
        ordering = ["database", "team"]

    def __str__(self) -> str:
        return f"{self.team_id} on {self.database}"

    @property
    def starter_questions(self) -> list[str]:
        """First questions that name nothing the team may not see."""
        if not (self.tables or self.hidden_columns):
            return self.database.starter_questions
        catalog = self.database.catalog
        return list(starter_questions(self.restrict(catalog.schema))) if catalog else []

    def restrict(self, schema: Schema) -> Schema:
        """The part of the database's schema that the team sees."""
        return schema.restricted(tables=frozenset(self.tables) or None, hidden_columns=frozenset(self.hidden_columns))


def view_version(
    tables: list[str],
    hidden_columns: list[str],
    description: str,
    row_filters: Mapping[str, str] | None = None,
    notes_version: str = "",
) -> str:
    """16 hex digits over what a team is shown: teams with the same view share cached answers, nobody else does."""
    shown: list[Any] = [sorted(set(tables)), sorted(set(hidden_columns)), description]
    if row_filters or notes_version:
        shown += [row_filters, notes_version]
    canonical = json.dumps(shown, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
