"""The connection to Langfuse: settings, clients, one timeout for all calls.

Only this package imports langfuse and opentelemetry, and only inside functions: a web process never pays for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings

if TYPE_CHECKING:
    from langfuse.api import LangfuseAPI

# Seconds to connect, for each read and for each write.
TIMEOUT = httpx.Timeout(10.0, connect=5.0)


class LangfuseUnavailable(Exception):  # a state of the world, not a mistake
    """Langfuse is down, slow, busy, answers rubbish or refused the call; the message says which."""

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(0)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class LangfuseConfig:
    base_url: str
    public_key: str
    secret_key: str


def langfuse_configured() -> bool:
    return bool(settings.ENABLE_LANGFUSE and settings.LANGFUSE_PUBLIC_KEY and settings.LANGFUSE_SECRET_KEY)


def trace_page(trace_id: str) -> str:
    """Where people see a trace, from where Langfuse leads on to its project; empty where there is no Langfuse."""
    return f"{langfuse_config().base_url}/trace/{trace_id}" if trace_id and langfuse_configured() else ""


def langfuse_is_cloud() -> bool:
    """Langfuse Cloud has limits, a server of one's own has none."""
    host = urlsplit(settings.LANGFUSE_BASE_URL).hostname or ""
    return host == "langfuse.com" or host.endswith(".langfuse.com")


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


@contextmanager
def langfuse_asked() -> Iterator[None]:
    """Around a call of Langfuse's API client: whatever goes wrong is LangfuseUnavailable."""
    from langfuse.api.core import ApiError  # noqa: PLC0415  # see the module's docstring

    try:
        yield
    except httpx.HTTPError as unreachable:
        raise LangfuseUnavailable(trouble_told(unreachable)) from unreachable
    except ApiError as refused:
        raise LangfuseUnavailable(
            answer_told(refused.status_code, refused.body), retry_after=retry_after_of(refused.headers)
        ) from refused
    except ValueError as rubbish:  # bytes that are no text, or JSON of another shape
        raise LangfuseUnavailable(f"not an answer of Langfuse: {trouble_told(rubbish)}") from rubbish


def answer_told(status: int | None, body: Any) -> str:
    return f"HTTP {status}: {str(body)[:500]}".replace("\x00", "\ufffd")  # PostgreSQL keeps no NUL


def trouble_told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:500]}".replace("\x00", "\ufffd")


def retry_after_of(headers: Mapping[str, str] | None) -> timedelta:
    """How long the server asks to be left alone, a day at most; nothing when it does not say it in seconds."""
    seconds = next((value for name, value in (headers or {}).items() if name.lower() == "retry-after"), "")
    return timedelta(seconds=min(int(seconds), 86_400)) if seconds.isascii() and seconds.isdigit() else timedelta(0)


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
