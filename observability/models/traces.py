import uuid

from django.db import models

from observability.models.deliveries import LangfuseDelivery


class Trace(LangfuseDelivery):
    """A trace with its observations, as it goes to Langfuse, or a part of it that came later: each is sent once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    trace_id = models.CharField(max_length=32, help_text="Langfuse's id: 32 hexadecimal characters.")
    part = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="Empty for the trace itself, else what came later.",
    )
    user_id = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    payload = models.JSONField(help_text="The trace and its observations, as observability.services.traces wrote them.")

    class Meta(LangfuseDelivery.Meta):
        constraints = [
            *LangfuseDelivery.Meta.constraints,
            models.UniqueConstraint(fields=["trace_id", "part"], name="observability_trace_part_once"),
            models.CheckConstraint(
                condition=models.Q(trace_id__regex=r"^[0-9a-f]{32}$"), name="observability_trace_id_is_hex"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id} {self.part}".strip()
