from decimal import Decimal

from django.db import models

from teams.access import TenantQuerySet
from teams.models import Team
from teams.models.budgets import UsdField
from text2sql.models.databases import Database


class QuestionDay(models.Model):
    """What a team asked of a database on one day of its clock, counted from the questions again and again.

    Days stay when their questions are pruned, and are counted no more. Questions of evaluations do not count.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="question_days")
    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="question_days")
    day = models.DateField()
    questions = models.PositiveIntegerField(default=0)
    answered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cached = models.PositiveIntegerField(default=0)
    cost_usd = UsdField("cost", default=Decimal(0))
    saved_usd = UsdField("saved", default=Decimal(0))
    # Of the answers from the cache, and of those of Claude.
    cached_ms = models.PositiveBigIntegerField(default=0)
    answered_ms = models.PositiveBigIntegerField(default=0)
    # How many questions by the logarithm of their latency (text2sql/services/question_days.py).
    latencies = models.JSONField(default=dict)
    # Its questions may be pruned: what was counted stands.
    is_closed = models.BooleanField(default=False, db_default=False)

    objects = TenantQuerySet["QuestionDay"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "database", "day"], name="one_row_per_day")]
        indexes = [models.Index(fields=["day"])]
        ordering = ["-day", "team", "database"]

    def __str__(self) -> str:
        return f"{self.team_id} on {self.database_id}, {self.day}"
