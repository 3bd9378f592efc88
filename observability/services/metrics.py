"""What this app counts, read from rows: every process gives the same answer, and none has to remember anything."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from observability.models import Alert, AlertDelivery, Delivery, Heartbeat
from observability.services.backlog import WAITING, backlog


def day_start() -> datetime:
    """Where all counters start from zero: midnight UTC. Prometheus takes it for a restart, which rates survive."""
    return timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)


def metrics_read() -> Iterator[Metric]:
    yield from _backlog()
    yield from _alerts()
    beats = GaugeMetricFamily("text2sql_heartbeat_age_seconds", "Since the last sign of life.", labels=["name"])
    now = timezone.now()
    for name, at in Heartbeat.objects.values_list("name", "at"):
        beats.add_metric([name], max(0.0, (now - at).total_seconds()))
    yield beats


def _backlog() -> Iterator[Metric]:
    found = backlog()
    waiting = GaugeMetricFamily("text2sql_backlog", "Rows that wait for their delivery.", labels=["kind"])
    failed = GaugeMetricFamily("text2sql_undelivered", "Rows that were refused or given up.", labels=["kind"])
    waiting.add_metric(["traces"], found.pending_traces)
    waiting.add_metric(["scores"], found.pending_scores)
    failed.add_metric(["traces"], found.failed_traces)
    failed.add_metric(["scores"], found.failed_scores)
    alerts = AlertDelivery.objects.filter(WAITING).aggregate(count=Count("pk"), since=Min("created_at"))
    waiting.add_metric(["alerts"], alerts["count"])
    failed.add_metric(["alerts"], AlertDelivery.objects.filter(state=Delivery.State.FAILED).count())
    age = GaugeMetricFamily("text2sql_backlog_oldest_seconds", "Age of what waits longest.", labels=["target"])
    age.add_metric(["langfuse"], found.oldest_age_seconds)
    age.add_metric(["alerts"], (timezone.now() - alerts["since"]).total_seconds() if alerts["since"] else 0)
    paused = GaugeMetricFamily(
        "text2sql_langfuse_paused_seconds",
        "Until Langfuse is asked again after trouble.",
        value=found.paused_seconds,
    )
    yield from (waiting, failed, age, paused)


def _alerts() -> Iterator[Metric]:
    raised = CounterMetricFamily("text2sql_alerts", "Alerts raised since midnight UTC.", labels=["kind", "level"])
    rows = Alert.objects.filter(created_at__gte=day_start()).order_by().values_list("kind", "level")
    for kind, level, count in rows.annotate(count=Count("pk")):
        raised.add_metric([kind, level], count)
    yield raised
