from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from teams.admin.base import ReadOnlyAdmin, ScopedRelatedFilter
from text2sql.admin.sql_blocks import SQL_JS, sql_block
from text2sql.models import EvaluationItem, EvaluationRun
from text2sql.services.evaluation_changes import run_change
from text2sql.services.usage import money_text

STATUS_COLOURS = {"running": "info", "stopped": "warning", "finished": "success"}
OUTCOME_COLOURS = {"correct": "success", "wrong": "danger", "refused": "warning", "failed": "warning"}
COUNTED = ("correct", "wrong", "refused", "failed")


@admin.register(EvaluationRun)
class EvaluationRunAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at", "database", "source", "model", "effort", "prompt_version", "shown_status", "shown_accuracy",
        "shown_difference", "question_count", "shown_cost", "latency_p50_ms", "latency_p95_ms",
    ]  # fmt: skip
    list_filter = ["status", "source", "model", ("database", ScopedRelatedFilter), ("team", ScopedRelatedFilter)]
    list_select_related = ["database"]
    list_fullwidth = True
    date_hierarchy = "created_at"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "shown_status", "stop_reason", "shown_accuracy", "shown_change", "shown_outcomes", "shown_cost",
                    "latency_p50_ms", "latency_p95_ms",
                ]
            },
        ),
        (
            "What was asked of whom",
            {
                "fields": [
                    "shown_database", "team", "shown_key", "source", "question_count", "model", "effort",
                    "prompt_version", "answered_by", "actor", "created_at", "finished_at",
                ]
            },
        ),
        ("Rules", {"classes": ["tab"], "fields": ["shown_rules"]}),
    ]  # fmt: skip
    readonly_fields = [
        "shown_status", "shown_accuracy", "shown_change", "shown_outcomes", "shown_cost", "shown_database",
        "shown_key", "shown_rules",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        earlier = EvaluationRun.objects.filter(
            database=OuterRef("database"), team=OuterRef("team"), source=OuterRef("source"),
            status=EvaluationRun.Status.FINISHED, created_at__lt=OuterRef("created_at"),
        ).order_by("-created_at")  # fmt: skip
        rows = super().get_queryset(request)
        annotated: QuerySet[Any] = rows.annotate(accuracy_before=Subquery(earlier.values("accuracy")[:1]))
        return annotated

    @display(description="status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, run: EvaluationRun) -> str:
        return run.get_status_display()

    @display(description="accuracy", ordering="accuracy")
    def shown_accuracy(self, run: EvaluationRun) -> str:
        return "–" if run.accuracy is None else f"{run.accuracy:.1%}"

    @display(description="change")
    def shown_difference(self, run: EvaluationRun) -> str:
        before: float | None = getattr(run, "accuracy_before", None)
        return "–" if run.accuracy is None or before is None else f"{100 * (run.accuracy - before):+.1f}"

    @display(description="cost", ordering="cost_usd")
    def shown_cost(self, run: EvaluationRun) -> str:
        return f"${money_text(run.cost_usd)}"

    @display(description="since the last run")
    def shown_change(self, run: EvaluationRun) -> str:
        change = run_change(run) if run.accuracy is not None else None
        if change is None:
            return "–"
        page = reverse("admin:text2sql_evaluationrun_change", args=[change.before.pk])
        told = f"{100 * change.accuracy(run):+.1f} points, {change.newly_right} newly right,"
        return format_html(
            '{} {} newly wrong, since <a class="text-link" href="{}">{}</a>', told, change.newly_wrong, page,
            change.before,
        )  # fmt: skip

    @display(description="questions")
    def shown_outcomes(self, run: EvaluationRun) -> str:
        page = reverse("admin:text2sql_evaluationitem_changelist")
        links = format_html_join(
            ", ",
            '<a class="text-link" href="{}?run__id__exact={}&outcome__exact={}">{} {}</a>',
            ((page, run.pk, name, getattr(run, f"{name}_count"), name) for name in COUNTED),
        )
        return format_html("{} ({} of the correct ones weak)", links, run.weak_count) if run.weak_count else links

    @display(description="database")
    def shown_database(self, run: EvaluationRun) -> str:
        return run.database.name  # not a link: the team may have lost the database since

    @display(description="API key")
    def shown_key(self, run: EvaluationRun) -> str:
        return str(run.api_key or "–")

    @display(description="rules")
    def shown_rules(self, run: EvaluationRun) -> str:
        return format_html('<div class="answers-text">{}</div>', run.rules) if run.rules else "–"


@admin.register(EvaluationItem)
class EvaluationItemAdmin(ReadOnlyAdmin):
    list_display = ["number", "question_start", "run", "shown_outcome", "why_start", "shown_cost", "latency_ms"]
    list_filter = ["outcome", "is_weak", ("run", ScopedRelatedFilter)]
    list_select_related = ["run"]
    list_fullwidth = True
    ordering = ["-run__created_at", "number"]
    search_fields = ["question", "gold", "sql"]
    search_help_text = "Searches questions and SQL."
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "shown_run", "number", "question", "shown_outcome", "is_weak", "why", "shown_gold", "shown_sql",
                    "shown_generation", "shown_cost", "latency_ms", "trace_id", "finished_at",
                ]
            },
        ),
    ]  # fmt: skip
    readonly_fields = ["shown_run", "shown_outcome", "shown_gold", "shown_sql", "shown_generation", "shown_cost"]

    class Media:
        css = {"all": ["text2sql/answers.css"]}
        js = SQL_JS

    @display(description="question")
    def question_start(self, item: EvaluationItem) -> str:
        return str(item)

    @display(description="outcome", label=OUTCOME_COLOURS, ordering="outcome")
    def shown_outcome(self, item: EvaluationItem) -> str:
        return item.get_outcome_display() or "not asked yet"

    @display(description="why")
    def why_start(self, item: EvaluationItem) -> str:
        return item.why[:120] or ("weak" if item.is_weak else "–")

    @display(description="cost", ordering="cost_usd")
    def shown_cost(self, item: EvaluationItem) -> str:
        return f"${money_text(item.cost_usd)}"

    @display(description="run")
    def shown_run(self, item: EvaluationItem) -> str:
        page = reverse("admin:text2sql_evaluationrun_change", args=[item.run_id])
        return format_html('<a class="text-link" href="{}">{}</a>', page, item.run)

    @display(description="verified SQL")
    def shown_gold(self, item: EvaluationItem) -> str:
        return sql_block(item.gold)

    @display(description="SQL")
    def shown_sql(self, item: EvaluationItem) -> str:
        return sql_block(item.sql)

    @display(description="generation")
    def shown_generation(self, item: EvaluationItem) -> str:
        if item.generation_id is None:
            return "–"
        page = reverse("admin:text2sql_generation_change", args=[item.generation_id])
        return format_html('<a class="text-link" href="{}">{}</a>', page, item.generation_id)
