"""Secrets at rest: Fernet with rotating keys. Each ciphertext is bound to the row it belongs to."""

import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class UnreadableSecret(Exception):
    """No configured key opens the ciphertext, or it was moved from another row."""


def secret_encrypt(plaintext: str, *, bound_to: str) -> str:
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(json.dumps([bound_to, plaintext]).encode()).decode()


def secret_decrypt(ciphertext: str, *, bound_to: str) -> str:
    try:
        owner, plaintext = json.loads(_fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(ciphertext.encode()))
    except InvalidToken as error:
        raise UnreadableSecret(
            "No key in ENCRYPTION_KEYS opens this secret; put the old key behind the new one."
        ) from error
    if owner != bound_to:
        raise UnreadableSecret("This secret belongs to another row.")
    return str(plaintext)


def secret_rotate(ciphertext: str) -> str:
    """The same secret under the newest key."""
    try:
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).rotate(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise UnreadableSecret("No key in ENCRYPTION_KEYS opens this secret.") from error


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
