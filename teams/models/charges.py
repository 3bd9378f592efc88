import uuid

from django.db import models
from django.db.models import Q

from teams.access import TenantQuerySet
from teams.models.budgets import UsdField
from teams.models.teams import Team


class Charge(models.Model):
    """The ledger: what one Claude attempt, or one read of a cached answer, cost.

    Written once, with the outcome, in the same transaction; only an estimate may be corrected later.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Of a cached answer, which has no attempt, the generation's id.
    attempt_id = models.UUIDField(unique=True)
    generation_id = models.UUIDField(db_index=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="charges")
    api_key_id = models.UUIDField(null=True)
    end_user = models.CharField(max_length=200, blank=True)
    database = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    input_tokens = models.PositiveIntegerField(default=0)
    cache_write_5m_tokens = models.PositiveIntegerField(default=0)
    cache_write_1h_tokens = models.PositiveIntegerField(default=0)
    cache_read_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cost_usd = UsdField()
    cached = models.BooleanField(default=False)
    # True where Claude never told the bill (the network cut the stream, the process died): the upper bound was booked.
    estimated = models.BooleanField(default=False)
    # What was booked before a correction; null where there was none.
    booked_usd = UsdField("first booked", null=True)
    corrected_at = models.DateTimeField(null=True)
    # When the attempt began, which is when its money was held: this decides in which period it counts.
    started_at = models.DateTimeField()
    charged_at = models.DateTimeField()

    objects = TenantQuerySet["Charge"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["team", "-charged_at"]),
            models.Index(fields=["team", "started_at"]),
            models.Index(fields=["started_at"]),
            # For the admin's list: of all teams, and of what is rare among many rows.
            models.Index(fields=["-charged_at", "-id"], name="teams_charge_newest"),
            models.Index(fields=["-cost_usd", "-id"], name="teams_charge_dearest"),
            models.Index(fields=["model", "-charged_at"], name="teams_charge_model"),
            models.Index(
                fields=["-charged_at"], condition=Q(corrected_at__isnull=False), name="teams_charge_corrected"
            ),
            models.Index(fields=["charged_at"], condition=Q(estimated=True), name="teams_charge_estimated"),
        ]
        ordering = ["-charged_at"]

    def __str__(self) -> str:
        return f"{self.cost_usd} USD, {self.team_id}, {self.charged_at:%Y-%m-%d %H:%M} UTC"
