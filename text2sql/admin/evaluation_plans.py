from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from teams.admin.base import ScopedRelatedFilter, TeamScopedAdmin
from teams.site import request_principal
from text2sql.models import EvaluationPlan
from text2sql.services.evaluation_plans import plan_save

SET = ["enabled", "every_days", "question_limit", "drop_points"]


@admin.register(EvaluationPlan)
class EvaluationPlanAdmin(TeamScopedAdmin):
    """How often a team's approved examples of a database are asked again, at the team's expense."""

    admin_may = lead_may = frozenset({"view", "add", "change"})
    list_display = [
        "shown_database", "shown_team", "enabled", "every_days", "question_limit", "drop_points", "shown_run",
        "next_run_at", "problem",
    ]  # fmt: skip
    list_filter = ["enabled", ("access__database", ScopedRelatedFilter), ("access__team", ScopedRelatedFilter)]
    readonly_fields = ["shown_database", "shown_team", "shown_run", "next_run_at", "problem"]

    def get_fieldsets(self, request: HttpRequest, obj: EvaluationPlan | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["access", *SET]})]
        shown = ["shown_run", "next_run_at", *(["problem"] if obj.problem else [])]
        return [(None, {"fields": ["shown_database", "shown_team", *SET]}), ("Runs", {"fields": shown})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[EvaluationPlan]:
        return super().get_queryset(request).select_related("access__database", "access__team", "run")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = self._choices(db_field, request).filter(evaluation_plan=None).select_related("database")
        field = super().formfield_for_foreignkey(db_field, request, queryset=rows, **kwargs)
        field.label, field.help_text = "Team and database", "Those that have a plan already are in the list."
        return field

    def save_model(self, request: HttpRequest, obj: EvaluationPlan, form: forms.ModelForm[Any], change: bool) -> None:
        plan_save(plan=obj, actor=request_principal(request).actor)

    @display(description="database", ordering="access__database__name")
    def shown_database(self, plan: EvaluationPlan) -> str:
        return plan.access.database.name

    @display(description="team", ordering="access__team__name")
    def shown_team(self, plan: EvaluationPlan) -> str:
        return plan.access.team.name

    @display(description="newest run")
    def shown_run(self, plan: EvaluationPlan) -> str:
        if (run := plan.run) is None:
            return "none yet"
        accuracy = run.get_status_display() if run.accuracy is None else f"{run.accuracy:.1%}"
        told = f"{accuracy}, {run.created_at:%Y-%m-%d %H:%M} UTC"
        page = reverse("admin:text2sql_evaluationrun_change", args=[run.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', page, told)
