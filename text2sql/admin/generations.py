from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from teams.admin.base import ReadOnlyAdmin, ReadOnlyInline, ScopedRelatedFilter
from teams.models import Charge
from text2sql.models import Execution, Generation
from text2sql.services.usage import money_text

STATUS_COLOURS = {
    "waiting": "info", "running": "info", "succeeded": "success", "asks back": "info", "cannot answer": "warning",
    "failed": "danger",
}  # fmt: skip
MARKS = {"repair": "repaired", "degraded": "cheaper model"}
MARK_COLOURS = {"from the cache": "success", "repaired": "info", "cheaper model": "warning"}
FOLLOW_UPS_SHOWN = 20


class ExecutionInline(ReadOnlyInline):
    model = Execution
    fields = readonly_fields = [
        "executed_at", "actor", "status", "row_count", "truncated", "elapsed_ms", "problem", "problem_detail",
    ]  # fmt: skip
    hide_title = True


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at", "question_start", "team", "database", "shown_status", "shown_mark", "shown_cost",
        "latency_ms", "end_user",
    ]  # fmt: skip
    list_filter = [
        "status",
        "rung",
        "cached",
        ("team", ScopedRelatedFilter),
        ("database", ScopedRelatedFilter),
        "model",
    ]
    list_select_related = ["team", "database"]
    search_fields = ["question", "sql"]
    search_help_text = "Searches questions and SQL."
    date_hierarchy = "created_at"
    inlines = [ExecutionInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "question", "shown_parent", "shown_follow_ups", "shown_status", "shown_mark", "shown_sql",
                    "explanation", "shown_choices", "problem", "problem_detail",
                ]
            },
        ),
        ("Attempts", {"classes": ["tab"], "fields": ["shown_attempts"]}),
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
                    "rung", "model", "answered_by", "cached", "strategy", "strategy_reason", "shown_tables",
                    "schema_version", "glossary_number", "prompt_version", "attempt_count", "latency_ms", "trace_id",
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
    readonly_fields = [
        "shown_status", "shown_mark", "shown_sql", "shown_database", "shown_cost", "shown_parent", "shown_follow_ups",
        "shown_choices", "shown_tables", "shown_attempts",
    ]  # fmt: skip

    class Media:
        css = {"all": ["text2sql/answers.css"]}

    @display(description="question")
    def question_start(self, generation: Generation) -> str:
        return str(generation)

    @display(description="status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, generation: Generation) -> str:
        return generation.get_status_display()

    @display(description="database")
    def shown_database(self, generation: Generation) -> str:
        return generation.database.name  # not a link: the team may have lost the database since

    @display(description="cost", ordering="cost_usd")
    def shown_cost(self, generation: Generation) -> str:
        return f"${money_text(generation.cost_usd)}"  # a cached answer costs less than six decimals show

    @display(description="how", label=MARK_COLOURS, ordering="rung")
    def shown_mark(self, generation: Generation) -> str | None:
        return "from the cache" if generation.cached else MARKS.get(generation.rung)

    @display(description="follows")
    def shown_parent(self, generation: Generation) -> str:
        return _link(generation.parent) if generation.parent else "–"

    @display(description="followed by")
    def shown_follow_ups(self, generation: Generation) -> str:
        questions = generation.follow_ups.order_by("created_at")[:FOLLOW_UPS_SHOWN]
        return format_html_join("", "<div>{}</div>", ((_link(question),) for question in questions)) or "–"

    @display(description="choices offered")
    def shown_choices(self, generation: Generation) -> str:
        return ", ".join(generation.choices) or "–"

    @display(description="tables")
    def shown_tables(self, generation: Generation) -> str:
        return ", ".join(generation.tables) or "–"

    @display(description="attempts")
    def shown_attempts(self, generation: Generation) -> str:
        charges = {charge.attempt_id: charge for charge in Charge.objects.filter(generation_id=generation.pk)}
        told = [(attempt, charges.get(attempt.pk)) for attempt in generation.attempts.order_by("number")]
        attempts = [
            {"row": row, "cost": f"${money_text(charge.cost_usd)}" if charge else "–", "charge": charge}
            for row, charge in told
        ]
        return render_to_string("admin/text2sql/generation/attempts.html", {"attempts": attempts})

    @display(description="SQL")
    def shown_sql(self, generation: Generation) -> str:
        return sql_block(generation.sql)


def sql_block(sql: str) -> str:
    """SQL as it may stand in an admin page: escaped, its white space kept."""
    return format_html('<pre style="white-space:pre-wrap;max-width:60rem">{}</pre>', sql) if sql else "–"


def _link(generation: Generation) -> str:
    page = reverse("admin:text2sql_generation_change", args=[generation.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', page, generation)
