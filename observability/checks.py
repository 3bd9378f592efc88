"""Mistakes in the settings stop the start, with a hint."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error


def langfuse_settings_check(app_configs: Sequence[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if bool(settings.LANGFUSE_PUBLIC_KEY) != bool(settings.LANGFUSE_SECRET_KEY):
        found.append(
            Error(
                "Only one of LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY is set.",
                hint="Set both (Langfuse: project settings, API keys), or none to go without Langfuse.",
                id="observability.E001",
            )
        )
    if not _is_bare_address(settings.LANGFUSE_BASE_URL):
        found.append(
            Error(
                "LANGFUSE_BASE_URL is not an address such as https://cloud.langfuse.com.",
                hint="Give http:// or https:// and the host, with a port if needed; no path, no slash at the end.",
                id="observability.E002",
            )
        )
    if not re.fullmatch(r"(?!langfuse)[a-z0-9_-]{1,40}", settings.LANGFUSE_ENVIRONMENT):
        found.append(
            Error(
                "LANGFUSE_ENVIRONMENT is not a name that Langfuse keeps as it is.",
                hint="Up to 40 small letters, digits, - and _, not beginning with langfuse.",
                id="observability.E003",
            )
        )
    return found


def _is_bare_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    rest = parts.path or parts.query or parts.fragment or parts.username
    return parts.scheme in ("http", "https") and bool(parts.hostname) and has_port and not rest
