import re
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from observability.encryption import UnreadableSecret
from teams.admin.base import TeamScopedAdmin, TeamScopedInline, object_action, rows_of
from teams.models import Team
from teams.site import request_principal
from text2sql.admin.row_filters import RowFiltersField, filters_check, filters_text
from text2sql.models import Database, DatabaseAccess, DraftRun, SchemaNote
from text2sql.pipeline.schema import Schema
from text2sql.services.databases import (
    ACCESS_TERMS,
    DATABASE_TERMS,
    access_delete,
    access_save,
    database_add,
    database_change,
    database_probe,
    database_url_set,
    url_check,
)
from text2sql.services.example_checks import examples_check
from text2sql.services.forgetting import answers_forget
from text2sql.services.notes import draft_request
from text2sql.services.syncing import sync_request
from text2sql.targets.errors import TargetError, UrlRejected

FUNCTION_NAME = re.compile(r"[a-z_]\w*(\.[a-z_]\w*)*", re.ASCII)


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


class FunctionsField(LinesField):
    """Names of functions, in small letters as the guard compares them."""

    def to_python(self, value: Any) -> list[str]:
        return [name.lower() for name in super().to_python(value)]

    def validate(self, value: Any) -> None:
        super().validate(value)
        if wrong := [name for name in value if not FUNCTION_NAME.fullmatch(name)]:
            raise ValidationError("Not a function's name: %(names)s.", params={"names": ", ".join(wrong)})


class DatabaseForm(forms.ModelForm[Database]):
    url = forms.CharField(
        label="URL",
        required=False,
        widget=UrlInput(attrs={"autocomplete": "off", "placeholder": "postgresql://reader:password@host/db"}),
        help_text="Stored encrypted and never shown again. Use a role that may only read.",
    )
    allowed_functions = FunctionsField(
        label="Further functions", required=False,
        help_text="Your own ones that only read, one a line, with their schema if they are called with it.",
    )  # fmt: skip

    class Meta:
        model = Database
        fields = DATABASE_TERMS

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
    row_filters = RowFiltersField(
        required=False, help_text="table: condition, one a line. The team sees the rows for which it holds."
    )

    class Meta:
        model = DatabaseAccess
        fields = ACCESS_TERMS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "team" in self.fields:
            # Examples and the glossary hang on the row: another team gets a row of its own.
            self.fields["team"].disabled = not self.instance._state.adding

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        database = cleaned.get("database")
        if database is not None and database.catalog is not None:
            self._check_names(cleaned, database.catalog.schema)
            self._check_filters(cleaned, database.catalog.schema, database.allowed_functions)
        elif cleaned.get("row_filters"):
            # A misspelt table would leave another one unfiltered.
            self.add_error("row_filters", "Its tables have not been read yet; set filters once they are.")
        return cleaned

    def _check_filters(self, cleaned: dict[str, Any], schema: Schema, allowed_functions: list[str]) -> None:
        if "row_filters" not in cleaned or self.errors:
            return
        seen = DatabaseAccess(tables=cleaned["tables"], hidden_columns=cleaned["hidden_columns"])
        for problem in filters_check(
            cleaned["row_filters"], whole=schema, seen=seen.restrict(schema), allowed_functions=allowed_functions
        ):  # fmt: skip
            self.add_error("row_filters", problem)

    def _check_names(self, cleaned: dict[str, Any], schema: Schema) -> None:
        tables = {table.qualified_name for table in schema.tables}
        columns = {f"{table.qualified_name}.{column.name}" for table in schema.tables for column in table.columns}
        for name, known in (("tables", tables), ("hidden_columns", columns)):
            # A misspelt hidden column would hide nothing, so it is refused rather than ignored.
            if unknown := sorted(set(cleaned.get(name, [])) - known):
                self.add_error(name, f"Not in this database: {', '.join(unknown)}.")


class TeamChoice(forms.ModelChoiceField[Team]):
    widget = UnfoldAdminSelectWidget


class DraftForm(BaseDialogForm):
    """Who pays: a team that the database is open to, and of the person's own teams."""

    team = TeamChoice(queryset=Team.objects.none(), label="Team that pays")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = Team.objects.filter(active=True, accesses__database=self.object_id)
        self.fields["team"].queryset = rows_of(request_principal(self.request), teams)


class AccessInline(TeamScopedInline):
    model = DatabaseAccess
    form = AccessForm
    readonly_fields = ["shown_filters"]
    verbose_name = "team that may use it"
    verbose_name_plural = "teams that may use it"
    hide_title = True

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        filters = "row_filters" if request_principal(request).is_admin else "shown_filters"
        return ["team", "tables", "hidden_columns", filters]

    @display(description="row filters")
    def shown_filters(self, access: DatabaseAccess) -> str:
        return filters_text(access.row_filters) or "–"


