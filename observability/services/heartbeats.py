"""Signs of life: a row that only a worker writes, at the schedule's request or the doctor's."""

from datetime import datetime, timedelta

from django.utils import timezone

from observability.models import Heartbeat

EVERY = timedelta(minutes=1)


def heartbeat_note(name: str) -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now()})


def heartbeat_at(name: str) -> datetime | None:
    """When it was noted last; None where it never was."""
    return Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
