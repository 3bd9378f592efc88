from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from observability.models.deliveries import Delivery, DeliveryQuerySet


class PrefixCountQuerySet(DeliveryQuerySet["PrefixCount"]):
    def note_counted(self, row: "PrefixCount", *, tokens: int) -> None:
        done: dict[str, Any] = {"state": Delivery.State.DELIVERED, "delivered_at": timezone.now(), "last_error": ""}
        self._settle([row], tokens=tokens, content="", **done)

    def note_refused(self, row: "PrefixCount", *, error: str) -> None:
        """Never counted: Claude refuses the text as it is."""
        self._settle([row], state=Delivery.State.FAILED, content="", last_error=error)


class PrefixCount(Delivery):
    """How many tokens of a model the part of a prompt has that is the same for every question.

    Wanted since `created_at`; delivered means that it was counted. A count never changes.
    """

    digest = models.CharField(max_length=64)
    model = models.CharField(max_length=100)
    counted_by = models.CharField(max_length=20, help_text="The stand-in's tokens are not Claude's.")
    tokens = models.PositiveIntegerField(null=True)
    content = models.TextField(blank=True, help_text="What is to be counted, as JSON; empty once that is settled.")
    used_on = models.DateField(help_text="The last day (UTC) on which a question had this prefix.")

    objects = PrefixCountQuerySet.as_manager()  # type: ignore[misc]  # the stubs take an inherited manager for final

    class Meta(Delivery.Meta):
        constraints = [
            *Delivery.Meta.constraints,
            models.UniqueConstraint(
                fields=["digest", "model", "counted_by"], name="text2sql_prefixcount_one_per_prefix_and_model"
            ),
            models.CheckConstraint(
                condition=Q(state="delivered", tokens__isnull=False) | (~Q(state="delivered") & Q(tokens__isnull=True)),
                name="text2sql_prefixcount_delivered_has_tokens",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.digest[:12]} {self.model}"
