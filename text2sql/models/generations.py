import re
import uuid
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.text import Truncator

from teams.access import TenantQuerySet
from teams.models import ApiKey, Team
from teams.models.budgets import UsdField
from text2sql.models.databases import Database

# PostgreSQL takes "orders.amount" for the name of a host, which is one word, and "<gross>" for a tag, which is none.
_JOINTS = "./:@-+<>&"


def _in_words(field: str) -> Func:
    return Func(
        F(field), Value(_JOINTS), Value(" " * len(_JOINTS)), function="translate", output_field=models.TextField()
    )


def words_in(path: str = "") -> SearchVector:
    """The words of a question and its SQL, by the path to the generation: what the index holds."""
    return SearchVector(_in_words(f"{path}question"), _in_words(f"{path}sql"), config="simple")


def words_query(text: str) -> SearchQuery | None:
    """All the words of a text, of which the last may be the beginning of one; None where it has no word."""
    quoted = [f"'{word}'" for word in re.findall(r"[^\W_]+", text)]
    return SearchQuery(f"{' & '.join(quoted)}:*", search_type="raw", config="simple") if quoted else None


# Only questions of evaluations go past the answer cache, and have no key.
OF_PEOPLE = "g.cache_key <> '' AND g.status NOT IN ('queued', 'running')"
"""`GenerationQuerySet.of_people` in SQL, about a generation `g`."""


class GenerationQuerySet(TenantQuerySet["Generation"]):
    def with_words(self, text: str) -> Self:
        """Those whose question and SQL have the words of a text; of an empty one, all."""
        if not text.strip():
            return self
        query = words_query(text)
        return self.alias(words=words_in()).filter(words=query) if query else self.none()

    def of_people(self) -> Self:
        """Finished questions that people asked, not an evaluation: those that figures are about."""
        return self.exclude(cache_key="").exclude(status__in=[Generation.Status.QUEUED, Generation.Status.RUNNING])


class Generation(models.Model):
    """One request for SQL and its outcome."""

    class Status(models.TextChoices):
        QUEUED = "queued", "waiting"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        CLARIFY = "clarify", "asks back"
        CANNOT_ANSWER = "cannot_answer", "cannot answer"
        FAILED = "failed", "failed"

    class Rung(models.TextChoices):
        FIRST = "first", "the usual model"
        REPAIR = "repair", "the model for repairs"
        DEGRADED = "degraded", "the cheaper model, for a budget's sake"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="generations")
    database = models.ForeignKey(Database, on_delete=models.PROTECT, related_name="generations")
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.SET_NULL, related_name="generations", verbose_name="API key"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    question = models.TextField()
    session_id = models.CharField(max_length=200, blank=True)
    # The question before this one in a conversation.
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="follow_ups")
    end_user = models.CharField(max_length=200, blank=True)

    status = models.CharField(max_length=15, choices=Status.choices, default=Status.RUNNING)
    sql = models.TextField(blank=True)
    explanation = models.TextField(blank=True)
    tables = ArrayField(models.CharField(max_length=200), default=list)
    # What a person may answer where Claude asks back.
    choices = ArrayField(models.CharField(max_length=200), default=list)
    # A problem's stable type and its sentence (text2sql/api/errors.py), where the status is `failed`.
    problem = models.CharField(max_length=60, blank=True)
    problem_detail = models.TextField(blank=True)

    dialect = models.CharField(max_length=20)
    schema_version = models.CharField(max_length=16)
    prompt_version = models.CharField(max_length=60)
    model = models.CharField(max_length=100)
    answered_by = models.CharField(max_length=20, blank=True)
    cached = models.BooleanField(default=False)
    rung = models.CharField(
        max_length=10, choices=Rung.choices, default=Rung.FIRST, help_text="Which of the team's models answered."
    )
    cache_key = models.CharField(max_length=64, blank=True)
    # Of a cached answer: the generation that paid for it (perhaps another team's, perhaps gone), and what it paid.
    origin_id = models.UUIDField(null=True)
    saved_usd = UsdField("saved", default=Decimal(0), db_default=0)

    attempt_count = models.PositiveSmallIntegerField("attempts", default=0)
    input_tokens = models.PositiveIntegerField(default=0)
    cache_write_5m_tokens = models.PositiveIntegerField(default=0)
    cache_write_1h_tokens = models.PositiveIntegerField(default=0)
    cache_read_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cost_usd = UsdField("cost", default=Decimal(0))

    # How the schema came into the prompt (text2sql/pipeline/selection.py), and why so.
    strategy = models.CharField(max_length=20, default="whole_schema")
    strategy_reason = models.CharField(max_length=200, blank=True)
    glossary_number = models.PositiveIntegerField(default=0)
    # See text2sql/services/steps.py.
    steps = models.JSONField(default=list)
    trace_id = models.CharField(max_length=32)
    created_at = models.DateTimeField()
    # When the sweeper may call a running question lost: later than any answer can still come.
    lost_at = models.DateTimeField()
    # How often a worker began with it, where it was queued (text2sql/services/jobs.py).
    run_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    finished_at = models.DateTimeField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["team", "-created_at", "-id"]),
            # For the lists of the admin: of all teams, of one, and of what is rare among many rows.
            models.Index(fields=["-created_at", "-id"], name="generation_newest"),
            models.Index(fields=["-cost_usd", "-id"], name="generation_dearest"),
            models.Index(fields=["team", "-cost_usd", "-id"], name="generation_team_dearest"),
            models.Index(fields=["-latency_ms", "-id"], name="generation_slowest"),
            models.Index(fields=["team", "-latency_ms", "-id"], name="generation_team_slowest"),
            models.Index(
                fields=["status", "-created_at", "-id"], condition=~Q(status="succeeded"), name="generation_unanswered"
            ),
            models.Index(fields=["rung", "-created_at", "-id"], condition=~Q(rung="first"), name="generation_rung"),
            models.Index(fields=["model", "-created_at", "-id"], name="generation_model"),
            models.Index(
                fields=["end_user", "-created_at", "-id"], condition=~Q(end_user=""), name="generation_end_user"
            ),
            models.Index(
                fields=["session_id", "team", "-created_at", "-id"],
                condition=~Q(session_id=""),
                name="generation_session",
            ),
            GinIndex(words_in(), name="generation_words"),
            models.Index(fields=["lost_at"], condition=Q(status="running"), name="generation_running"),
            models.Index(fields=["created_at"], condition=Q(status="queued"), name="generation_queued"),
        ]
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return Truncator(self.question).chars(80)

    @property
    def is_unfinished(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)

    @property
    def degraded(self) -> bool:
        """Whether a budget had the cheaper model answer."""
        return self.rung == self.Rung.DEGRADED


