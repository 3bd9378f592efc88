"""What observability keeps, for the people it concerns. It knows scopes as strings; here they are teams."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from observability.models import AuditEntry, ManagedPrompt, Score, Trace
from teams.admin.base import ReadOnlyAdmin
from teams.site import request_principal

DELIVERY_COLOURS = {"pending": "info", "claimed": "info", "delivered": "success", "failed": "danger"}


class RecordAdmin(ReadOnlyAdmin):
    """Records of a team, named by a string; leads see those of the teams they lead."""

    team_field: ClassVar[str] = "scope"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        principal = request_principal(request)
        rows: QuerySet[Any] = self.model._default_manager.all()
        return rows if principal.is_admin else rows.filter(**{f"{self.team_field}__in": principal.lead_team_ids})


@admin.register(AuditEntry)
class AuditEntryAdmin(RecordAdmin):
    list_display = ["at", "actor", "verb", "target", "scope"]
    ordering = ["-at"]
    list_filter = ["verb"]
    search_fields = ["actor", "target"]
    search_help_text = "Searches actors and targets."


@admin.register(Trace)
class TraceAdmin(RecordAdmin):
    """The traces on their way to Langfuse; the last error is why one is still here."""

    team_field = "user_id"
    list_display = ["started_at", "trace_id", "part", "user_id", "shown_state", "tries", "last_error", "delivered_at"]
    ordering = ["-started_at"]
    list_filter = ["state"]
    search_fields = ["trace_id"]
    search_help_text = "Searches trace ids."

    @display(description="state", label=DELIVERY_COLOURS)
    def shown_state(self, trace: Trace) -> str:
        return trace.state


@admin.register(Score)
class ScoreAdmin(ReadOnlyAdmin):
    lead_may = frozenset()
    list_display = ["timestamp", "name", "value", "trace_id", "shown_state", "tries", "last_error"]
    ordering = ["-timestamp"]
    list_filter = ["state", "name"]

    @display(description="state", label=DELIVERY_COLOURS)
    def shown_state(self, score: Score) -> str:
        return score.state


@admin.register(ManagedPrompt)
class ManagedPromptAdmin(ReadOnlyAdmin):
    """The text from Langfuse that is in use; the last error is why a newer one is not."""

    lead_may = frozenset()
    list_display = ["name", "label", "version", "fetched_at", "checked_at", "last_error"]
    ordering = ["name"]
