import uuid
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from teams.access import TenantQuerySet
from teams.models import ApiKey, Team
from teams.models.budgets import UsdField
from text2sql.models.databases import Database


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

    objects = TenantQuerySet["Generation"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["team", "-created_at", "-id"]),
            models.Index(fields=["session_id"], condition=~Q(session_id=""), name="generation_session"),
            models.Index(fields=["lost_at"], condition=Q(status="running"), name="generation_running"),
            models.Index(fields=["created_at"], condition=Q(status="queued"), name="generation_queued"),
        ]
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.question[:80]

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
    """One run of a generation's SQL. The rows themselves are never kept."""

    class Status(models.TextChoices):
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    team_path = "generation__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="executions")
    actor = models.CharField(max_length=200)
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
