"""What clients send and get, input and output apart."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from teams.models import Budget, BudgetWindow
from text2sql.models import DatabaseAccess, Generation
from text2sql.pipeline.prompt import QUESTION_LENGTH
from text2sql.problems import Problem
from text2sql.services.executions import ExecutionOutcome
from text2sql.services.questions import Answered
from text2sql.services.usage import money_text


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457; further members depend on the type."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()


class QuestionSerializer(serializers.Serializer[Any]):
    database = serializers.CharField(max_length=63, help_text="Name of one of your team's databases.")
    question = serializers.CharField(max_length=QUESTION_LENGTH)
    session_id = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True, help_text="Groups the questions of one sitting."
    )
    end_user = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True, help_text="Who asked, in your own words."
    )
    parent_id = serializers.UUIDField(
        required=False, default=None, allow_null=True,
        help_text="The generation that this question follows; without it, the last one of its session.",
    )  # fmt: skip
    execute = serializers.BooleanField(required=False, default=False, help_text="Run the SQL too and return its rows.")


class TokensSerializer(serializers.Serializer[Any]):
    input = serializers.IntegerField(source="input_tokens")
    cache_write_5m = serializers.IntegerField(source="cache_write_5m_tokens")
    cache_write_1h = serializers.IntegerField(source="cache_write_1h_tokens")
    cache_read = serializers.IntegerField(source="cache_read_tokens")
    output = serializers.IntegerField(source="output_tokens")


class ResultColumnSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()


class ExecutionSerializer(serializers.Serializer[Any]):
    """How the run went: its measures, or the problem that kept the rows back."""

    status = serializers.CharField(source="execution.status")
    row_count = serializers.IntegerField(source="execution.row_count", allow_null=True)
    truncated = serializers.BooleanField(
        source="execution.truncated", help_text="True where the database holds more rows than were returned."
    )
    elapsed_ms = serializers.IntegerField(source="execution.elapsed_ms", allow_null=True)
    problem = serializers.SerializerMethodField()

    @extend_schema_field(ProblemSerializer(allow_null=True))
    def get_problem(self, outcome: ExecutionOutcome) -> dict[str, Any] | None:
        return outcome.problem.as_document() if outcome.problem else None


class ResultSerializer(ExecutionSerializer):
    """A run and its rows, each a list in the order of the columns."""

    columns = ResultColumnSerializer(source="result.columns", many=True)
    rows = serializers.ListField(child=serializers.ListField(), source="result.rows")


class GenerationSerializer(serializers.ModelSerializer[Generation]):
    database = serializers.CharField(source="database.name")
    usage = TokensSerializer(source="*")
    cost_usd = serializers.SerializerMethodField(help_text="US dollars, up to 12 decimals.")
    parent_id = serializers.UUIDField(allow_null=True, help_text="The generation that this one follows.")
    attempts = serializers.IntegerField(source="attempt_count")
    problem = serializers.SerializerMethodField(help_text="The problem's type, where the status is `failed`.")
    answered_by = serializers.CharField(help_text="`claude`, or `stand-in` where no API key is set.")

    class Meta:
        model = Generation
        fields = [
            "id", "status", "database", "question", "session_id", "parent_id", "end_user", "sql", "explanation",
            "choices", "dialect", "tables", "strategy", "strategy_reason", "rung",
            "cached", "model", "answered_by", "usage", "cost_usd", "latency_ms", "attempts", "trace_id", "problem",
            "created_at",
        ]  # fmt: skip

    def get_cost_usd(self, generation: Generation) -> str:
        return money_text(generation.cost_usd)

    @extend_schema_field(ProblemSerializer(allow_null=True))
    def get_problem(self, generation: Generation) -> dict[str, Any] | None:
        if not generation.problem:
            return None
        return Problem(generation.problem, generation.problem_detail).as_document()


def answer_document(answered: Answered) -> dict[str, Any]:
    """The answer as clients are given it, in whichever way."""
    generation: Any = answered.generation
    generation.execution = answered.outcome
    return dict(AnswerSerializer(generation).data)


class AnswerSerializer(GenerationSerializer):
    """A generation, and where `execute` asked for them its rows, each a list in the order of the columns."""

    columns = ResultColumnSerializer(source="execution.result.columns", many=True, default=None, allow_null=True)
    rows = serializers.ListField(
        child=serializers.ListField(), source="execution.result.rows", default=None, allow_null=True
    )
    execution = ExecutionSerializer(allow_null=True)

    class Meta(GenerationSerializer.Meta):
        fields = [*GenerationSerializer.Meta.fields, "columns", "rows", "execution"]


class DatabaseSerializer(serializers.Serializer[DatabaseAccess]):
    """A database as one team sees it."""

    name = serializers.CharField(source="database.name")
    description = serializers.CharField(source="database.description")
    dialect = serializers.CharField(source="database.dialect")
    schema_version = serializers.CharField(source="database.catalog.schema_version", default=None, allow_null=True)
    synced_at = serializers.DateTimeField(source="database.synced_at", allow_null=True)
    starter_questions = serializers.ListField(child=serializers.CharField())


class ColumnSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    nullable = serializers.BooleanField()
    comment = serializers.CharField()


class ForeignKeySerializer(serializers.Serializer[Any]):
    columns = serializers.ListField(child=serializers.CharField())
    referred_table = serializers.CharField()
    referred_columns = serializers.ListField(child=serializers.CharField())


class TableSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(source="qualified_name")
    comment = serializers.CharField()
    is_view = serializers.BooleanField()
    row_estimate = serializers.IntegerField(allow_null=True)
    primary_key = serializers.ListField(child=serializers.CharField())
    columns = ColumnSerializer(many=True)
    foreign_keys = ForeignKeySerializer(many=True)


class SchemaSerializer(serializers.Serializer[Any]):
    database = serializers.CharField()
    dialect = serializers.CharField()
    schema_version = serializers.CharField()
    tables = TableSerializer(many=True)


class SuggestionsForSerializer(serializers.Serializer[Any]):
    question = serializers.CharField(max_length=QUESTION_LENGTH, help_text="The question that is about to be asked.")


class SuggestionSerializer(serializers.Serializer[Any]):
    """A question that was answered before, by its generation, or that a lead has verified, as an example."""

    question = serializers.CharField()
    generation_id = serializers.UUIDField(allow_null=True)
    example_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField(help_text="When it was asked last, or verified.")


class UsagePeriodSerializer(serializers.Serializer[Any]):
    """`from` and `to` are days by the team's clock, both included; the default is the present month up to today."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": serializers.DateField(required=False), "to": serializers.DateField(required=False)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name, day in attrs.items():
            if not 2000 <= day.year < 2200:  # the days around the ends of the calendar cannot be computed
                raise serializers.ValidationError({name: "Give a day between 2000 and 2199."})
        if attrs.get("from") and attrs.get("to") and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"from": "This day lies behind `to`."})
        return attrs


