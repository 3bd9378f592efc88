"""Schedules that admins may change: a tick each 15 seconds runs what is due, each run in one process only."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from observability.models import Schedule
from observability.services.audit import audit_record, change_audited

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
"""Longer than any run: a run that has not ended by then was killed with its worker, and comes again."""


def schedules_seed(*, using: str, apps: Apps = installed_apps, **_signal: Any) -> None:
    """Add the rows that are missing; runs after every migrate. What an admin changed stays."""
    rows = apps.get_model("observability", "Schedule")
    rows.objects.using(using).bulk_create(
        [rows(name=name, every_minutes=given["every_minutes"]) for name, given in settings.SCHEDULES.items()],
        ignore_conflicts=True,
    )


def schedules_run() -> int:
    """Run what is due, one after the other; returns how many ran. A run that fails is noted, the next one comes."""
    ran = 0
    for name, given in settings.SCHEDULES.items():
        started_at = timezone.now()
        # One statement, so of two ticks at once only one gets the row.
        due = Schedule.objects.filter(name=name, enabled=True, next_run_at__lte=started_at)
        if due.update(last_started_at=started_at, next_run_at=started_at + LEASE):
            _finish(name, started_at, error=_run(name, given["function"]))
            ran += 1
    return ran


def _run(name: str, function: str) -> str:
    """What went wrong, or nothing."""
    try:
        import_string(function)()
    except Exception as unforeseen:
        logger.exception("The schedule %r failed", name)
        return f"{type(unforeseen).__name__}: {unforeseen}".replace("\x00", "\ufffd")
    return ""


def _finish(name: str, started_at: datetime, *, error: str) -> None:
    """Only of the run that is the row's own: another one may have begun when this one's lease was over."""
    mine = Schedule.objects.filter(name=name, last_started_at=started_at)
    schedule = mine.first()
    if schedule is None:
        return
    mine.update(last_finished_at=timezone.now(), last_error=error)
    # Unless it was told meanwhile to run at once.
    mine.filter(next_run_at=started_at + LEASE).update(next_run_at=max(started_at + schedule.every, timezone.now()))


@transaction.atomic
def schedule_run_now(*, schedule: Schedule, actor: str) -> None:
    """Make it due with the next tick, within 15 seconds."""
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=timezone.now())
    audit_record(actor=actor, verb="schedule.run_now", target=schedule.name)


def schedule_change(schedule: Schedule, *, actor: str) -> None:
    """Store how often it runs and whether; where that is more often than before, the next run comes that soon."""
    fields = ["every_minutes", "enabled"]
    with change_audited(schedule, actor=actor, target=schedule.name, fields=fields):
        row = Schedule.objects.filter(pk=schedule.pk)
        row.update(every_minutes=schedule.every_minutes, enabled=schedule.enabled)
        soon = timezone.now() + schedule.every
        row.filter(next_run_at__gt=soon).update(next_run_at=soon)
