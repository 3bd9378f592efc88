from datetime import timedelta

from django.db import models

from teams.access import TenantQuerySet
from teams.models import ApiKey

KEPT = timedelta(hours=24)


class IdempotencyKey(models.Model):
    """A client's word for one request, so that its repeat is answered and not paid again."""

    team_path = "api_key__team"

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    body_digest = models.CharField(max_length=64)
    # No foreign key: it stands here before the generation does.
    generation_id = models.UUIDField()
    claimed_at = models.DateTimeField()

    objects = TenantQuerySet["IdempotencyKey"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "key"], name="text2sql_idempotencykey_one_per_api_key")
        ]
        indexes = [models.Index(fields=["claimed_at"])]

    def __str__(self) -> str:
        return self.key