class UsageSumSerializer(serializers.Serializer[Any]):
    generations = serializers.IntegerField()
    cached = serializers.IntegerField()
    failed = serializers.IntegerField()
    cost_usd = serializers.CharField()
    tokens = TokensSerializer(source="*")


class UsageDaySerializer(UsageSumSerializer):
    day = serializers.DateField()


class UsageDatabaseSerializer(UsageSumSerializer):
    database = serializers.CharField()


class UsageSerializer(serializers.Serializer[Any]):
    team = serializers.CharField()
    time_zone = serializers.CharField()
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    total = UsageSumSerializer()
    by_day = UsageDaySerializer(many=True)
    by_database = UsageDatabaseSerializer(many=True)


class BudgetSerializer(serializers.ModelSerializer[BudgetWindow]):
    """A budget that applies to your key, in its present window; amounts are US dollars as text."""

    scope = serializers.ChoiceField(choices=["organisation", "team", "key"], source="budget.scope")
    period = serializers.ChoiceField(choices=Budget.Period.choices, source="budget.period")
    at_limit = serializers.ChoiceField(choices=Budget.AtLimit.choices, source="budget.at_limit")
    limit_usd = serializers.SerializerMethodField(help_text="With what was added to this window.")
    spent_usd = serializers.SerializerMethodField()
    external_usd = serializers.SerializerMethodField(help_text="Spent by the same users outside this platform.")
    reserved_usd = serializers.SerializerMethodField(help_text="Held by running questions.")
    remaining_usd = serializers.SerializerMethodField()
    request_limit = serializers.IntegerField(source="budget.request_limit", allow_null=True)
    resets_at = serializers.DateTimeField(source="ends_at")

    class Meta:
        model = BudgetWindow
        fields = [
            "scope", "period", "at_limit", "limit_usd", "spent_usd", "external_usd", "reserved_usd", "remaining_usd",
            "requests", "request_limit", "starts_at", "resets_at",
        ]  # fmt: skip

    def get_limit_usd(self, window: BudgetWindow) -> str:
        return money_text(window.limit_usd)

    def get_spent_usd(self, window: BudgetWindow) -> str:
        return money_text(window.spent_usd)

    def get_external_usd(self, window: BudgetWindow) -> str:
        return money_text(window.external_usd)

    def get_reserved_usd(self, window: BudgetWindow) -> str:
        return money_text(window.reserved_usd)

    def get_remaining_usd(self, window: BudgetWindow) -> str:
        return money_text(max(window.limit_usd - window.used_usd - window.reserved_usd, Decimal(0)))


class MeSerializer(serializers.Serializer[Any]):
    team = serializers.CharField()
    team_name = serializers.CharField()
    time_zone = serializers.CharField()
    key = serializers.CharField(help_text="The key's name and prefix.")
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    model = serializers.CharField()
    answered_by = serializers.CharField(help_text="`claude`, or `stand-in` where no API key is set.")
