"""API keys: issue, revoke, and recognise the one in a request."""

import hmac
import re
import secrets
import string
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from observability.services.audit import audit_change, value_told
from teams.access import Principal, Scope
from teams.models import ApiKey, Team

_TOKEN = re.compile(r"t2s_([0-9A-Za-z]{8})_[0-9A-Za-z]{40}")
_ALPHABET = string.digits + string.ascii_letters


class KeyRefused(Exception):
    """The key does not open the door; the message says why, in words that are safe to show."""


@transaction.atomic
def key_issue(
    *,
    team: Team,
    name: str,
    scopes: Collection[Scope] = tuple(Scope),
    expires_at: datetime | None = None,
    created_by: User | None = None,
    actor: str,
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which is not kept anywhere: show it once."""
    prefix, secret = _random(8), _random(40)  # 40 of 62 letters: 238 bits
    token = f"t2s_{prefix}_{secret}"
    key = ApiKey.objects.create(
        team=team,
        name=name,
        prefix=prefix,
        digest=_digest(token, settings.SECRET_KEY),
        scopes=sorted(scopes),
        expires_at=expires_at,
        created_by=created_by,
    )
    audit_change(
        actor=actor,
        verb="api_key.issued",
        target=str(key.id),
        scope=team.slug,
        was=None,
        now={"name": name, "scopes": key.scopes, "expires_at": value_told(expires_at)},
        told={"name": str(key)},
    )
    return key, token


@transaction.atomic
def key_revoke(*, key: ApiKey, actor: str) -> None:
    """Takes effect with the next request. Revoking twice changes nothing."""
    now = timezone.now()
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        audit_change(
            actor=actor,
            verb="api_key.revoked",
            target=str(key.id),
            scope=key.team_id,
            was={"revoked_at": None},
            now={"revoked_at": value_told(now)},
            told={"name": str(key)},
        )


def key_authenticate(token: str) -> Principal:
    """The principal behind a key.

    One plain statement, since every request pays for it.

    Raises:
        KeyRefused: Malformed, unknown, expired or revoked, or its team is inactive.
    """
    if not (match := _TOKEN.fullmatch(token)):
        raise KeyRefused("This is not an API key of this installation.")
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [match[1]])
        row = cursor.fetchone()
    if row is None or not (secret := _signing_secret(token, row[1])):
        raise KeyRefused("This API key is unknown.")
    key_id, _, team_id, scopes, expires_at, revoked_at, last_used_at, team_active = row
    now = timezone.now()
    if revoked_at is not None or not team_active:
        raise KeyRefused("This API key has been revoked.")
    if expires_at is not None and expires_at <= now:
        raise KeyRefused("This API key has expired.")
    if secret != settings.SECRET_KEY:
        ApiKey.objects.filter(pk=key_id).update(digest=_digest(token, settings.SECRET_KEY))
    if last_used_at is None or (now - last_used_at).total_seconds() > 60:
        ApiKey.objects.filter(pk=key_id).update(last_used_at=now)
    return key_principal(key_id=key_id, prefix=match[1], team_id=team_id, scopes=scopes)


def key_recall(key_id: UUID) -> Principal:
    """The principal of a key that opened the door before, as the key stands now.

    Raises:
        KeyRefused: Revoked or expired since, or its team is inactive.
    """
    key = ApiKey.objects.select_related("team").get(pk=key_id)
    if key.revoked_at is not None or not key.team.active:
        raise KeyRefused("This API key has been revoked.")
    if key.expires_at is not None and key.expires_at <= timezone.now():
        raise KeyRefused("This API key has expired.")
    return key_principal(key_id=key.pk, prefix=key.prefix, team_id=key.team_id, scopes=key.scopes)


def key_principal(*, key_id: UUID, prefix: str, team_id: str, scopes: Collection[str]) -> Principal:
    return Principal(
        actor=f"key:t2s_{prefix}", team_ids=frozenset({team_id}), scopes=frozenset(scopes), api_key_id=key_id
    )


_FIND = """
    SELECT k.id, k.digest, k.team_id, k.scopes, k.expires_at, k.revoked_at, k.last_used_at, t.active
    FROM teams_apikey k JOIN teams_team t ON t.slug = k.team_id
    WHERE k.prefix = %s
"""


def _signing_secret(token: str, digest: str) -> str | None:
    """Which of the present and former SECRET_KEYs signed this key."""
    for secret in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
        if hmac.compare_digest(_digest(token, secret), digest):
            return secret
    return None


def _digest(token: str, secret: str) -> str:
    return salted_hmac("teams.api_key", token, secret=secret, algorithm="sha256").hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