class Attempt(models.Model):
    """One Claude call inside a generation."""

    class Status(models.TextChoices):
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    class Kind(models.TextChoices):
        FIRST = "first", "first"
        RETRY = "retry", "again, after a failure of the call"
        REPAIR = "repair", "repair of the SQL before"

    team_path = "generation__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    model = models.CharField(max_length=100)
    effort = models.CharField(max_length=10, blank=True)
    max_tokens = models.PositiveIntegerField()
    is_shrunk = models.BooleanField(
        "shrunk", default=False, help_text="Fewer output tokens than usual: money was short."
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.FIRST)
    sql = models.TextField(blank=True)
    # Why the SQL was sent back: code, message and the closest names (text2sql/pipeline/repair.py).
    finding = models.JSONField(null=True)
    stop_reason = models.CharField(max_length=50, blank=True)
    problem = models.CharField(max_length=60, blank=True)
    problem_detail = models.TextField(blank=True)
    request_id = models.CharField(max_length=100, blank=True)
    # Where Claude says that it computed: a call in the US costs more.
    inference_geo = models.CharField(max_length=50, blank=True, default="", db_default="")
    # What Claude wrote, whether or not it was usable.
    output = models.TextField(blank=True)
    stack_trace = models.TextField(blank=True)
    # Everything that Claude was sent, only where LANGFUSE_FULL_PROMPT asks for it.
    prompt = models.JSONField(null=True)
    started_at = models.DateTimeField()
    first_token_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["Attempt"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "number"], name="one_attempt_per_number")]
        indexes = [models.Index(fields=["started_at"], condition=Q(is_shrunk=True), name="attempt_shrunk")]
        ordering = ["generation", "number"]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.generation_id}"


class Execution(models.Model):
    """One run of a generation's SQL, or of what a person made of it. The rows themselves are never kept."""

    class Status(models.TextChoices):
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    team_path = "generation__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="executions")
    actor = models.CharField(max_length=200)
    sql = models.TextField(
        "SQL", blank=True, default="", db_default="", help_text="As a person had edited it; empty: as it was answered."
    )
    status = models.CharField(max_length=10, choices=Status.choices)
    row_count = models.PositiveIntegerField(null=True)
    truncated = models.BooleanField(default=False)
    problem = models.CharField(max_length=60, blank=True)
    problem_detail = models.TextField(blank=True)
    elapsed_ms = models.PositiveIntegerField(null=True)
    executed_at = models.DateTimeField()

    objects = TenantQuerySet["Execution"].as_manager()

    class Meta:
        ordering = ["-executed_at"]

    def __str__(self) -> str:
        return f"{self.status} {self.executed_at:%Y-%m-%d %H:%M} UTC"
