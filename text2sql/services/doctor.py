"""What the doctor looks at on this floor: the answer cache, Claude, the teams' databases."""

from django.conf import settings
from django.utils import timezone

from observability.encryption import UnreadableSecret
from observability.services.doctor import Look, Verdict, fail, ok, warn
from observability.services.prices import PriceUnknown, model_status
from teams.models import Team
from text2sql.cache.probe import cache_probe
from text2sql.cache.table import TableError
from text2sql.models import Database
from text2sql.pipeline.claude import ClaudeFailure
from text2sql.pipeline.probe import ClaudeProblem, model_probe
from text2sql.services.clients import claude_client
from text2sql.services.databases import PROBE_SECONDS, database_probe
from text2sql.targets.errors import TargetError

CLAUDE_SECONDS = 10.0


def claude_state() -> str:
    """Who would answer, by the settings alone: `ok`, `stand-in` or `missing`."""
    if settings.ANTHROPIC_API_KEY:
        return "ok"
    return "stand-in" if settings.CLAUDE_STAND_IN_URL else "missing"


def looks() -> list[Look]:
    """One for each model in use and each database besides the fixed ones. Raises DatabaseError."""
    models = {settings.CLAUDE_MODEL, *Team.objects.exclude(model="").values_list("model", flat=True)}
    databases = list(Database.objects.order_by("name"))
    return [
        *fixed_looks(),
        *(_model_look(model) for model in sorted(models)),
        *(_database_look(database) for database in databases),
        *([] if databases else [Look("databases", _no_database)]),
    ]


def fixed_looks() -> list[Look]:
    """Those that need not be looked up in our own database."""
    return [Look("cache", cache_look, needs_database=not settings.CACHE_TABLE_NAME), Look("claude", claude_look)]


def cache_look() -> Verdict:
    if not settings.ENABLE_CACHE:
        return warn("off (ENABLE_CACHE)", "Every question is paid for, also when it was asked before.")
    try:
        return ok(cache_probe())
    except TableError as error:
        return fail(str(error), "Questions are answered all the same, at full price. `manage.py create_cache_table`.")


def claude_look() -> Verdict:
    if settings.ANTHROPIC_API_KEY:
        return ok(f"ANTHROPIC_API_KEY is set; {settings.ANTHROPIC_BASE_URL}")
    hint = "Set ANTHROPIC_API_KEY for real answers: a stand-in knows only the demo's questions."
    if settings.CLAUDE_STAND_IN_URL:
        return warn("a stand-in plays Claude", hint)
    told = "no ANTHROPIC_API_KEY"
    return warn(f"{told}; `./run.sh` plays Claude by a stand-in", hint) if settings.DEBUG else fail(told, hint)


def _model_look(model: str) -> Look:
    return Look(f"model {model}", lambda: model_look(model), CLAUDE_SECONDS + 5)


def model_look(model: str) -> Verdict:
    """Its price, its days left, and whether Claude takes it with our key."""
    try:
        status = model_status(model, timezone.now())
    except PriceUnknown:
        return fail("has no price: every question would be refused", "Add its price in the admin, or name another.")
    try:
        tokens = model_probe(claude_client(), model=model, seconds=CLAUDE_SECONDS)
    except ClaudeFailure:
        return warn("not tried: nobody answers for Claude here", "See the line of Claude.")
    except ClaudeProblem as problem:
        return (warn if problem.passing else fail)(problem.told, problem.hint)
    if status.status != "active":
        until = f" and retires on {status.retires_on}" if status.retires_on else ""
        return warn(f"answers, is {status.status}{until}", "Name a current model in CLAUDE_MODEL or in the team.")
    return ok(f"answers; a short question is {tokens} tokens")


def _database_look(database: Database) -> Look:
    return Look(f"database {database.name}", lambda: database_look(database), PROBE_SECONDS + 5)


def database_look(database: Database) -> Verdict:
    try:
        probe = database_probe(database)
    except (TargetError, UnreadableSecret) as error:
        return fail(str(error), "Correct its URL in the admin, under Databases; its test button says more.")
    told = f"{probe.dialect} {probe.server_version}, {probe.database}" + (f" as {probe.user}" if probe.user else "")
    if probe.warnings:
        return warn(told, " ".join(probe.warnings))
    if database.sync_state == Database.SyncState.FAILED:
        return warn(f"{told}; its tables could not be read: {database.sync_error}", "Read them again in the admin.")
    return ok(told)


def _no_database() -> Verdict:
    return warn("none yet", "Add one in the admin or with `manage.py connect`.")
