"""How often the scheduled work runs, for admins."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse

from observability.models import Schedule
from observability.services.schedules import schedule_change, schedule_run_now
from teams.admin.base import TeamScopedAdmin, object_action
from teams.site import request_principal


@admin.register(Schedule)
class ScheduleAdmin(TeamScopedAdmin):
    admin_may = frozenset({"view", "change", "act"})
    list_display = [
        "name",
        "every_minutes",
        "enabled",
        "next_run_at",
        "last_started_at",
        "last_finished_at",
        "last_error",
    ]
    ordering = ["name"]
    fieldsets = [
        (None, {"fields": ["name", "every_minutes", "enabled"]}),
        ("Runs", {"fields": ["next_run_at", "last_started_at", "last_finished_at", "last_error"]}),
    ]
    readonly_fields = ["name", "next_run_at", "last_started_at", "last_finished_at", "last_error"]
    actions_detail = ["run_now"]

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: Any) -> None:
        schedule_change(obj, actor=request_principal(request).actor)

    @object_action(
        "Run now", title="Run it now?", text="It begins within 15 seconds; its next run comes as usual after it.",
        submit="Run now", icon="play_arrow",
    )  # fmt: skip
    def run_now(self, request: HttpRequest, schedule: Schedule, form: Any) -> str:
        if schedule.enabled:
            schedule_run_now(schedule=schedule, actor=request_principal(request).actor)
            messages.success(request, f"{schedule.name} begins within 15 seconds.")
        else:
            messages.warning(request, f"{schedule.name} is switched off.")
        return reverse("admin:observability_schedule_change", args=[schedule.pk])
