from django.db import models


class Heartbeat(models.Model):
    """When a part of the installation was last alive: the worker writes it, at the schedule's or doctor's request."""

    name = models.CharField(max_length=50, primary_key=True, help_text="`schedule` each minute, `doctor` on request.")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S} UTC"
