from django.contrib import admin
from django.utils.html import format_html
from unfold.decorators import display

from teams.admin.base import ReadOnlyAdmin, ReadOnlyInline, ScopedRelatedFilter
from teams.admin.budgets import usd
from text2sql.models import Attempt, Execution, Generation

STATUS_COLOURS = {"running": "info", "succeeded": "success", "cannot answer": "warning", "failed": "danger"}


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = readonly_fields = [
        "number", "status", "model", "stop_reason", "problem", "problem_detail", "started_at", "finished_at",
        "request_id",
    ]  # fmt: skip
    hide_title = True


class ExecutionInline(ReadOnlyInline):
    model = Execution
    fields = readonly_fields = [
        "executed_at", "actor", "status", "row_count", "truncated", "elapsed_ms", "problem", "problem_detail",
    ]  # fmt: skip
    hide_title = True


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at", "question_start", "team", "database", "shown_status", "shown_cached", "shown_cost", "latency_ms",
        "end_user",
    ]  # fmt: skip
    list_filter = ["status", "cached", ("team", ScopedRelatedFilter), ("database", ScopedRelatedFilter), "model"]
    list_select_related = ["team", "database"]
    search_fields = ["question", "sql"]
    search_help_text = "Searches questions and SQL."
    date_hierarchy = "created_at"
    inlines = [AttemptInline, ExecutionInline]
    fieldsets = [
        (None, {"fields": ["question", "shown_status", "shown_sql", "explanation", "problem", "problem_detail"]}),
        (
            "Who and where",
            {
                "classes": ["tab"],
                "fields": ["team", "shown_database", "api_key", "session_id", "end_user", "created_at"],
            },
        ),
        (
            "How",
            {
                "classes": ["tab"],
                "fields": [
                    "model", "answered_by", "cached", "tables", "schema_version", "prompt_version", "attempt_count",
                    "latency_ms", "trace_id",
                ],
            },
        ),
        (
            "Cost",
            {
                "classes": ["tab"],
                "fields": [
                    "shown_cost", "input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
                    "cache_read_tokens", "output_tokens",
                ],
            },
        ),
    ]  # fmt: skip
    readonly_fields = ["shown_status", "shown_sql", "shown_database", "shown_cost"]

    @display(description="question")
    def question_start(self, generation: Generation) -> str:
        return str(generation)

    @display(description="status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, generation: Generation) -> str:
        return generation.get_status_display()

    @display(description="cached", ordering="cached")
    def shown_cached(self, generation: Generation) -> str:
        return "yes" if generation.cached else "–"

    @display(description="database")
    def shown_database(self, generation: Generation) -> str:
        return generation.database.name  # not a link: the team may have lost the database since

    @display(description="cost", ordering="cost_usd")
    def shown_cost(self, generation: Generation) -> str:
        return usd(generation.cost_usd, 6)

    @display(description="SQL")
    def shown_sql(self, generation: Generation) -> str:
        return sql_block(generation.sql)


def sql_block(sql: str) -> str:
    """SQL as it may stand in an admin page: escaped, its white space kept."""
    return format_html('<pre style="white-space:pre-wrap;max-width:60rem">{}</pre>', sql) if sql else "–"
