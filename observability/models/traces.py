import uuid

from django.db import models

from observability.models.deliveries import LangfuseDelivery


class Trace(LangfuseDelivery):
    """One trace with all its observations, as it goes to Langfuse."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    trace_id = models.CharField(max_length=32, unique=True, help_text="Langfuse's id: 32 hexadecimal characters.")
    user_id = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    payload = models.JSONField(help_text="The trace and its observations, as observability.services.traces wrote them.")

    class Meta(LangfuseDelivery.Meta):
        constraints = [
            *LangfuseDelivery.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(trace_id__regex=r"^[0-9a-f]{32}$"), name="observability_trace_id_is_hex"
            ),
        ]

    def __str__(self) -> str:
        return self.trace_id
