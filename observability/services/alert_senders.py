"""How an alert travels: as an e-mail, as a message in Slack, as a signed webhook. Nothing here asks the database."""

import base64
import hashlib
import hmac
import json
import smtplib
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from email.utils import parsedate_to_datetime

from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from observability.encryption import UnreadableSecret, secret_decrypt
from observability.models import Alert, AlertChannel, AlertDelivery
from observability.outgoing import AddressRefused, Answer, Unanswered, post

POST_SECONDS = 10.0
SECRET_PREFIX = "whsec_"  # noqa: S105  # what such a secret begins with
SLACK_LONGEST = 3_000  # characters that Slack shows without folding them away


class SendingRefused(Exception):
    """Never again as it is; the message says why."""


class SendingFailed(Exception):
    """It may pass. `maybe_sent`: it may have arrived all the same."""

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(0), maybe_sent: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.maybe_sent = maybe_sent


def delivery_send(delivery: AlertDelivery) -> None:
    """Send one alert on one way, once; its alert and its channel are loaded. Raises SendingRefused or SendingFailed."""
    alert, channel = delivery.alert, delivery.channel
    if channel is None:
        _mail(alert, delivery.recipients)
    elif channel.kind == AlertChannel.Kind.EMAIL:
        _mail(alert, channel.addresses)
    elif channel.kind == AlertChannel.Kind.SLACK:
        _post(channel, _slack_message(alert), {})
    else:
        body, headers = _webhook(delivery, _secret(channel))
        _post(channel, body, headers)


def signature(*, secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` as https://www.standardwebhooks.com has it; `secret` is whsec_ and base64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _mail(alert: Alert, addresses: Sequence[str]) -> None:
    # The mail server has settings.EMAIL_TIMEOUT seconds for each step.
    message = EmailMessage(subject=alert.subject, body=alert.body, to=list(addresses))
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as refused:
        told = f"recipients refused: {refused.recipients}"
        # From 550 on a mail server means: never.
        if all(code >= 550 for code, _ in refused.recipients.values()):
            raise SendingRefused(told) from refused
        raise SendingFailed(told) from refused
    except ValueError as invalid:  # an address that no mail can be sent to
        raise SendingRefused(str(invalid)) from invalid
    except OSError as trouble:  # refused, timed out, or any answer of the mail server (SMTPException is an OSError)
        raise SendingFailed(f"{type(trouble).__name__}: {trouble}") from trouble


def _slack_message(alert: Alert) -> bytes:
    text = f"*[{alert.level}] {_slack_escape(alert.subject)}*\n{_slack_escape(alert.body)}"
    return json.dumps({"text": text[:SLACK_LONGEST]}).encode()


def _slack_escape(text: str) -> str:
    """Slack's three special characters: otherwise a text could call everybody or hide where a link leads."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _webhook(delivery: AlertDelivery, secret: str) -> tuple[bytes, dict[str, str]]:
    """The body, the same at every try, and the headers that sign it."""
    alert = delivery.alert
    data = {
        name: getattr(alert, name)
        for name in ("id", "key", "kind", "scope", "level", "subject", "body", "details", "created_at")
    }
    content = {"type": "alert.raised", "timestamp": alert.created_at, "data": data}
    body = json.dumps(content, cls=DjangoJSONEncoder, ensure_ascii=False).encode()
    message_id, timestamp = f"alert_{delivery.pk.hex}", int(time.time())
    signed = signature(secret=secret, message_id=message_id, timestamp=timestamp, body=body)
    return body, {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed,
    }


def _url(channel: AlertChannel) -> str:
    return _opened(channel.encrypted_url, channel.url_owner)


def _secret(channel: AlertChannel) -> str:
    return _opened(channel.encrypted_secret, channel.secret_owner)


def _opened(ciphertext: str, owner: str) -> str:
    try:
        return secret_decrypt(ciphertext, bound_to=owner)
    except UnreadableSecret as unreadable:
        raise SendingFailed(str(unreadable)) from unreadable


def _post(channel: AlertChannel, body: bytes, headers: Mapping[str, str]) -> None:
    about = {"Content-Type": "application/json", "User-Agent": "text2sql-alerts"}
    try:
        answer = post(_url(channel), body=body, headers={**about, **headers}, seconds=POST_SECONDS)
    except AddressRefused as refused:
        raise SendingRefused(str(refused)) from refused
    except Unanswered as trouble:
        raise SendingFailed(str(trouble), maybe_sent=trouble.maybe_sent) from trouble
    if 200 <= answer.status < 300:
        return
    told = f"answered {answer.status}: {answer.text}".removesuffix(": ")
    if 300 <= answer.status < 400:
        raise SendingRefused(f"{told} (a redirect, which is not followed; enter the address it leads to)")
    if answer.status in (408, 429) or answer.status >= 500:
        raise SendingFailed(told, retry_after=_retry_after(answer))
    raise SendingRefused(told)


def _retry_after(answer: Answer) -> timedelta:
    """How long the other side asks to be left alone; nothing when it does not say it, or not readably."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return timedelta(seconds=min(int(asked[:6]), 86_400))
    try:
        return max(parsedate_to_datetime(asked) - timezone.now(), timedelta(0))
    except (ValueError, TypeError):  # no date, or one without a zone
        return timedelta(0)
