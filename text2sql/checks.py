"""System checks: a missing or bad setting stops the start with a sentence that says what to do."""

from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError
from django.utils import timezone

from observability.services.prices import PriceUnknown, model_status
from text2sql.targets.urls import DRIVERS

SHORTEST_RETENTION, LONGEST_RETENTION = 2, 36_500
"""In days; until the second one it is still asked whether all of a question has arrived in Langfuse."""
DIALECTS = frozenset(dialect for dialect, _ in DRIVERS.values())


@register()
def secrets_check(app_configs: Any, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not _has_secret_key():
        found.append(
            Error(
                "SECRET_KEY is not set.",
                hint="Set SECRET_KEY in the environment or .env to 50 or more random characters; `./run.sh` makes one "
                "for a first start. API keys are signed with it: a lost one makes them all invalid.",
                id="text2sql.E001",
            )
        )
    if not settings.ENCRYPTION_KEYS:
        found.append(
            Error(
                "ENCRYPTION_KEYS is not set, so the URLs of databases and alert channels cannot be stored or read.",
                hint="Set ENCRYPTION_KEYS in the environment or .env (one or more Fernet keys, the newest first); make "
                'one with: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"',
                id="text2sql.E002",
            )
        )
    for number, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            found.append(
                Error(
                    f"Key {number} in ENCRYPTION_KEYS is not a Fernet key.",
                    hint="A Fernet key is 32 bytes in url-safe base64, 44 characters.",
                    id="text2sql.E003",
                )
            )
    return found


def _has_secret_key() -> bool:
    try:
        return bool(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django raises it for an empty one
        return False


@register()
def production_check(app_configs: Any, **_: Any) -> list[CheckMessage]:
    if settings.DEBUG:
        return []
    found: list[CheckMessage] = []
    if not settings.DATABASE_URL:
        found.append(
            Error(
                "DATABASE_URL is not set in production (DEBUG=false).",
                hint="The embedded PostgreSQL is for one machine and for trying out. Give a server: "
                "DATABASE_URL=postgresql://user:password@host:5432/text2sql",
                id="text2sql.E010",
            )
        )
    if not settings.REDIS_URL:
        found.append(
            Error(
                "REDIS_URL is not set in production (DEBUG=false).",
                hint="Celery needs a broker that several machines can reach: REDIS_URL=redis://host:6379/0",
                id="text2sql.E011",
            )
        )
    if not settings.ANTHROPIC_API_KEY:
        found.append(
            Error(
                "ANTHROPIC_API_KEY is not set in production (DEBUG=false).",
                hint="Without a key only the demo's stand-in can answer, and it knows only the demo's questions.",
                id="text2sql.E012",
            )
        )
    return found


@register()
def dialects_check(app_configs: Any, **_: Any) -> list[CheckMessage]:
    unknown = sorted(set(settings.TARGET_DIALECTS) - DIALECTS)
    if not unknown:
        return []
    return [
        Error(
            f"TARGET_DIALECTS names a dialect that is not supported: {', '.join(unknown)}.",
            hint=f"Supported are {', '.join(sorted(DIALECTS))}.",
            id="text2sql.E020",
        )
    ]


@register()
def numbers_check(app_configs: Any, **_: Any) -> list[CheckMessage]:
    least = {
        "CLAUDE_MAX_TOKENS": 1024,
        "CLAUDE_RETRIES": 0,
        "QUESTION_DEADLINE_SECONDS": 1,
        "CACHE_TTL_DAYS": 1,
        "QUESTIONS_IN_FLIGHT": 0,
        "QUESTIONS_IN_FLIGHT_PER_TEAM": 0,
        "STREAM_THREADS": 1,
        "STREAM_HEARTBEAT_SECONDS": 1,
        "ASYNC_THREADS": 1,
    }
    return [
        Error(f"{name} is {getattr(settings, name)}.", hint=f"It must be at least {value}.", id="text2sql.E021")
        for name, value in least.items()
        if getattr(settings, name) < value
    ]


@register()
def retention_check(app_configs: Any, **_: Any) -> list[CheckMessage]:
    days = settings.RETENTION_DAYS
    if days == 0 or SHORTEST_RETENTION <= days <= LONGEST_RETENTION:
        return []
    hint = f"Give how many days questions are kept, {SHORTEST_RETENTION} to {LONGEST_RETENTION}, or 0: they stay."
    return [Error(f"RETENTION_DAYS is {days}.", hint=hint, id="text2sql.E022")]


@register("database")
def model_check(app_configs: Any, databases: Any = None, **_: Any) -> list[CheckMessage]:
    """Runs with `check --database default` and at the start, since prices and retirement dates are rows."""
    if not databases:
        return []
    now, model = timezone.now(), settings.CLAUDE_MODEL
    try:
        status = model_status(model, now)
    except ProgrammingError:
        return []  # `migrate` runs this too, on a database that has no tables yet
    except PriceUnknown:
        return [
            Error(
                f"The model {model} in CLAUDE_MODEL has no price, so every question would be refused.",
                hint="Name a model that is in the price list of the admin, or add its price there.",
                id="text2sql.E030",
            )
        ]
    hint = "Name a current one in CLAUDE_MODEL, for example claude-sonnet-5-5."
    if status.status == "retired":
        return [checks.Warning(f"The model {model} in CLAUDE_MODEL is retired.", hint=hint, id="text2sql.W031")]
    if status.status == "deprecated" or (status.retires_on and status.retires_on <= (now + timedelta(days=60)).date()):
        return [
            checks.Warning(
                f"The model {model} in CLAUDE_MODEL is deprecated and retires on {status.retires_on}.",
                hint=hint,
                id="text2sql.W032",
            )
        ]
    return []
