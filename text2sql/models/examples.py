import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.text import Truncator

from teams.access import TenantQuerySet
from text2sql.models.databases import DatabaseAccess
from text2sql.models.generations import Generation


class ExampleQuerySet(TenantQuerySet["Example"]):
    def in_force(self) -> "ExampleQuerySet":
        """Those that questions may be shown."""
        return self.filter(replaced_at=None, enabled=True, finding__isnull=True)


class Example(models.Model):
    """A question whose SQL a lead has verified. What it says never changes: a correction is a new version."""

    team_path = "access__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    access = models.ForeignKey(DatabaseAccess, on_delete=models.CASCADE, related_name="examples")
    question = models.TextField()
    # Of the normalised question: the same one asked in other letters is the same example.
    digest = models.CharField(max_length=64, editable=False)
    sql = models.TextField("SQL")
    tables = ArrayField(models.CharField(max_length=200), default=list, editable=False)
    number = models.PositiveIntegerField("version", editable=False)
    enabled = models.BooleanField(default=True, help_text="Off: no question is shown it, no evaluation asks it.")
    # Why its SQL would not run any more (pipeline/finding.py); such an example is not used.
    finding = models.JSONField(null=True, editable=False)
    generation = models.ForeignKey(Generation, null=True, on_delete=models.SET_NULL, related_name="examples")
    actor = models.CharField("approved by", max_length=200, editable=False)
    created_at = models.DateTimeField("approved")
    replaced_at = models.DateTimeField(null=True, editable=False)

    objects = ExampleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["access", "digest", "number"], name="one_example_per_version"),
            models.UniqueConstraint(
                fields=["access", "digest"], condition=Q(replaced_at=None), name="one_newest_example_per_question"
            ),
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return Truncator(self.question).chars(80)


class ExampleUse(models.Model):
    """That a question was shown an example, and what was said of the answer since."""

    team_path = "example__access__team"

    example = models.ForeignKey(Example, on_delete=models.CASCADE, related_name="uses")
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="example_uses")
    rating = models.CharField(max_length=4, blank=True, help_text="The last thumb: `up`, `down`, or none yet.")

    objects = TenantQuerySet["ExampleUse"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "example"], name="one_use_per_generation")]

    def __str__(self) -> str:
        return f"{self.example_id} for {self.generation_id}"
