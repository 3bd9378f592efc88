"""Doors for the schedule. Each run works off what is due and ends within half a minute; running twice is harmless."""

from celery import shared_task

from observability.services.alerts import alerts_send
from observability.services.deliveries import drain
from observability.services.scores import scores_export
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
