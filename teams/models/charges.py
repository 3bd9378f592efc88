import uuid

from django.db import models

from teams.access import TenantQuerySet
from teams.models.budgets import UsdField
from teams.models.teams import Team


class Charge(models.Model):
    """The ledger: what one Claude attempt cost. Written once, with the attempt's outcome, in the same transaction."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt_id = models.UUIDField(unique=True)
    generation_id = models.UUIDField(db_index=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="charges")
    api_key_id = models.UUIDField(null=True)
    database = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    input_tokens = models.PositiveIntegerField(default=0)
    cache_write_5m_tokens = models.PositiveIntegerField(default=0)
    cache_write_1h_tokens = models.PositiveIntegerField(default=0)
    cache_read_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cost_usd = UsdField()
    # True where Claude never told the bill (the network cut the stream, the process died): the upper bound was booked.
    estimated = models.BooleanField(default=False)
    charged_at = models.DateTimeField()

    objects = TenantQuerySet["Charge"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["team", "-charged_at"])]
        ordering = ["-charged_at"]

    def __str__(self) -> str:
        return f"{self.cost_usd} USD, {self.team_id}, {self.charged_at:%Y-%m-%d %H:%M} UTC"
