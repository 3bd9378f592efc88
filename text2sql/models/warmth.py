from django.db import models


class PrefixWarmth(models.Model):
    """Until when Claude is known to have a prompt's prefix in its cache, and until when somebody is writing it."""

    key = models.CharField(primary_key=True, max_length=200)
    warm_until = models.DateTimeField()
    warming_until = models.DateTimeField()
    # When it was last seen to be read or written, and how long Claude keeps it after that: 5m or 1h.
    used_at = models.DateTimeField(null=True)
    lifetime = models.CharField(max_length=2, default="5m")

    def __str__(self) -> str:
        return self.key
