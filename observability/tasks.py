"""Doors for the schedule. Each run works off what is due and ends within half a minute; running twice is harmless."""

from celery import shared_task

from observability.services.alerts import alerts_send
from observability.services.backlog import backlog_prune
from observability.services.deliveries import drain
from observability.services.heartbeats import heartbeat_note
from observability.services.prompts import prompts_fetch
from observability.services.schedules import LEASE, schedules_run
from observability.services.scores import scores_export
from observability.services.sightings import scores_reconcile, traces_reconcile
from observability.services.traces import traces_export

TIME_LIMIT = 120  # seconds, far above the usual: a run that hangs is killed, its rows come due when their lease ends


@shared_task(ignore_result=True, time_limit=TIME_LIMIT)
def export_traces() -> None:
    drain(traces_export)


@shared_task(ignore_result=True, time_limit=TIME_LIMIT)
def export_scores() -> None:
    drain(scores_export)


@shared_task(ignore_result=True, time_limit=TIME_LIMIT)
def send_alerts() -> None:
    drain(alerts_send)


@shared_task(ignore_result=True, time_limit=TIME_LIMIT)
def fetch_prompts() -> None:
    prompts_fetch()


@shared_task(ignore_result=True, time_limit=TIME_LIMIT)
def reconcile_deliveries() -> None:
    traces_reconcile()
    scores_reconcile()


@shared_task(ignore_result=True, time_limit=TIME_LIMIT)
def prune_deliveries() -> None:
    backlog_prune()


@shared_task(ignore_result=True, time_limit=TIME_LIMIT)
def heartbeat(name: str = "schedule") -> None:
    heartbeat_note(name)


@shared_task(ignore_result=True, time_limit=LEASE.total_seconds() - 60)
def run_schedules() -> None:
    schedules_run()
