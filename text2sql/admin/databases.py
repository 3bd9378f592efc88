from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from teams.admin.base import TeamScopedAdmin, TeamScopedInline, object_action
from teams.site import request_principal
from text2sql.encryption import UnreadableSecret
from text2sql.models import Database, DatabaseAccess
from text2sql.pipeline.schema import Schema
from text2sql.services.databases import (
    database_add,
    database_probe,
    database_url_set,
    sync_request,
    url_check,
)
from text2sql.targets.errors import TargetError, UrlRejected


class LinesField(forms.Field):
    """A list of words, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else "\n".join(value or [])

    def to_python(self, value: Any) -> list[str]:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


class UrlInput(UnfoldAdminTextInputWidget):
    """What was typed is never sent back, not even with a form's errors."""

    def format_value(self, value: Any) -> None:
        return None


class DatabaseForm(forms.ModelForm[Database]):
    url = forms.CharField(
        label="URL",
        required=False,
        widget=UrlInput(attrs={"autocomplete": "off", "placeholder": "postgresql://reader:password@host/db"}),
        help_text="Stored encrypted and never shown again. Use a role that may only read.",
    )

    class Meta:
        model = Database
        fields = ["name", "description", "row_cap", "timeout_seconds", "share_text"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["url"].required = self.instance._state.adding
        if not self.instance._state.adding:
            self.fields["url"].help_text += " Leave it empty to keep the stored one."

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        if url:
            try:
                url_check(url)
            except UrlRejected as error:
                raise ValidationError(str(error)) from error
        return url


class AccessForm(forms.ModelForm[DatabaseAccess]):
    tables = LinesField(required=False, help_text="One a line; empty: all.")
    hidden_columns = LinesField(required=False, help_text="table.column, one a line.")

    class Meta:
        model = DatabaseAccess
        fields = ["team", "tables", "hidden_columns"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        database = cleaned.get("database")
        if database is not None and database.catalog is not None:
            self._check_names(cleaned, database.catalog.schema)
        return cleaned

    def _check_names(self, cleaned: dict[str, Any], schema: Schema) -> None:
        tables = {table.qualified_name for table in schema.tables}
        columns = {f"{table.qualified_name}.{column.name}" for table in schema.tables for column in table.columns}
        for name, known in (("tables", tables), ("hidden_columns", columns)):
            # A misspelt hidden column would hide nothing, so it is refused rather than ignored.
            if unknown := sorted(set(cleaned.get(name, [])) - known):
                self.add_error(name, f"Not in this database: {', '.join(unknown)}.")


class AccessInline(TeamScopedInline):
    model = DatabaseAccess
    form = AccessForm
    verbose_name = "team that may use it"
    verbose_name_plural = "teams that may use it"
    hide_title = True


@admin.register(Database)
class DatabaseAdmin(TeamScopedAdmin):
    """Admins add databases and open them to teams; leads see what is open to theirs, and may test and re-read it."""

    form = DatabaseForm
    lead_may = frozenset({"view", "act"})
    admin_may = frozenset({"view", "add", "change", "act"})
    audited_by_service = frozenset({"added"})
    list_filter = ["dialect", "sync_state"]
    list_select_related = ["catalog"]
    search_fields = ["name", "description"]
    search_help_text = "Searches names and descriptions."
    inlines = [AccessInline]
    actions_row = ["test", "sync"]
    actions_detail = ["test", "sync"]
    readonly_fields = ["shown_state", "shown_tables", "sync_error", "synced_at", "shown_starters"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        is_admin = request_principal(request).is_admin
        shown = ["name", "description", *(["url"] if is_admin else []), "row_cap", "timeout_seconds", "share_text"]
        if obj is None:
            return [(None, {"fields": shown})]
        # How many tables there are, and questions about them, would tell a lead of tables closed to the team.
        whole = ["shown_tables", "shown_starters"] if is_admin else []
        state = ["shown_state", "synced_at", "sync_error", *whole]
        return [(None, {"fields": shown}), ("Tables", {"fields": state})]

    def get_list_display(self, request: HttpRequest) -> list[str]:
        whole = ["shown_tables"] if request_principal(request).is_admin else []
        return ["name", "dialect", "shown_state", *whole, "synced_at", "description"]

    def save_model(self, request: HttpRequest, obj: Database, form: forms.ModelForm[Database], change: bool) -> None:
        actor, values = request_principal(request).actor, form.cleaned_data
        if not change:
            added = database_add(name=values["name"], url=values["url"], description=values["description"], actor=actor)
            obj.pk, obj._state.adding = added.pk, False
            messages.info(request, "Its tables are being read; reload in a few seconds to see the result.")
        # Only what the form shows: the worker writes to the same row.
        obj.save(update_fields=["name", "description", "row_cap", "timeout_seconds", "share_text"])
        if change and values["url"]:
            database_url_set(database=obj, url=values["url"], actor=actor)

    @object_action(
        "Test connection",
        title="Test the connection?",
        text="Connects with the stored URL and looks around; nothing is changed.",
        submit="Test",
        icon="cable",
    )
    def test(self, request: HttpRequest, database: Database, form: Any) -> str:
        try:
            probe = database_probe(database)
        except (TargetError, UnreadableSecret) as error:
            messages.error(request, f"{database.name}: {error}")
        else:
            messages.success(request, f"{database.name}: connected to {probe.dialect} {probe.server_version}.")
            for warning in probe.warnings:
                messages.warning(request, f"{database.name}: {warning}")
        return reverse("admin:text2sql_database_change", args=[database.pk])

    @object_action(
        "Read tables",
        title="Read the tables and columns anew?",
        text="Cached answers stay valid unless the structure has changed.",
        submit="Read",
        icon="sync",
    )
    def sync(self, request: HttpRequest, database: Database, form: Any) -> str:
        sync_request(database=database, actor=request_principal(request).actor)
        messages.success(request, f"The tables of {database.name} are being read; reload in a few seconds.")
        return reverse("admin:text2sql_database_change", args=[database.pk])

    @display(
        description="state",
        label={"read": "success", "failed": "danger", "waiting": "info", "reading": "info", "never read": "warning"},
    )
    def shown_state(self, database: Database) -> str:
        return database.get_sync_state_display()

    @display(description="tables")
    def shown_tables(self, database: Database) -> str:
        return str(len(database.catalog.content["tables"])) if database.catalog else "–"

    @display(description="first questions")
    def shown_starters(self, database: Database) -> str:
        return "\n".join(database.starter_questions) or "–"
