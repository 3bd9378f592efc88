from django.db import models
from django.db.models import Q
from django.utils import timezone

from observability.models.deliveries import Delivery, DeliveryQuerySet
from text2sql.models.databases import Database


class RetrievalIndexQuerySet(DeliveryQuerySet["RetrievalIndex"]):
    def note_built(self, row: "RetrievalIndex", *, content: bytes) -> None:
        now = timezone.now()
        self._settle(
            [row], state=Delivery.State.DELIVERED, delivered_at=now, content=content, source=None, last_error=""
        )

    def note_unbuildable(self, row: "RetrievalIndex", *, error: str) -> None:
        self._settle([row], state=Delivery.State.FAILED, source=None, last_error=error)


class RetrievalIndex(Delivery):
    """The index of a large schema as a team sees it, wanted since `created_at`; delivered means that it is built."""

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64, help_text="Digest of all that it is built from.")
    source = models.BinaryField(null=True, help_text="What it is to be built from; nothing once that is settled.")
    content = models.BinaryField(null=True)
    used_on = models.DateField(help_text="The last day (UTC) on which a question needed it.")

    objects = RetrievalIndexQuerySet.as_manager()  # type: ignore[misc]  # the stubs take an inherited manager for final

    class Meta(Delivery.Meta):
        constraints = [
            *Delivery.Meta.constraints,
            models.UniqueConstraint(fields=["database", "key"], name="text2sql_retrievalindex_one_per_key"),
            models.CheckConstraint(
                condition=Q(state="delivered", content__isnull=False)
                | (~Q(state="delivered") & Q(content__isnull=True)),
                name="text2sql_retrievalindex_delivered_has_content",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.database_id} {self.key[:12]}"
