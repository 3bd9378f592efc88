"""Which rules Claude is given: those managed in Langfuse where there are good ones, else our own."""

import hashlib
from dataclasses import dataclass

from django.conf import settings

from observability.langfuse.client import langfuse_configured
from observability.services.prompts import ManagedText, prompt_current, prompt_fetch
from text2sql.pipeline import prompt as prompts


@dataclass(frozen=True)
class Rules:
    text: str
    version: str
    """The prompt's version; with managed rules followed by their name and number: `2026-11-23+rules:7`."""
    cache_version: str
    """The same for the answer cache: one number may get another text, where prompts are made of other prompts."""


def rules_current() -> Rules:
    name = settings.LANGFUSE_PROMPT_NAME
    managed = prompt_current(name)
    return _own() if managed is None else _managed(name, managed)


def rules_of(version: str) -> Rules:
    """The rules of one version, to try them out: our own, or a number of those that are managed in Langfuse.

    Raises:
        LangfuseUnavailable: Langfuse cannot be asked, or has no such version.
        ValueError: There is no such version, or its text cannot be used.
    """
    if version == prompts.VERSION:
        return _own()
    number, name = version.removeprefix(f"{prompts.VERSION}+").rpartition(":")[2], settings.LANGFUSE_PROMPT_NAME
    if not number.isdecimal() or not name or not langfuse_configured():
        raise ValueError(
            f"There are no rules {version!r}: give {prompts.VERSION}, or the number of a version of the prompt that"
            " LANGFUSE_PROMPT_NAME names."
        )
    return _managed(name, prompt_fetch(name, int(number)))


def _own() -> Rules:
    return Rules(prompts.RULES, prompts.VERSION, prompts.VERSION)


def _managed(name: str, managed: ManagedText) -> Rules:
    version = f"{prompts.VERSION}+{name}:{managed.version}"
    return Rules(managed.text, version, f"{version}:{hashlib.sha256(managed.text.encode()).hexdigest()}")


def rules_link(prompt_version: str) -> tuple[str, int | None]:
    """Name and number of the managed rules in a generation's prompt version; of our own there is no name."""
    name, _, number = prompt_version.partition("+")[2].rpartition(":")
    return (name, int(number)) if name else ("", None)
