"""What observability keeps, for the people it concerns. It knows scopes as strings; here they are teams."""

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html_join
from unfold.decorators import display

from observability.models import AuditEntry, ManagedPrompt, Score, Trace
from teams.admin.base import ReadOnlyAdmin
from teams.admin.filters import ExactFilter, ScopeFilter, TimesFilter
from teams.site import request_principal

DELIVERY_COLOURS = {"pending": "info", "claimed": "info", "delivered": "success", "failed": "danger"}
SHOWN_CHANGES, SHOWN_LETTERS = 3, 60
"""Of an entry in the list; its own page shows all."""


class RecordAdmin(ReadOnlyAdmin):
    """Records of a team, named by a string; leads see those of the teams they lead."""

    team_field: ClassVar[str] = "scope"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        principal = request_principal(request)
        rows: QuerySet[Any] = self.model._default_manager.all()
        return rows if principal.is_admin else rows.filter(**{f"{self.team_field}__in": principal.lead_team_ids})


@admin.register(AuditEntry)
class AuditEntryAdmin(RecordAdmin):
    """Who did what, with what was before and what is since; of a secret only that it has changed."""

    list_display = ["at", "actor", "verb", "shown_target", "shown_scope", "shown_start"]
    ordering = ["-at"]
    list_filter = [("at", TimesFilter), ("actor", ExactFilter), "verb", ("scope", ScopeFilter)]
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    sortable_by = ["at"]  # what an index keeps in order
    search_fields = ["actor", "target"]
    search_help_text = "Searches actors and targets."
    fieldsets = [
        (None, {"fields": ["at", "actor", "verb", "shown_target", "target", "shown_scope"]}),
        ("What has changed", {"fields": ["shown_changes", "shown_told"]}),
    ]
    readonly_fields = ["shown_target", "shown_scope", "shown_changes", "shown_told"]

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["teams/audit.css"]}

    @display(description="what")
    def shown_target(self, entry: AuditEntry) -> str:
        return str(entry.data.get("name") or entry.target)

    @display(description="team")
    def shown_scope(self, entry: AuditEntry) -> str:
        return entry.scope or "–"

    @display(description="change")
    def shown_start(self, entry: AuditEntry) -> str:
        """What fits into a line."""
        lines = [f"{name}: {start(old)} → {start(new)}" for name, old, new in changes_of(entry)]
        more = f" and {len(lines) - SHOWN_CHANGES} more" if len(lines) > SHOWN_CHANGES else ""
        return "; ".join(lines[:SHOWN_CHANGES]) + more or "–"

    @display(description="changes")
    def shown_changes(self, entry: AuditEntry) -> str:
        if not (changes := changes_of(entry)):
            return "–"
        return render_to_string("admin/observability/auditentry/changes.html", {"changes": changes})

    @display(description="said besides")
    def shown_told(self, entry: AuditEntry) -> str:
        told = [(name, text_of(value)) for name, value in entry.data.items() if name not in {"was", "now"}]
        return format_html_join("", "<div><strong>{}</strong>: {}</div>", told) or "–"


def changes_of(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Each field with what it was and what it is since; "–" for what there was, or is, none of."""
    was, now = entry.data.get("was"), entry.data.get("now")
    was, now = (values if isinstance(values, dict) else {} for values in (was, now))
    return [(name, text_of(was.get(name)), text_of(now.get(name))) for name in {**was, **now}]


def text_of(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else "–"
    return "–" if value in (None, "") else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def start(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_LETTERS else f"{line[:SHOWN_LETTERS]}…"


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
