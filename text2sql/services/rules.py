"""Which rules Claude is given: those managed in Langfuse where there are good ones, else our own."""

import hashlib
from dataclasses import dataclass

from django.conf import settings

from observability.services.prompts import prompt_current
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
    if managed is None:
        return Rules(prompts.RULES, prompts.VERSION, prompts.VERSION)
    version = f"{prompts.VERSION}+{name}:{managed.version}"
    return Rules(managed.text, version, f"{version}:{hashlib.sha256(managed.text.encode()).hexdigest()}")


def rules_link(prompt_version: str) -> tuple[str, int | None]:
    """Name and number of the managed rules in a generation's prompt version; of our own there is no name."""
    name, _, number = prompt_version.partition("+")[2].rpartition(":")
    return (name, int(number)) if name else ("", None)
