from django.db import models

from text2sql.models.cache_entries import FixedCharField


class Flight(models.Model):
    """That Claude is being asked for an answer right now: whoever asks the same waits for it."""

    cache_key = FixedCharField(max_length=64, primary_key=True)
    generation_id = models.UUIDField()
    # Moved on every few seconds while the process that asks is alive (text2sql/services/flights.py).
    alive_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.generation_id} for {self.cache_key}"
