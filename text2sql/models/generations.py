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
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        CANNOT_ANSWER = "cannot_answer", "cannot answer"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="generations")
    database = models.ForeignKey(Database, on_delete=models.PROTECT, related_name="generations")
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.SET_NULL, related_name="generations", verbose_name="API key"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    question = models.TextField()
    session_id = models.CharField(max_length=200, blank=True)
    end_user = models.CharField(max_length=200, blank=True)

    status = models.CharField(max_length=15, choices=Status.choices, default=Status.RUNNING)
    sql = models.TextField(blank=True)
    explanation = models.TextField(blank=True)
    tables = ArrayField(models.CharField(max_length=200), default=list)
    # A problem's stable type and its sentence (text2sql/api/errors.py), where the status is `failed`.
    problem = models.CharField(max_length=60, blank=True)
    problem_detail = models.TextField(blank=True)

    dialect = models.CharField(max_length=20)
    schema_version = models.CharField(max_length=16)
    prompt_version = models.CharField(max_length=60)
    model = models.CharField(max_length=100)
    answered_by = models.CharField(max_length=20, blank=True)
    cached = models.BooleanField(default=False)
    cache_key = models.CharField(max_length=64, blank=True)

    attempt_count = models.PositiveSmallIntegerField("attempts", default=0)
    input_tokens = models.PositiveIntegerField(default=0)
    cache_write_5m_tokens = models.PositiveIntegerField(default=0)
    cache_write_1h_tokens = models.PositiveIntegerField(default=0)
    cache_read_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cost_usd = UsdField("cost", default=Decimal(0))

    # How the schema came into the prompt: whole, as long as retrieval is not built.
    strategy = models.CharField(max_length=20, default="whole_schema")
    # See text2sql/services/steps.py.
    steps = models.JSONField(default=list)
    trace_id = models.CharField(max_length=32)
    created_at = models.DateTimeField()
    # When the sweeper may call a running question lost: later than any answer can still come.
    lost_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)

    objects = TenantQuerySet["Generation"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["team", "-created_at", "-id"]),
            models.Index(fields=["session_id"], condition=~Q(session_id=""), name="generation_session"),
            models.Index(fields=["lost_at"], condition=Q(status="running"), name="generation_running"),
        ]
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.question[:80]


class Attempt(models.Model):
    """One Claude call inside a generation."""

    class Status(models.TextChoices):
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    team_path = "generation__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    model = models.CharField(max_length=100)
    max_tokens = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    stop_reason = models.CharField(max_length=50, blank=True)
    problem = models.CharField(max_length=60, blank=True)
    problem_detail = models.TextField(blank=True)
    request_id = models.CharField(max_length=100, blank=True)
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