@admin.register(Database)
class DatabaseAdmin(TeamScopedAdmin):
    """Admins add databases and open them to teams; leads see what is open to theirs, and may test and re-read it."""

    form = DatabaseForm
    lead_may = frozenset({"view", "act"})
    admin_may = frozenset({"view", "add", "change", "act", "forget"})
    list_filter = ["dialect", "sync_state"]
    list_select_related = ["catalog"]
    search_fields = ["name", "description"]
    search_help_text = "Searches names and descriptions."
    inlines = [AccessInline]
    actions_row = ["test", "sync"]
    actions_detail = ["test", "sync", "draft", "forget"]
    readonly_fields = [
        "shown_state", "shown_tables", "sync_error", "synced_at", "shown_starters", "shown_notes", "shown_draft_run",
    ]  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        is_admin = request_principal(request).is_admin
        shown = [*DATABASE_TERMS[:2], *(["url"] if is_admin else []), *DATABASE_TERMS[2:]]
        if obj is None:
            return [(None, {"fields": shown})]
        # How many tables there are, and questions about them, would tell a lead of tables closed to the team.
        whole = ["shown_tables", "shown_starters"] if is_admin else []
        state = ["shown_state", "synced_at", "sync_error", *whole]
        told = [*(["shown_notes"] if is_admin else []), "shown_draft_run"]
        return [(None, {"fields": shown}), ("Tables", {"fields": state}), ("Descriptions", {"fields": told})]

    def get_list_display(self, request: HttpRequest) -> list[str]:
        whole = ["shown_tables"] if request_principal(request).is_admin else []
        return ["name", "dialect", "shown_state", *whole, "synced_at", "description"]

    def save_model(self, request: HttpRequest, obj: Database, form: forms.ModelForm[Database], change: bool) -> None:
        actor, values = request_principal(request).actor, form.cleaned_data
        if not change:
            terms = {name: values[name] for name in DATABASE_TERMS}
            added = database_add(
                name=terms.pop("name"), url=values["url"], description=terms.pop("description"), terms=terms,
                actor=actor,
            )  # fmt: skip
            obj.pk, obj._state.adding = added.pk, False
            messages.info(request, "Its tables are being read; reload in a few seconds to see the result.")
            return
        database_change(obj, actor=actor)
        if values["url"]:
            database_url_set(database=obj, url=values["url"], actor=actor)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        actor = request_principal(request).actor
        for access in formset.save(commit=False):
            access_save(access, actor=actor)
        for gone in formset.deleted_objects:
            access_delete(gone, actor=actor)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if change and any(part.has_changed() for part in (form, *formsets)):
            # A team may see other tables and columns now, and some of its examples may not run any more.
            check = partial(examples_check, form.instance.pk, actor=request_principal(request).actor)
            transaction.on_commit(check, robust=True)

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

    @object_action(
        "Draft descriptions", title="Have Claude draft the missing descriptions?", submit="Draft", icon="edit_note",
        text="For the tables that the team sees and that have neither a comment nor a description. It costs the team "
        "what Claude costs; nothing is used before an admin has taken it over.",
        form_class=DraftForm,
    )  # fmt: skip
    def draft(self, request: HttpRequest, database: Database, form: DraftForm) -> str:
        draft_request(database=database, team=form.cleaned_data["team"], actor=request_principal(request).actor)
        messages.success(request, "Claude drafts descriptions; reload in a minute to see how many.")
        return reverse("admin:text2sql_database_change", args=[database.pk])

    # Not for leads: the teams that share the database would pay for their answers again.
    @object_action(
        "Forget cached answers", title="Forget all cached answers about this database?", submit="Forget",
        text="Of all teams. Each question goes to Claude once more, at the expense of the team that asks it first.",
        icon="delete_sweep", verb="forget",
    )  # fmt: skip
    def forget(self, request: HttpRequest, database: Database, form: Any) -> str:
        answers_forget(database, request_principal(request).actor)
        messages.success(request, f"No answer about {database.name} that was cached until now is given any more.")
        return reverse("admin:text2sql_database_change", args=[database.pk])

    def has_forget_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may("forget", request, obj)

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

    @display(description="descriptions")
    def shown_notes(self, database: Database) -> str:
        page = f"{reverse('admin:text2sql_schemanote_changelist')}?database__id__exact={database.pk}"
        notes = SchemaNote.objects.filter(database=database)
        drafts = notes.exclude(draft="").count()
        return format_html(
            '<a class="text-link" href="{}">{} written</a>, <a class="text-link" href="{}">{} drafted for review</a>',
            page, notes.exclude(text="").count(), f"{page}&draft__isempty=0", drafts,
        )  # fmt: skip

    @display(description="last drafts")
    def shown_draft_run(self, database: Database) -> str:
        run = database.last_draft_run  # type: ignore[attr-defined]  # by get_object
        if run is None:
            return "none yet"
        told = {"pending": "waiting", "claimed": "being written", "delivered": "done", "failed": "failed"}[run.state]
        error = f" {run.last_error}" if run.last_error else ""
        return f"{told}, {run.drafted} drafted, at the expense of {run.team.name}.{error}"

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Database | None:
        database: Database | None = super().get_object(request, object_id, from_field)
        if database is not None:
            # A lead is told nothing of what other teams have had drafted, nor of their money.
            runs = DraftRun.objects.filter(
                database=database, team__in=rows_of(request_principal(request), Team.objects.all())
            )
            database.last_draft_run = runs.select_related("team").order_by("-created_at").first()  # type: ignore[attr-defined]  # for this page only
        return database
