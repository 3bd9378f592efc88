"""The prompt that may be managed in Langfuse: fetched by the worker, kept in our database, read from there.

Whatever Langfuse says or does not say, the last good text stays in use; before the first one, the caller's own.
"""

import logging
import re
import time
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from observability.langfuse.client import LangfuseUnavailable, langfuse_configured
from observability.langfuse.prompts import LangfusePrompt, prompt_get
from observability.langfuse.sdk import sdk_load
from observability.models import ManagedPrompt
from observability.services.deliveries import connection_release

logger = logging.getLogger(__name__)

LABEL = "production"
VARIABLES = ("dialect", "today")
LONGEST = 20_000  # characters
HIGHEST = 99_999_999  # no prompt has so many versions; a generation keeps eight digits
CACHE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ManagedText:
    """A text with its `{{variables}}` unfilled, and Langfuse's number of it."""

    text: str
    version: int


def prompts_fetch() -> None:
    """Ask Langfuse for the prompt that LANGFUSE_PROMPT_NAME names, once. Never raises for what Langfuse does.

    A text that cannot be used is refused; `last_error` of the row says why.
    """
    name, asked_at = settings.LANGFUSE_PROMPT_NAME, timezone.now()
    if not name or not langfuse_configured():
        return
    sdk_load()
    ManagedPrompt.objects.get_or_create(name=name, defaults={"label": LABEL})
    connection_release()
    try:
        fetched = prompt_get(name, label=LABEL)
    except LangfuseUnavailable as trouble:
        _note(name, asked_at, error=str(trouble))
        return
    if reason := _refusal(fetched):
        _note(name, asked_at, error=f"version {fetched.version} is refused: {reason}")
        return
    _note(name, asked_at, fetched=fetched)


def prompt_fetch(name: str, version: int) -> ManagedText:
    """One version of a prompt, straight from Langfuse: to try it out. Nothing is kept.

    Raises:
        LangfuseUnavailable: It cannot be had.
        ValueError: It cannot be used; the message says why.
    """
    sdk_load()
    connection_release()
    fetched = prompt_get(name, version=version)
    if reason := _refusal(fetched):
        raise ValueError(f"Version {fetched.version} of {name} cannot be used: {reason}.")
    return ManagedText(fetched.text, fetched.version)


def prompt_current(name: str) -> ManagedText | None:
    """The newest good text of that name; None where there is none, no name, or Langfuse is not configured.

    Asks our database every 30 seconds, and never Langfuse.
    """
    if not name or not langfuse_configured():
        return None
    kept = _kept.get(name)
    if kept is None or time.monotonic() - kept[0] > CACHE_SECONDS:
        row = ManagedPrompt.objects.filter(name=name, version__isnull=False).values_list("text", "version").first()
        kept = _kept[name] = (time.monotonic(), ManagedText(row[0], row[1] or 0) if row else None)
    return kept[1]


def variable_pattern(name: str) -> str:
    """A regular expression for `{{name}}` as Langfuse writes it: blanks inside do not matter."""
    return rf"\{{\{{\s*{re.escape(name)}\s*\}}\}}"


def _refusal(fetched: LangfusePrompt) -> str:
    """Why a text cannot be used; empty when it can."""
    text = fetched.text
    if not 1 <= fetched.version <= HIGHEST:
        return "its version is no number from 1 on"
    if not text.strip():
        return "it is empty"
    if len(text) > LONGEST:
        return f"it has {len(text):,} characters, more than {LONGEST:,}"
    if "\x00" in text or text.encode("utf-8", "replace").decode() != text:
        return "it holds characters that cannot be stored"
    missing = [name for name in VARIABLES if not re.search(variable_pattern(name), text)]
    return f"it lacks {' and '.join(f'{{{{{name}}}}}' for name in missing)}" if missing else ""


def _note(name: str, asked_at: datetime, *, fetched: LangfusePrompt | None = None, error: str = "") -> None:
    # An answer that was overtaken by a later question's is dropped: the label may have moved in between.
    row = ManagedPrompt.objects.filter(Q(checked_at=None) | Q(checked_at__lte=asked_at), name=name)
    if error:
        logger.warning("The prompt %s from Langfuse: %s", name, error)
    elif fetched and row.exclude(version=fetched.version, text=fetched.text).update(
        version=fetched.version, text=fetched.text, label=LABEL, fetched_at=timezone.now()
    ):
        logger.info("The prompt %s from Langfuse: version %d is in use", name, fetched.version)
        _kept.pop(name, None)
    row.update(checked_at=asked_at, last_error=error)


# Every question asks, the text changes now and then. Entries are replaced whole: threads see the old or the new one.
_kept: dict[str, tuple[float, ManagedText | None]] = {}


def prompts_forget() -> None:
    """Let this process read its texts from the database again."""
    _kept.clear()
