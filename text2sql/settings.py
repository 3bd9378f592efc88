"""All settings, read from the environment, `.env` and (for a first start without either) the secrets in DATA_DIR."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import django_stubs_ext

from observability import masking
from observability.logging import logging_config
from text2sql.env import Env
from text2sql.launch.postgres import embedded_url
from text2sql.settings_admin import UNFOLD  # noqa: F401  # Django reads it from here

django_stubs_ext.monkeypatch()  # lets ModelForm[Team] and the like be written at run time too

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(BASE_DIR / ".env")
DATA_DIR: Path = Path(env.str("DATA_DIR", default=str(BASE_DIR / ".data")))
env.read_env(DATA_DIR / "secrets.env")

# --- Django ---------------------------------------------------------------------------------------------------------
DEBUG: bool = env.bool("DEBUG", default=True)
SECRET_KEY: str = env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "text2sql.urls"
WSGI_APPLICATION = "text2sql.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "teams.apps.SiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "observability",
    "teams",
    "text2sql",
    "feedback",
]

MIDDLEWARE = [
    "observability.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "text2sql.content_security.ContentSecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "text2sql.api.errors.ProblemMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=not DEBUG)
BEHIND_PROXY: bool = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
# Only where a proxy says which requests came by HTTPS; without one each of them would be sent round for ever.
SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", default=SESSION_COOKIE_SECURE and BEHIND_PROXY)
# What asks the processes themselves, past the proxy.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
# Said by HTTPS only. 30 days, since it holds for everything else that this host name serves as well, on every port.
SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", default=30 * 86_400 if SESSION_COOKIE_SECURE else 0)
# Both would decide for other hosts of the domain, which are not ours: set them in the proxy.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# --- Stores ---------------------------------------------------------------------------------------------------------
DATABASE_URL: str = env.str("DATABASE_URL", default="")
_database = env.database(DATABASE_URL or embedded_url(DATA_DIR))
# Questions in flight wait without a connection, so a few connections serve many of them.
_database["OPTIONS"]["pool"] = {
    "min_size": 1,
    "max_size": env.int("DATABASE_POOL_SIZE", default=10),
    "timeout": 10,
}
DATABASES = {"default": _database}

REDIS_URL: str = env.str("REDIS_URL", default="")

# Keys for what is encrypted at rest, the newest first; `manage.py rotate_encryption` re-encrypts with the newest.
ENCRYPTION_KEYS: list[str] = env.list("ENCRYPTION_KEYS", default=[])

# --- Claude ---------------------------------------------------------------------------------------------------------
ANTHROPIC_API_KEY: str = env.str("ANTHROPIC_API_KEY", default="")
ANTHROPIC_BASE_URL: str = env.str("ANTHROPIC_BASE_URL", default="https://api.anthropic.com")
# Set by `manage.py start` where no key is given: the address of the stand-in that plays Claude in the demo.
CLAUDE_STAND_IN_URL: str = env.str("CLAUDE_STAND_IN_URL", default="")
CLAUDE_MODEL: str = env.str("CLAUDE_MODEL", default="claude-sonnet-5-5")
# Answers where a budget is nearly spent and says that the cheaper model shall answer.
CLAUDE_DEGRADED_MODEL: str = env.str("CLAUDE_DEGRADED_MODEL", default="claude-haiku-5-5")
# Empty means the model's own default.
CLAUDE_EFFORT: str = env.str("CLAUDE_EFFORT", default="")
CLAUDE_MAX_TOKENS: int = env.int("CLAUDE_MAX_TOKENS", default=4096)
# Further calls after a failure that may pass (rate limit, overload, network), all inside one deadline.
CLAUDE_RETRIES: int = env.int("CLAUDE_RETRIES", default=2)
QUESTION_DEADLINE_SECONDS: int = env.int("QUESTION_DEADLINE_SECONDS", default=90)
# Questions that each web process has under way at once, of everybody and of one team; answers from the cache do not
# count. The rest of its threads (64) serve those, lists and pages. 0: no limit.
QUESTIONS_IN_FLIGHT: int = env.int("QUESTIONS_IN_FLIGHT", default=48)
QUESTIONS_IN_FLIGHT_PER_TEAM: int = env.int("QUESTIONS_IN_FLIGHT_PER_TEAM", default=32)
# Questions that each web process answers as streams at once, each on a thread of its own.
STREAM_THREADS: int = env.int("STREAM_THREADS", default=32)
# A stream that has nothing to tell sends a comment this often, so that nothing between takes it for dead.
STREAM_HEARTBEAT_SECONDS: int = env.int("STREAM_HEARTBEAT_SECONDS", default=10)
# Days after which questions are deleted with all that hangs on them; 0 keeps them for ever.
RETENTION_DAYS: int = env.int("RETENTION_DAYS", default=0)
# Queued questions (Prefer: respond-async) that each worker process answers at once.
ASYNC_THREADS: int = env.int("ASYNC_THREADS", default=4)

# --- Budgets --------------------------------------------------------------------------------------------------------
# The clock of budgets for the whole organisation; a team's budgets go by its own.
ORGANISATION_TIME_ZONE: str = env.str("ORGANISATION_TIME_ZONE", default="UTC")

# --- Retrieval ------------------------------------------------------------------------------------------------------
# A sentence-transformers model, by name or folder, that adds likeness in meaning to the ranking of tables where a
# schema is too large to be shown whole; empty: words and approved examples alone decide.
RETRIEVAL_ENCODER: str = env.str("RETRIEVAL_ENCODER", default="")

# --- Targets --------------------------------------------------------------------------------------------------------
TARGET_DIALECTS: list[str] = env.list("TARGET_DIALECTS", default=["postgres", "sqlite", "mysql", "duckdb"])
# SQLite and DuckDB files may only be opened below these folders; empty refuses all of them. SQLITE_FOLDERS is the old
# name.
FILE_FOLDERS: list[str] = env.list("FILE_FOLDERS", default=env.list("SQLITE_FOLDERS", default=[str(DATA_DIR / "demo")]))
# Servers inside the own network on which team leads may add databases: names (`.example.com` for all below it),
# addresses and networks. Those in the internet they may add anyway, files never.
LEAD_DATABASE_HOSTS: list[str] = env.list("LEAD_DATABASE_HOSTS", default=[])

# --- Answer cache ---------------------------------------------------------------------------------------------------
ENABLE_CACHE: bool = env.bool("ENABLE_CACHE", default=True)
# Empty keeps the cache in PostgreSQL.
CACHE_TABLE_NAME: str = env.str("CACHE_TABLE_NAME", default="")
CACHE_TTL_DAYS: int = env.int("CACHE_TTL_DAYS", default=30)
AWS_REGION: str = env.str("AWS_REGION", default="eu-central-1")
DYNAMODB_ENDPOINT_URL: str = env.str("DYNAMODB_ENDPOINT_URL", default="")
# What DynamoDB charges for a million read units, in US dollars; the default is on demand in us-east-1.
DYNAMODB_USD_PER_MILLION_READS: Decimal = env.price("DYNAMODB_USD_PER_MILLION_READS", default=Decimal("0.125"))

# --- Langfuse -------------------------------------------------------------------------------------------------------
# Both keys switch it on; this switches it off without taking them away.
ENABLE_LANGFUSE: bool = env.bool("ENABLE_LANGFUSE", default=True)
LANGFUSE_PUBLIC_KEY: str = env.str("LANGFUSE_PUBLIC_KEY", default="")
LANGFUSE_SECRET_KEY: str = env.str("LANGFUSE_SECRET_KEY", default="")
# LANGFUSE_HOST is the older name of the same setting.
LANGFUSE_BASE_URL: str = (
    env.str("LANGFUSE_BASE_URL", default="") or env.str("LANGFUSE_HOST", default="") or "https://cloud.langfuse.com"
)
LANGFUSE_ENVIRONMENT: str = env.str("LANGFUSE_ENVIRONMENT", default="") or ("demo" if DEBUG else "production")
LANGFUSE_RELEASE: str = env.str("LANGFUSE_RELEASE", default="")
# compact: a trace is its root and one generation for each call of Claude; full: every step as well.
LANGFUSE_DETAIL: str = env.str("LANGFUSE_DETAIL", default="") or "compact"
# Whether the whole prompt goes into a generation's input, or the question and the prompt's version only.
LANGFUSE_FULL_PROMPT: bool = env.bool("LANGFUSE_FULL_PROMPT", default=False)
# Calls a minute to Langfuse's API beside the traces; empty: 20 on Langfuse Cloud, whose smallest plan allows 30, and
# no limit elsewhere. 0 means no limit.
LANGFUSE_API_PER_MINUTE: int | None = (
    env.int("LANGFUSE_API_PER_MINUTE") if env.str("LANGFUSE_API_PER_MINUTE", default="") else None
)
# Questions a day about costs; empty: 100 on Langfuse Cloud, which is what its smallest plan allows, and no limit
# elsewhere. 0 means no limit.
LANGFUSE_METRICS_PER_DAY: int | None = (
    env.int("LANGFUSE_METRICS_PER_DAY") if env.str("LANGFUSE_METRICS_PER_DAY", default="") else None
)
# Days after which a trace that could not be delivered is given up, and a delivered one's content is removed here.
TRACE_MAX_AGE_DAYS: int = env.int("TRACE_MAX_AGE_DAYS", default=30)
TRACE_KEEP_DAYS: int = env.int("TRACE_KEEP_DAYS", default=7)
# The name of a text prompt in Langfuse whose version labelled `production` replaces our rules for Claude.
LANGFUSE_PROMPT_NAME: str = env.str("LANGFUSE_PROMPT_NAME", default="")
# What is masked before it is written down for Langfuse; the one word `none` masks nothing.
MASKING: list[str] = [kind.strip() for kind in env.list("MASKING", default=[])] or list(masking.KINDS)
# Regular expressions of your own, with spaces between them (in one, write \s or \x20 for a space).
MASKING_PATTERNS: list[str] = env.str("MASKING_PATTERNS", default="").split()

# --- E-mail ---------------------------------------------------------------------------------------------------------
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="text2sql@localhost")
# Whether alerts may be posted to addresses inside the own network, and without TLS.
ALERT_PRIVATE_ADDRESSES_ALLOWED: bool = env.bool("ALERT_PRIVATE_ADDRESSES_ALLOWED", default=False)

# --- API ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["text2sql.api.auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["text2sql.api.auth.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["text2sql.api.parsers.BoundedJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "text2sql.api.errors.problem_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Text to SQL",
    "DESCRIPTION": "Questions in, SQL (and rows) out: inside your team's databases and budget.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Else the page asks validator.swagger.io for a badge, and tells it where we are.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- Work in the background -----------------------------------------------------------------------------------------
# Without Redis the messages travel through a folder. The broker may lose anything: rows are the truth (see tasks.py).
CELERY_BROKER_URL = REDIS_URL or "filesystem://localhost"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if not REDIS_URL:
    _broker = DATA_DIR / "broker"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "messages"),
        "data_folder_out": str(_broker / "messages"),
        "control_folder": str(_broker / "control"),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"


def _every(seconds: float, task: str) -> dict[str, Any]:
    # A run that finds no worker expires, so that an outage leaves no queue of runs behind.
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 5)}}


CELERY_BEAT_SCHEDULE = {
    "export traces": _every(2, "observability.tasks.export_traces"),
    "export scores": _every(2, "observability.tasks.export_scores"),
    "reconcile deliveries": _every(60, "observability.tasks.reconcile_deliveries"),
    "prune deliveries": _every(3600, "observability.tasks.prune_deliveries"),
    "send alerts": _every(5, "observability.tasks.send_alerts"),
    "heartbeat": _every(60, "observability.tasks.heartbeat"),
    "fetch prompts": _every(60, "observability.tasks.fetch_prompts"),
    "sync schemas": _every(3, "text2sql.tasks.sync_schemas"),
    "draft descriptions": _every(5, "text2sql.tasks.draft_descriptions"),
    "answer queued": _every(1, "text2sql.tasks.answer_queued"),
    "prune idempotency keys": _every(3600, "text2sql.tasks.prune_idempotency_keys"),
    "sweep questions": _every(5, "text2sql.tasks.sweep_questions"),
    "forget answers": _every(10, "text2sql.tasks.forget_answers"),
    "count prefixes": _every(3, "text2sql.tasks.count_prefixes"),
    "prune prefixes": _every(3600, "text2sql.tasks.prune_prefixes"),
    "build indexes": _every(5, "text2sql.tasks.build_indexes"),
    "prune indexes": _every(3600, "text2sql.tasks.prune_indexes"),
    "run evaluation plans": _every(60, "text2sql.tasks.run_evaluation_plans"),
    "export evaluations": _every(5, "text2sql.tasks.export_evaluations"),
    "purge cache": _every(3600, "text2sql.tasks.purge_cache"),
    "count days": _every(60, "text2sql.tasks.count_days"),
    "prune questions": _every(3600, "text2sql.tasks.prune_questions"),
    "watch errors": _every(300, "text2sql.tasks.watch_errors"),
    "run schedules": _every(15, "observability.tasks.run_schedules"),
}
# What runs when its row among the schedules says so, which admins may change: the function, and the minutes at first.
SCHEDULES: dict[str, dict[str, Any]] = {
    "check budgets": {"function": "teams.services.budget_checks.budgets_check", "every_minutes": 30},
}

# --- Logs, metrics, health ------------------------------------------------------------------------------------------
# Whether questions, SQL and the texts of exceptions (which may quote rows) may be written into the logs.
LOG_QUESTIONS: bool = env.bool("LOG_QUESTIONS", default=False)
# A log group of CloudWatch to write to directly; empty where something collects what the processes print.
CLOUDWATCH_LOG_GROUP: str = env.str("CLOUDWATCH_LOG_GROUP", default="")
LOGGING = logging_config(
    debug=DEBUG, questions=LOG_QUESTIONS, cloudwatch_group=CLOUDWATCH_LOG_GROUP, cloudwatch_region=AWS_REGION
)
LOGGING_CONFIG = "logging.config.dictConfig"
# /metrics answers only to this bearer token, and not at all without one.
METRICS_TOKEN: str = env.str("METRICS_TOKEN", default="")
# What each app has to tell, by name: observability imports none of them.
METRICS_SOURCES = ["observability.services.metrics.metrics_read", "text2sql.metrics.metrics_read"]
READINESS_CHECKS = {"cache": "text2sql.cache.probe.cache_ready"}
READINESS_NOTES = {"claude": "text2sql.services.doctor.claude_state"}
