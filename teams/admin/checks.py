"""The scheduled check's rounds, and Langfuse's figures beside our ledger, day by day."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince
from unfold.decorators import display

from teams.admin.bars import usd
from teams.admin.base import ReadOnlyAdmin, ScopedRelatedFilter
from teams.models import BudgetCheck, LangfuseDay


class DriftFilter(admin.EmptyFieldListFilter):
    """Django's own asks whether the field is empty; people ask which days drift."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "drift"

    def choices(self, changelist: Any) -> Any:
        for choice, words in zip(super().choices(changelist), ("all", "none", "drifting"), strict=True):
            yield {**choice, "display": words}


@admin.register(LangfuseDay)
class LangfuseDayAdmin(ReadOnlyAdmin):
    """Leads see their teams' days; what belongs to no team of ours, or to nobody, only admins."""

    list_display = [
        "shown_whose", "day", "time_zone", "shown_ours", "shown_ledger", "shown_drift", "shown_external",
        "unpriced_tokens", "shown_age",
    ]  # fmt: skip
    list_filter = [("team", ScopedRelatedFilter), ("drift_since", DriftFilter)]
    list_select_related = ["team"]
    ordering = ["-starts_at", "user_id"]
    date_hierarchy = "day"
    fieldsets = [
        (None, {"fields": ["shown_whose", "day", "time_zone", "starts_at", "ends_at", "shown_age"]}),
        (
            "Figures",
            {
                "fields": [
                    "shown_ours", "shown_ledger", "shown_drift", "drift_since", "shown_external", "unpriced_tokens"
                ]
            },
        ),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[LangfuseDay]:
        # That a day was read and had nothing without a user is not worth a line.
        nothing = Q(user_id="", ours_usd=0, external_usd=0, unpriced_tokens=0)
        rows: QuerySet[LangfuseDay] = super().get_queryset(request).exclude(nothing)
        return rows

    @display(description="team", ordering=F("team").asc(nulls_last=True))
    def shown_whose(self, day: LangfuseDay) -> str:
        if day.team is not None:
            return day.team.name
        return f"no team: {day.user_id}" if day.user_id else "nobody"

    @display(description="ours in Langfuse", ordering="ours_usd")
    def shown_ours(self, day: LangfuseDay) -> str:
        return usd(day.ours_usd)

    @display(description="our ledger", ordering="ledger_usd")
    def shown_ledger(self, day: LangfuseDay) -> str:
        return usd(day.ledger_usd) if day.team is not None else "–"

    @display(description="drift", ordering="drift_usd", label={"drifting": "danger", "a little": "warning"})
    def shown_drift(self, day: LangfuseDay) -> Any:
        if not day.drift_usd:
            return "–"
        kind, sign = "drifting" if day.drift_since else "a little", "+" if day.drift_usd > 0 else "-"
        return kind, f"{sign}{usd(abs(day.drift_usd))}"

    @display(description="external", ordering="external_usd")
    def shown_external(self, day: LangfuseDay) -> str:
        return usd(day.external_usd)

    @display(description="age", ordering="read_at")
    def shown_age(self, day: LangfuseDay) -> str:
        return age(day.read_at)


@admin.register(BudgetCheck)
class BudgetCheckAdmin(ReadOnlyAdmin):
    lead_may = frozenset()
    list_display = ["started_at", "shown_state", "windows", "calls", "days_left", "shown_seconds", "error"]
    ordering = ["-started_at"]
    list_filter = [("error", admin.EmptyFieldListFilter)]
    date_hierarchy = "started_at"

    @display(description="state", label={"failed": "danger", "complete": "success", "to go on": "info"})
    def shown_state(self, check: BudgetCheck) -> str:
        if check.error:
            return "failed"
        return "to go on" if check.finished_at is None or check.days_left else "complete"

    @display(description="seconds")
    def shown_seconds(self, check: BudgetCheck) -> str:
        return "–" if check.finished_at is None else f"{(check.finished_at - check.started_at).total_seconds():.1f}"


def age(at: datetime) -> str:
    return timesince(at, timezone.now(), depth=1)
