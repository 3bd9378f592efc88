from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Schedule(models.Model):
    """When one of the functions that settings.SCHEDULES names runs next; admins may change how often."""

    name = models.CharField(max_length=100, primary_key=True)
    every_minutes = models.PositiveIntegerField(
        "every so many minutes", validators=[MinValueValidator(1), MaxValueValidator(7 * 24 * 60)]
    )
    enabled = models.BooleanField(default=True)
    next_run_at = models.DateTimeField(default=timezone.now, editable=False)
    last_started_at = models.DateTimeField(null=True, editable=False)
    last_finished_at = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(every_minutes__gte=1), name="observability_schedule_runs_sometimes")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def every(self) -> timedelta:
        return timedelta(minutes=self.every_minutes)
