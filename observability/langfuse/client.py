"""The connection to Langfuse: settings, clients, one timeout for all calls.

Only this package imports langfuse and opentelemetry, and only inside functions: a web process never pays for them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import httpx
from django.conf import settings

if TYPE_CHECKING:
    from langfuse.api import LangfuseAPI

# Seconds to connect, for each read and for each write.
TIMEOUT = httpx.Timeout(10.0, connect=5.0)


class LangfuseUnavailable(Exception):  # a state of the world, not a mistake
    """Langfuse is down, slow, or refused the call; the message says which."""


@dataclass(frozen=True, slots=True)
class LangfuseConfig:
    base_url: str
    public_key: str
    secret_key: str


def langfuse_configured() -> bool:
    return bool(settings.LANGFUSE_PUBLIC_KEY and settings.LANGFUSE_SECRET_KEY)


def langfuse_config() -> LangfuseConfig:
    return LangfuseConfig(
        base_url=settings.LANGFUSE_BASE_URL.rstrip("/"),
        public_key=settings.LANGFUSE_PUBLIC_KEY,
        secret_key=settings.LANGFUSE_SECRET_KEY,
    )


def langfuse_http() -> httpx.Client:
    """The HTTP client for calls the SDK does not make; it never tries twice."""
    return _http(langfuse_config())


def langfuse_api() -> LangfuseAPI:
    """Langfuse's own API client. Give each call `request_options={"max_retries": 0}`: we try again ourselves."""
    return _api(langfuse_config())


@lru_cache(maxsize=1)
def _http(config: LangfuseConfig) -> httpx.Client:
    return httpx.Client(base_url=config.base_url, auth=(config.public_key, config.secret_key), timeout=TIMEOUT)


@lru_cache(maxsize=1)
def _api(config: LangfuseConfig) -> LangfuseAPI:
    from langfuse import __version__  # noqa: PLC0415  # see the module's docstring
    from langfuse.api import LangfuseAPI  # noqa: PLC0415  # see the module's docstring

    return LangfuseAPI(
        base_url=config.base_url,
        x_langfuse_sdk_name="python",
        x_langfuse_sdk_version=__version__,
        x_langfuse_public_key=config.public_key,
        username=config.public_key,
        password=config.secret_key,
        httpx_client=httpx.Client(timeout=TIMEOUT),
    )


def _clients_forget() -> None:
    _http.cache_clear()
    _api.cache_clear()


os.register_at_fork(after_in_child=_clients_forget)  # a forked worker must not share its parent's sockets
