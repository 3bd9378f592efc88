import uuid

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models

from observability.models.deliveries import Delivery, DeliveryQuerySet
from teams.access import TenantQuerySet
from teams.models import Team
from text2sql.models.databases import Database, DatabaseAccess

GLOSSARY_BYTES = 8192


class Glossary(models.Model):
    """One version of what a team calls things in a database: terms, metrics, rules. The newest is in force."""

    team_path = "access__team"

    access = models.ForeignKey(DatabaseAccess, on_delete=models.CASCADE, related_name="glossaries")
    number = models.PositiveIntegerField("version", editable=False)
    text = models.TextField(blank=True, help_text="At most 8 KB; Claude reads it with every question.")
    actor = models.CharField("by", max_length=200, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet["Glossary"].as_manager()

    class Meta:
        verbose_name_plural = "glossaries"
        constraints = [models.UniqueConstraint(fields=["access", "number"], name="one_glossary_per_version")]
        ordering = ["access", "-number"]

    def __str__(self) -> str:
        return f"{self.access}, version {self.number}"

    def clean(self) -> None:
        if len(self.text.encode()) > GLOSSARY_BYTES:
            raise ValidationError({"text": f"At most {GLOSSARY_BYTES} bytes; this is {len(self.text.encode())}."})


class SchemaNote(models.Model):
    """What people say of a table or a column; it takes the place of the database's own comment in the prompt."""

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="notes")
    table = models.CharField(max_length=200, help_text="As the catalog names it, with its schema if it has one there.")
    column = models.CharField(max_length=200, blank=True, help_text="Empty: the note is about the table.")
    text = models.TextField("description", blank=True, validators=[MaxLengthValidator(500)])
    draft = models.TextField(
        blank=True, editable=False, help_text="Proposed by Claude; nobody is shown it until it is taken over."
    )
    is_sampled = models.BooleanField(
        "show values", default=False, help_text="Let Claude see up to 20 of the column's values. Never for secrets."
    )
    samples = ArrayField(models.CharField(max_length=100), default=list, blank=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "description"
        constraints = [
            models.UniqueConstraint(fields=["database", "table", "column"], name="one_note_per_table_or_column")
        ]
        ordering = ["database", "table", "column"]

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table

    def clean(self) -> None:
        if self.is_sampled and not self.column:
            raise ValidationError({"is_sampled": "Only a column has values."})


class DraftRunQuerySet(  # type: ignore[override]  # the plugin types as_manager, and one for each base
    DeliveryQuerySet["DraftRun"], TenantQuerySet["DraftRun"]
):
    """Those of a team, and those that wait for the worker."""


class DraftRun(Delivery):
    """That Claude shall draft the missing descriptions of what a team sees of a database, at the team's expense."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="draft_runs")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    actor = models.CharField(max_length=200)
    drafted = models.PositiveIntegerField(default=0)

    objects = DraftRunQuerySet.as_manager()  # type: ignore[misc]  # the stubs take an inherited manager for final

    def __str__(self) -> str:
        return f"{self.database_id} for {self.team_id}"
