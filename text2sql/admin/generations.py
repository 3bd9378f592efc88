from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from observability.langfuse.client import trace_page
from teams.admin.bars import usd
from teams.admin.base import ReadOnlyAdmin, ReadOnlyInline, ScopedRelatedFilter, object_action
from teams.admin.exports import ExportedAdmin
from teams.admin.filters import ExactFilter, ModelFilter, NumbersFilter, TimesFilter
from teams.models import Charge
from teams.site import request_principal
from text2sql.admin.sql_blocks import SQL_JS, sql_block
from text2sql.admin.timelines import timeline_of
from text2sql.models import Execution, Generation
from text2sql.services.forgetting import answer_forget
from text2sql.services.usage import money_text

STATUS_COLOURS = {
    "waiting": "info", "running": "info", "succeeded": "success", "asks back": "info", "cannot answer": "warning",
    "failed": "danger",
}  # fmt: skip
MARKS = {"repair": "repaired", "degraded": "cheaper model"}
MARK_COLOURS = {"from the cache": "success", "repaired": "info", "cheaper model": "warning"}
FOLLOW_UPS_SHOWN = 20
LEAST_SHOWN = Decimal("0.00005")


class ExecutionInline(ReadOnlyInline):
    model = Execution
    fields = readonly_fields = [
        "executed_at", "actor", "status", "row_count", "truncated", "elapsed_ms", "problem", "problem_detail",
    ]  # fmt: skip
    hide_title = True


class FeedbackFilter(admin.SimpleListFilter):
    """Whether people said something, and what. The feedback's app is above this one: it is met by its relation."""

    title = "feedback"
    parameter_name = "feedback"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("any", "any"), ("up", "thumbs up"), ("down", "thumbs down"), ("none", "none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Generation]) -> QuerySet[Generation]:
        if self.value() is None:
            return queryset
        said: Any = Generation._meta.get_field("feedback").related_model
        found = said.objects.filter(generation=OuterRef("pk"))
        if self.value() in ("up", "down"):
            found = found.filter(rating=self.value())
        return queryset.filter(~Exists(found) if self.value() == "none" else Exists(found))


@admin.register(Generation)
class GenerationAdmin(ExportedAdmin, ReadOnlyAdmin):
    admin_may = lead_may = frozenset({"view", "act", "export"})
    actions_detail = ["forget"]
    list_display = [
        "created_at", "question_start", "team", "database", "shown_status", "shown_mark", "rounded_cost",
        "latency_ms", "end_user",
    ]  # fmt: skip
    list_filter = [
        ("created_at", TimesFilter),
        "status",
        "rung",
        "cached",
        ("team", ScopedRelatedFilter),
        ("database", ScopedRelatedFilter),
        ("model", ModelFilter),
        ("session_id", ExactFilter),
        ("end_user", ExactFilter),
        ("prompt_version", ExactFilter),
        ("cost_usd", NumbersFilter),
        ("latency_ms", NumbersFilter),
        FeedbackFilter,
    ]
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    list_select_related = ["team", "database"]
    list_before_template = "admin/text2sql/generation/views.html"
    sortable_by = ["created_at", "rounded_cost", "latency_ms"]  # what an index keeps in order
    search_fields = ["question", "sql"]
    search_help_text = "Words of questions and SQL"
    export_columns = {
        "created_at": "time", "question": "question", "team__name": "team", "database__name": "database",
        "status": "status", "problem": "problem", "model": "model", "rung": "rung", "cached": "cached",
        "cost_usd": "cost in USD", "latency_ms": "latency in ms", "end_user": "end user", "session_id": "session",
        "sql": "SQL", "id": "id",
    }  # fmt: skip
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
        ("Its way", {"classes": ["tab"], "fields": ["shown_timeline", "shown_attempts"]}),
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
                    "schema_version", "glossary_number", "prompt_version", "attempt_count", "latency_ms", "shown_trace",
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
        "shown_choices", "shown_tables", "shown_attempts", "shown_timeline", "shown_trace",
    ]  # fmt: skip

    class Media:
        css = {"all": ["text2sql/answers.css"]}
        js = SQL_JS

    def get_list_display(self, request: HttpRequest) -> list[str]:
        """Where only failed questions are asked for, also why they failed."""
        return [*self.list_display, "problem_detail"] if _fails_only(request) else [*self.list_display, "shown_trace"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Generation], search_term: str
    ) -> tuple[QuerySet[Generation], bool]:
        return queryset.with_words(search_term), False  # type: ignore[attr-defined]  # it is a GenerationQuerySet

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"list_views": list_views(request), **(extra_context or {})})

    @object_action(
        "Forget this answer", title="Take this answer out of the cache?", submit="Forget", icon="delete_sweep",
        text="Whoever asks the question next has Claude asked anew, also in teams that share the answer.",
    )  # fmt: skip
    def forget(self, request: HttpRequest, generation: Generation, form: Any) -> str:
        if not generation.cache_key:
            messages.warning(request, "This answer was never in the cache.")
        elif answer_forget(generation, request_principal(request).actor):
            messages.success(request, "The cache does not hold this answer any more.")
        else:
            messages.warning(request, "The cache does not answer; the answer is taken out as soon as it does.")
        return reverse("admin:text2sql_generation_change", args=[generation.pk])

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
    def rounded_cost(self, generation: Generation) -> str:
        return "<$0.0001" if 0 < generation.cost_usd < LEAST_SHOWN else usd(generation.cost_usd)

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

    @display(description="trace")
    def shown_trace(self, generation: Generation) -> str:
        page = trace_page(generation.trace_id)
        if not page:
            return generation.trace_id[:8]
        link = '<a class="text-link" href="{}" target="_blank" rel="noopener">{}</a>'
        return format_html(link, page, generation.trace_id[:8])

    @display(description="tables")
    def shown_tables(self, generation: Generation) -> str:
        return ", ".join(generation.tables) or "–"

    @display(description="timeline")
    def shown_timeline(self, generation: Generation) -> str:
        timeline = timeline_of(generation, list(generation.attempts.order_by("number")))
        return render_to_string("admin/text2sql/generation/timeline.html", {"timeline": timeline})

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


def list_views(request: HttpRequest) -> list[dict[str, Any]]:
    """The ways to look at the questions, for the tabs above their lists."""
    questions, sessions = reverse("admin:text2sql_generation_changelist"), reverse("sessions")
    asked, columns = request.GET, GenerationAdmin.list_display
    views = [
        ("Newest", questions, {}),
        # Without a latency a question is not finished, and those would come first.
        ("Most expensive", questions, {"o": f"-{columns.index('rounded_cost')}"}),
        ("Slowest", questions, {"o": f"-{columns.index('latency_ms')}", "latency_ms__gte": "0"}),
        ("Failed", questions, {"status__exact": "failed"}),
        ("Sessions", sessions, {}),
    ]
    return [
        {
            "title": title,
            "link": f"{page}?{urlencode(query)}" if query else page,
            "active": request.path == page
            and all(asked.get(name) == query.get(name) for name in ("o", "status__exact")),
            "has_permission": True,
        }
        for title, page, query in views
    ]


def _fails_only(request: HttpRequest) -> bool:
    return request.GET.get("status__exact") == Generation.Status.FAILED


def _link(generation: Generation) -> str:
    page = reverse("admin:text2sql_generation_change", args=[generation.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', page, generation)
