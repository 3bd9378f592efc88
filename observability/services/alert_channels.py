"""The channels that alerts go to: stored with their secrets encrypted, tested, re-encrypted."""

import base64
import secrets
from contextlib import AbstractContextManager
from uuid import uuid4

from django.db import transaction

from observability.encryption import secret_encrypt, secret_rotate
from observability.models import Alert, AlertChannel, AlertDelivery
from observability.services.alert_senders import SECRET_PREFIX, SendingFailed, SendingRefused, delivery_send
from observability.services.audit import audit_record, change_audited
from observability.services.deliveries import connection_release

SECRET_BYTES = 32
TOLD = ["name", "kind", "addresses", "scope", "minimum_level", "enabled"]
SECRETS = ["encrypted_url", "encrypted_secret"]


@transaction.atomic
def channel_save(channel: AlertChannel, *, url: str = "", actor: str) -> str:
    """Add or change a channel; an empty `url` keeps the stored one. Returns the secret of a new webhook, else nothing.

    It is the only time the secret is given away. The audit tells everything but URL and secret.
    """
    is_new = not AlertChannel.objects.filter(pk=channel.pk).exists()
    secret = ""
    with _audited(channel, actor):
        channel.save()  # the secrets are bound to its id
        if url:
            channel.encrypted_url = secret_encrypt(url, bound_to=channel.url_owner)
        if is_new and channel.kind == AlertChannel.Kind.WEBHOOK:
            secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
            channel.encrypted_secret = secret_encrypt(secret, bound_to=channel.secret_owner)
        channel.save(update_fields=["encrypted_url", "encrypted_secret"])
    return secret


def channel_delete(channel: AlertChannel, *, actor: str) -> None:
    """Take it away, with what waits for it."""
    with _audited(channel, actor):
        channel.delete()


def channel_test(channel: AlertChannel, *, actor: str) -> str:
    """Send a test right away, as alerts are sent, also to a channel that is off. Returns why it failed, or nothing."""
    alert = Alert(
        key=f"test:{uuid4()}",
        kind="test",
        scope=channel.scope,
        level=Alert.Level.INFO,
        subject=f"Test of the alert channel {channel}",
        body="Alerts arrive here. This one was sent from the admin to try it; nothing has happened.",
    )
    connection_release()
    try:
        delivery_send(AlertDelivery(alert=alert, channel=channel))
    except (SendingRefused, SendingFailed) as trouble:
        error = str(trouble)
    else:
        error = ""
    audit_record(
        actor=actor, verb="alert_channel.tested", target=channel.name, scope=channel.scope, data={"error": error}
    )
    return error


@transaction.atomic
def channel_secrets_rotate() -> int:
    """Every stored URL and secret under the newest key. Returns how many were written. Raises UnreadableSecret."""
    count = 0
    for channel in AlertChannel.objects.select_for_update():
        for name in ("encrypted_url", "encrypted_secret"):
            if ciphertext := getattr(channel, name):
                setattr(channel, name, secret_rotate(ciphertext))
                count += 1
        channel.save(update_fields=["encrypted_url", "encrypted_secret"])
    return count


def _audited(channel: AlertChannel, actor: str) -> AbstractContextManager[None]:
    return change_audited(
        channel, actor=actor, target=channel.name, scope=channel.scope, fields=[*TOLD, *SECRETS], secrets=SECRETS
    )
