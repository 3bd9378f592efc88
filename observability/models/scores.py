from django.db import models
from django.db.models import Q

from observability.models.deliveries import LangfuseDelivery


class Score(LangfuseDelivery):
    """A judgement on a trace. The id is chosen by the caller: the same id again replaces the value."""

    class DataType(models.TextChoices):
        NUMERIC = "NUMERIC"
        BOOLEAN = "BOOLEAN"
        CATEGORICAL = "CATEGORICAL"

    id = models.CharField(primary_key=True, max_length=100)
    trace_id = models.CharField(max_length=32)
    name = models.CharField(max_length=100)
    data_type = models.CharField(max_length=12, choices=DataType.choices)
    value = models.JSONField(help_text="A number; 0 or 1 for BOOLEAN; a string for CATEGORICAL.")
    comment = models.TextField(blank=True)
    timestamp = models.DateTimeField(help_text="When it was given first; Langfuse keeps the first one anyway.")

    class Meta(LangfuseDelivery.Meta):
        indexes = [*LangfuseDelivery.Meta.indexes, models.Index(fields=["trace_id"], name="observability_score_trace")]
        constraints = [
            *LangfuseDelivery.Meta.constraints,
            models.CheckConstraint(
                condition=Q(data_type__in=["NUMERIC", "BOOLEAN", "CATEGORICAL"]),
                name="observability_score_data_type_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"
