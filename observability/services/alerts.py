"""Alerts: raised once by key, carried out on every way until the other side took them."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from typing import Any

import structlog
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from observability.logging import ALERTS
from observability.models import Alert, AlertChannel, AlertDelivery
from observability.models.alerts import Level
from observability.services.alert_senders import SendingFailed, SendingRefused, delivery_send
from observability.services.audit import audit_change
from observability.services.backlog import WAITING
from observability.services.deliveries import LEASE, SENDING, ExportOutcome, connection_release

logger = logging.getLogger(__name__)

WAYS_AT_ONCE = 16
GIVE_UP = timedelta(days=7)
LONGEST_RETRY_AFTER = timedelta(hours=1)

_INSERT = """
INSERT INTO observability_alert
    (id, key, kind, scope, level, subject, body, details, created_at, acknowledged_by, note)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '', '')
ON CONFLICT (key) DO NOTHING
"""


def alert_raise(
    *,
    key: str,
    kind: str,
    scope: str,
    level: str,
    subject: str,
    body: str,
    recipients: Sequence[str] = (),
    details: Mapping[str, Any] | None = None,
) -> Alert | None:
    """Raise an alert in the caller's transaction, or return None if one with this key was raised before.

    It goes by e-mail to `recipients` and to every channel that wants it; with none of these the row alone is the
    alert. The second time a key costs one statement, which waits for a transaction that is raising the same key: raise
    after the locks you need, and several in the order of their keys.
    """
    alert = Alert(
        key=key,
        kind=kind,
        scope=scope,
        level=level,
        subject=" ".join(subject.split())[:200],  # one line: a line break would end the mail's header
        body=body,
        details=dict(details or {}),
    )
    with transaction.atomic(savepoint=False):  # one transaction where the caller has none, and no savepoint else
        if not _insert(alert):
            return None
        wanted = AlertChannel.objects.filter(enabled=True, scope__in={"", scope}, minimum_level__in=Level.up_to(level))
        deliveries = [AlertDelivery(alert=alert, channel=channel) for channel in wanted]
        if recipients:
            deliveries.append(AlertDelivery(alert=alert, recipients=list(recipients)))
        AlertDelivery.objects.bulk_create(deliveries)
        transaction.on_commit(partial(_log, alert))
    return alert


def _insert(alert: Alert) -> bool:
    details = json.dumps(alert.details, cls=DjangoJSONEncoder)
    values: list[Any] = [alert.kind, alert.scope, alert.level, alert.subject, alert.body, details, alert.created_at]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [alert.pk, alert.key, *values])
        is_new: bool = cursor.rowcount == 1
    alert._state.adding = False
    return is_new


def _log(alert: Alert) -> None:
    # `level` is every line's own.
    structlog.get_logger(ALERTS).info(
        "alert_raised",
        kind=alert.kind,
        scope=alert.scope,
        alert_level=alert.level,
        key=alert.key,
        subject=alert.subject,
    )


@transaction.atomic
def alert_acknowledge(*, alert: Alert, actor: str, note: str = "") -> bool:
    """Somebody has seen it. False where somebody had before; that stays as it is."""
    now = timezone.now()
    acknowledged = Alert.objects.filter(pk=alert.pk, acknowledged_at=None).update(
        acknowledged_at=now, acknowledged_by=actor, note=note
    )
    if acknowledged:
        audit_change(
            actor=actor, verb="alert.acknowledged", target=alert.key, scope=alert.scope,
            was={"acknowledged_by": "", "note": ""}, now={"acknowledged_by": actor, "note": note},
        )  # fmt: skip
    return bool(acknowledged)


def alerts_send(*, limit: int = 50) -> ExportOutcome:
    """Send what is due, up to `limit` on each way, all ways at once: one that is slow or down holds up no other.

    A way that fails is asked once per run. After a worker's death an alert may go out twice: better than not at all.
    """
    ways = _claim(limit)
    outcome = ExportOutcome(claimed=sum(map(len, ways)))
    if not ways:
        return outcome
    connection_release()
    ends = time.monotonic() + SENDING
    results: SimpleQueue[tuple[AlertDelivery, Exception | None]] = SimpleQueue()
    # Threads do nothing but send; the rows are read and written here.
    with ThreadPoolExecutor(WAYS_AT_ONCE, thread_name_prefix="alerts") as threads:
        for deliveries in ways:
            threads.submit(_way_serve, deliveries, ends, results)
        for _ in range(outcome.claimed):
            _note(*results.get(), outcome)
    return outcome


def _claim(limit: int) -> list[list[AlertDelivery]]:
    """What is due, by way."""
    due = AlertDelivery.objects.filter(WAITING, next_try_at__lte=timezone.now())
    ways = due.order_by().values_list("channel", flat=True).distinct()
    claimed = [AlertDelivery.objects.filter(channel=way).claim(limit=limit, lease=LEASE) for way in ways]
    prefetch_related_objects([delivery for deliveries in claimed for delivery in deliveries], "alert", "channel")
    return [deliveries for deliveries in claimed if deliveries]


def _way_serve(
    deliveries: list[AlertDelivery], ends: float, results: SimpleQueue[tuple[AlertDelivery, Exception | None]]
) -> None:
    """Send one after the other; exactly one result for each, whatever happens."""
    trouble: SendingFailed | None = None
    for delivery in deliveries:
        if trouble is None and time.monotonic() > ends:
            trouble = SendingFailed("no time left in this run")
        result: Exception | None = trouble
        if trouble is None:
            result = _result(delivery)
            if isinstance(result, SendingFailed):  # for the others, of which nothing was sent
                trouble = SendingFailed(str(result), retry_after=result.retry_after)
        results.put((delivery, result))


def _result(delivery: AlertDelivery) -> Exception | None:
    try:
        if delivery.channel is not None and not delivery.channel.enabled:
            return SendingRefused("the channel was switched off")
        delivery_send(delivery)
    except (SendingRefused, SendingFailed) as expected:
        return expected
    except Exception as unforeseen:  # else the row would wait for its lease, and the run for its result
        logger.exception("An alert could not be sent")
        return SendingFailed(f"not foreseen: {type(unforeseen).__name__}", maybe_sent=True)
    return None


def _note(delivery: AlertDelivery, result: Exception | None, outcome: ExportOutcome) -> None:
    rows = AlertDelivery.objects
    if result is None:
        rows.note_delivered([delivery])
        outcome.delivered += 1
        return
    outcome.error = str(result).replace("\x00", "")
    if isinstance(result, SendingFailed) and timezone.now() - delivery.created_at < GIVE_UP:
        rows.note_postponed(
            [delivery],
            error=outcome.error,
            maybe_sent=result.maybe_sent,
            at_least=result.retry_after,
            at_most=LONGEST_RETRY_AFTER,
        )
        outcome.postponed += 1
    else:
        given_up = f"given up after {GIVE_UP.days} days: " if isinstance(result, SendingFailed) else ""
        rows.note_failed([delivery], error=given_up + outcome.error)
        outcome.failed += 1
