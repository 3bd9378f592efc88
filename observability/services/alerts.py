"""Alerts: raised once by key, told by e-mail until a mail server took them."""

import smtplib
import time
from collections.abc import Sequence

from django.core.mail import EmailMessage

from observability.models import Alert
from observability.services.deliveries import LEASE, SENDING, ExportOutcome, connection_release


def alert_raise(
    *, key: str, kind: str, scope: str, level: str, subject: str, body: str, recipients: Sequence[str]
) -> Alert | None:
    """Raise an alert in the caller's transaction, or return None if one with this key was raised before.

    With nobody to tell, the row alone is the alert.
    """
    alert, is_new = Alert.objects.get_or_create(
        key=key,
        defaults={
            "kind": kind,
            "scope": scope,
            "level": level,
            "subject": " ".join(subject.split())[:200],  # one line: a line break would end the mail's header
            "body": body,
            "recipients": list(recipients),
            "state": Alert.State.PENDING if recipients else Alert.State.DELIVERED,
        },
    )
    return alert if is_new else None


def alerts_send(*, limit: int = 50) -> ExportOutcome:
    """Send what is due. After a worker's death a mail may go out twice: better than not at all."""
    alerts = Alert.objects.claim(limit=limit, lease=LEASE)
    outcome = ExportOutcome(claimed=len(alerts))
    if alerts:
        connection_release()
    ends = time.monotonic() + SENDING
    for alert in alerts:
        if outcome.postponed or time.monotonic() > ends:  # the mail server is down or slow: it is asked once per run
            reason = outcome.error or "no time left in this run"
            Alert.objects.note_postponed([alert], error=reason)
            outcome.postponed += 1
        else:
            _send(alert, outcome)
    return outcome


def _send(alert: Alert, outcome: ExportOutcome) -> None:
    # The mail server has settings.EMAIL_TIMEOUT seconds for each step.
    message = EmailMessage(subject=alert.subject, body=alert.body, to=alert.recipients)
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as refused:
        outcome.error = f"recipients refused: {refused.recipients}"
        # From 550 on a mail server means: never.
        if all(code >= 550 for code, _ in refused.recipients.values()):
            Alert.objects.note_failed([alert], error=outcome.error)
            outcome.failed += 1
        else:
            Alert.objects.note_postponed([alert], error=outcome.error)
            outcome.postponed += 1
    except ValueError as invalid:  # an address that no mail can be sent to
        outcome.error = str(invalid)
        Alert.objects.note_failed([alert], error=outcome.error)
        outcome.failed += 1
    except OSError as trouble:  # refused, timed out, or any answer of the mail server (SMTPException is an OSError)
        outcome.error = f"{type(trouble).__name__}: {trouble}"
        Alert.objects.note_postponed([alert], error=outcome.error)
        outcome.postponed += 1
    else:
        Alert.objects.note_delivered([alert])
        outcome.delivered += 1
