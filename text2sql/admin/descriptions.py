from difflib import get_close_matches
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.urls import path, reverse_lazy
from django.utils.html import format_html, format_html_join
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from teams.admin.base import ScopedRelatedFilter, TeamScopedAdmin
from teams.site import request_principal
from text2sql.models import Database, SchemaNote
from text2sql.services.notes import drafts_take, note_delete, note_save

NAMES_URL = reverse_lazy("admin:text2sql_schemanote_names")


class NoteForm(forms.ModelForm[SchemaNote]):
    table = forms.CharField(
        widget=UnfoldAdminTextInputWidget(attrs={"list": "note-tables", "autocomplete": "off"}),
        help_text="One of the database's tables, with its schema where the list shows one.",
    )
    column = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"list": "note-columns", "autocomplete": "off"}),
        help_text="Empty: the description is the table's.",
    )
    text = forms.CharField(
        label="Description", required=False, max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Takes the place of the database's own comment, for every team that sees the table.",
    )  # fmt: skip

    class Meta:
        model = SchemaNote
        fields = ["database", "table", "column", "text", "is_sampled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "table" in self.fields:
            self.fields["table"].widget.attrs["data-names"] = NAMES_URL

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        database = cleaned.get("database")
        if database is not None and "table" in cleaned:
            self._check_names(database, cleaned["table"], cleaned.get("column", ""))
        return cleaned

    def _check_names(self, database: Database, table: str, column: str) -> None:
        names = table_columns(database)
        if not names:
            raise ValidationError({"database": "Its tables have not been read yet."})
        if table not in names:
            self.add_error("table", _unknown(table, list(names)))
        elif column and column not in names[table]:
            self.add_error("column", _unknown(column, names[table]))


def table_columns(database: Database) -> dict[str, list[str]]:
    """The columns of each table, by its qualified name; empty where nothing has been read."""
    tables = database.catalog.schema.tables if database.catalog else ()
    return {table.qualified_name: [column.name for column in table.columns] for table in tables}


def _unknown(name: str, known: list[str]) -> str:
    close = ", ".join(get_close_matches(name, known, 3))
    return f"Not in this database: {name}." + (f" Closest: {close}." if close else "")


@admin.register(SchemaNote)
class SchemaNoteAdmin(TeamScopedAdmin):
    """What Claude is told of tables and columns. It is in the prompts of every team that sees them: for admins only."""

    form = NoteForm
    admin_may = frozenset({"view", "add", "change", "delete", "act"})
    list_display = ["shown_name", "database", "text", "draft", "shown_values"]
    list_filter = [("database", ScopedRelatedFilter), ("draft", EmptyFieldListFilter), "is_sampled"]
    list_select_related = ["database"]
    list_fullwidth = True
    search_fields = ["table", "column", "text", "draft"]
    search_help_text = "Searches tables, columns, descriptions and drafts."
    actions = ["take_drafts"]
    readonly_fields = ["shown_draft", "shown_samples", "updated_at"]

    class Media:
        css = {"all": ["text2sql/answers.css"]}
        js = ["text2sql/notes.js"]

    def get_fieldsets(self, request: HttpRequest, obj: SchemaNote | None = None) -> Any:
        told = ["database", "table", "column", "text"]
        if obj is None:
            return [(None, {"fields": [*told, "is_sampled"]})]
        draft = ["shown_draft"] if obj.draft else []
        values = [("Values", {"fields": ["is_sampled", "shown_samples"]})] if obj.column else []
        return [(None, {"fields": [*told, *draft, "updated_at"]}), *values]

    def get_readonly_fields(self, request: HttpRequest, obj: SchemaNote | None = None) -> list[str]:
        return [*self.readonly_fields, *(["database", "table", "column"] if obj else [])]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A description that is added from the list of one database is of that database."""
        filters = QueryDict(request.GET.get("_changelist_filters", ""))
        chosen = {"database": pk} if (pk := filters.get("database__id__exact")) else {}
        return {**chosen, **super().get_changeform_initial_data(request)}

    def get_urls(self) -> list[Any]:
        names = path("names/", self.admin_site.admin_view(self.names), name="text2sql_schemanote_names")
        return [names, *super().get_urls()]

    def names(self, request: HttpRequest) -> HttpResponse:
        """The tables of `?database=`, or the columns of its `&table=`, for the form to offer."""
        if not self.may("add", request):
            raise PermissionDenied
        try:
            database = Database.objects.select_related("catalog").get(pk=request.GET.get("database", ""))
        except (Database.DoesNotExist, ValidationError):
            raise Http404 from None
        known = table_columns(database)
        table = request.GET.get("table")
        return JsonResponse({"names": sorted(known) if table is None else known.get(table, [])})

    def save_model(
        self, request: HttpRequest, obj: SchemaNote, form: forms.ModelForm[SchemaNote], change: bool
    ) -> None:
        if obj.text:
            obj.draft = ""  # a person has decided
        note_save(note=obj, actor=request_principal(request).actor)
        if obj.is_sampled and "is_sampled" in form.changed_data:
            messages.info(request, "Its values are read with the tables: Read tables on the database's page.")

    def delete_model(self, request: HttpRequest, obj: SchemaNote) -> None:
        note_delete(note=obj, actor=request_principal(request).actor)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SchemaNote]) -> None:
        for note in queryset.select_related("database"):
            note_delete(note=note, actor=request_principal(request).actor)

    @action(description="Take over drafts", permissions=["act"])
    def take_drafts(self, request: HttpRequest, queryset: QuerySet[SchemaNote]) -> None:
        notes = list(queryset.select_related("database"))
        count = drafts_take(notes=notes, actor=request_principal(request).actor)
        without = f" {len(notes) - count} had none." if count < len(notes) else ""
        messages.success(request, f"{count} draft{'' if count == 1 else 's'} taken over.{without}")

    @display(description="table or column", ordering="table")
    def shown_name(self, note: SchemaNote) -> str:
        return str(note)

    @display(description="draft")
    def shown_draft(self, note: SchemaNote) -> str:
        return format_html(
            "{}<br><em>Proposed by Claude. Take over drafts, in the list, makes it the description; so does copying it "
            "above, where you may improve it.</em>",
            note.draft,
        )

    @display(description="values", label={"shown": "warning"}, ordering="is_sampled")
    def shown_values(self, note: SchemaNote) -> str | None:
        return "shown" if note.is_sampled else None

    @display(description="as last read")
    def shown_samples(self, note: SchemaNote) -> str:
        if not note.samples:
            return "none: they are read with the tables, where a column has at most 20" if note.is_sampled else "–"
        return format_html_join(", ", "<code>{}</code>", ((value,) for value in note.samples))
