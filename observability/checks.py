"""Mistakes in the settings stop the start, with a hint."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error

from observability.masking import KINDS, OFF, mask_problems

DETAILS = ("compact", "full")


def langfuse_settings_check(app_configs: Sequence[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    if not settings.ENABLE_LANGFUSE:
        return []
    return [*_keys_check(), *_address_check(), *_labels_check(), *_prompt_check()]


def masking_settings_check(app_configs: Sequence[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    wrong_kinds, wrong_patterns = mask_problems(settings.MASKING, settings.MASKING_PATTERNS)
    found: list[CheckMessage] = []
    if wrong_kinds:
        found.append(
            Error(
                f"MASKING names what nobody knows: {', '.join(wrong_kinds)}.",
                hint=f"Take some of {','.join(KINDS)} (with commas), or leave it out for all of them; "
                f"the one word {OFF} masks nothing.",
                id="observability.E008",
            )
        )
    found += [
        Error(
            f"MASKING_PATTERNS: {problem}.",
            hint="Give Python's regular expressions with spaces between them; \\s is a space inside one.",
            id="observability.E009",
        )
        for problem in wrong_patterns
    ]
    return found


def _keys_check() -> Iterator[CheckMessage]:
    public, secret = settings.LANGFUSE_PUBLIC_KEY, settings.LANGFUSE_SECRET_KEY
    if bool(public) != bool(secret):
        yield Error(
            "Only one of LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY is set.",
            hint="Set both (Langfuse: project settings, API keys), or none to go without Langfuse.",
            id="observability.E001",
        )
    if public.startswith("sk-lf-") and secret.startswith("pk-lf-"):
        yield Error(
            "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are swapped.",
            hint="The public key begins with pk-lf-, the secret key with sk-lf-.",
            id="observability.E005",
        )
        return
    for name, key, prefix in (
        ("LANGFUSE_PUBLIC_KEY", public, "pk-lf-"),
        ("LANGFUSE_SECRET_KEY", secret, "sk-lf-"),
    ):
        if key and not re.fullmatch(rf"{prefix}[!-~]+", key):
            yield Error(
                f"{name} is not a key that begins with {prefix}.",
                hint="Copy it from Langfuse (project settings, API keys), without quotes or spaces.",
                id="observability.E004",
            )


def _address_check() -> Iterator[CheckMessage]:
    url = settings.LANGFUSE_BASE_URL
    if url.endswith("/") and _is_bare_address(bare := url.rstrip("/")):
        yield Error(
            "LANGFUSE_BASE_URL (or LANGFUSE_HOST) ends with a slash.",
            hint=f"Write {bare}",
            id="observability.E006",
        )
    elif not _is_bare_address(url):
        yield Error(
            "LANGFUSE_BASE_URL (or LANGFUSE_HOST) is not an address such as https://cloud.langfuse.com.",
            hint="Give http:// or https:// and the host, with a port if needed; no path, no slash at the end.",
            id="observability.E002",
        )


def _labels_check() -> Iterator[CheckMessage]:
    if not re.fullmatch(r"(?!langfuse)[a-z0-9_-]{1,40}", settings.LANGFUSE_ENVIRONMENT):
        yield Error(
            "LANGFUSE_ENVIRONMENT is not a name that Langfuse keeps as it is.",
            hint="Up to 40 small letters, digits, - and _, not beginning with langfuse.",
            id="observability.E003",
        )
    if settings.LANGFUSE_DETAIL not in DETAILS:
        yield Error(
            "LANGFUSE_DETAIL is neither compact nor full.",
            hint="compact sends a trace's root and its generations, full every step.",
            id="observability.E007",
        )


def _prompt_check() -> Iterator[CheckMessage]:
    name = settings.LANGFUSE_PROMPT_NAME
    if name and not (len(name) <= 40 and name.isprintable() and re.fullmatch(r"[^\s/|]+([ /][^\s/|]+)*", name)):
        yield Error(
            "LANGFUSE_PROMPT_NAME is not a prompt's name.",
            hint="Up to 40 characters without |, with single / between folders, as Langfuse shows it.",
            id="observability.E010",
        )


def _is_bare_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    rest = parts.path or parts.query or parts.fragment or parts.username
    return parts.scheme in ("http", "https") and bool(parts.hostname) and has_port and not rest
