from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from teams.admin.base import ScopedRelatedFilter, TeamScopedAdmin, object_action
from teams.site import request_principal
from text2sql.models import Glossary
from text2sql.models.context import GLOSSARY_BYTES
from text2sql.services.glossaries import glossary_save

VERSIONS_SHOWN = 50


def is_in_force(glossary: Glossary) -> bool:
    return glossary.number == glossary.access.glossary_number


class GlossaryForm(forms.ModelForm[Glossary]):
    text = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 20}))

    class Meta:
        model = Glossary
        fields = ["access", "text"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "text" in self.fields:  # an old version is only shown
            self.fields["text"].help_text = format_html(
                "Terms, metrics and rules, as this team uses them; Claude reads them with every question. "
                '<span data-bytes-of="id_text">{}</span> of {} bytes.',
                f"{len(self.instance.text.encode()):,}", f"{GLOSSARY_BYTES:,}",
            )  # fmt: skip

    def clean_text(self) -> str:
        # A browser sends two bytes for the end of a line.
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.instance._state.adding and not is_in_force(self.instance):
            access = self.instance.access
            newest = access.glossaries.get(number=access.glossary_number)
            raise ValidationError(
                "Meanwhile %(by)s saved version %(number)s. Copy your text, open that version and put it in there.",
                params={"by": newest.actor, "number": newest.number},
            )
        return cleaned


class InForceList(ChangeList):
    """One line for each team and database: the version in force."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Glossary]:
        found: QuerySet[Glossary] = super().get_queryset(request, exclude_parameters)
        return found.filter(number=F("access__glossary_number"))


@admin.register(Glossary)
class GlossaryAdmin(TeamScopedAdmin):
    """What a team calls things in a database. Saving makes a new version; an old one can be taken up again."""

    form = GlossaryForm
    admin_may = lead_may = frozenset({"view", "add", "change", "act"})
    list_display = ["shown_database", "shown_team", "number", "shown_size", "actor", "created_at"]
    list_filter = [("access__database", ScopedRelatedFilter), ("access__team", ScopedRelatedFilter)]
    list_select_related = ["access__database", "access__team"]
    search_fields = ["text", "access__database__name"]
    search_help_text = "Searches texts and databases."
    actions_detail = ["take_up"]
    readonly_fields = ["shown_database", "shown_team", "shown_versions", "shown_text", "number", "actor", "created_at"]

    class Media:
        css = {"all": ["text2sql/answers.css"]}
        js = ["text2sql/bytes.js"]

    def get_fieldsets(self, request: HttpRequest, obj: Glossary | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["access", "text"]})]
        text = "text" if self.has_change_permission(request, obj) else "shown_text"
        return [
            (None, {"fields": ["shown_database", "shown_team", "number", "actor", "created_at", text]}),
            ("Versions", {"fields": ["shown_versions"]}),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Glossary]:
        return super().get_queryset(request).select_related("access__database", "access__team")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return InForceList

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Who was editing while somebody else saved is told so by the form, with the text still in it.
        is_open = not isinstance(obj, Glossary) or is_in_force(obj) or request.method == "POST"
        return is_open and super().has_change_permission(request, obj)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        glossary = self.get_object(request, str(object_id))
        is_old = glossary is not None and not is_in_force(glossary)
        return super().get_actions_detail(request, object_id) if is_old else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = self._choices(db_field, request).filter(glossary_number=0).select_related("database")
        field = super().formfield_for_foreignkey(db_field, request, queryset=rows, **kwargs)
        field.label, field.help_text = "Team and database", "Those that have a glossary already are in the list."
        return field

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:  # fmt: skip
        # What was edited is an old version once it is saved.
        only_save = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), **only_save}
        )
        return page

    def save_model(self, request: HttpRequest, obj: Glossary, form: forms.ModelForm[Glossary], change: bool) -> None:
        saved = glossary_save(access=obj.access, text=form.cleaned_data["text"], actor=request_principal(request).actor)
        obj.pk, obj.number, obj._state.adding = saved.pk, saved.number, False

    @object_action(
        "Take up again", title="Take this version up again?", submit="Take up", icon="history",
        text="Its text becomes a new version, in force with the next question; the one before stays in the list.",
    )  # fmt: skip
    def take_up(self, request: HttpRequest, glossary: Glossary, form: Any) -> str:
        actor = request_principal(request).actor
        saved = glossary_save(access=glossary.access, text=glossary.text, actor=actor)
        messages.success(request, f"The text of version {glossary.number} is in force, as version {saved.number}.")
        return reverse("admin:text2sql_glossary_change", args=[saved.pk])

    @display(description="database", ordering="access__database__name")
    def shown_database(self, glossary: Glossary) -> str:
        return glossary.access.database.name

    @display(description="team", ordering="access__team__name")
    def shown_team(self, glossary: Glossary) -> str:
        return glossary.access.team.name

    @display(description="size")
    def shown_size(self, glossary: Glossary) -> str:
        return f"{len(glossary.text.encode()):,} bytes" if glossary.text else "empty"

    @display(description="text")
    def shown_text(self, glossary: Glossary) -> str:
        return format_html('<div class="answers-text">{}</div>', glossary.text) if glossary.text else "–"

    @display(description="versions")
    def shown_versions(self, glossary: Glossary) -> str:
        versions = glossary.access.glossaries.order_by("-number")[:VERSIONS_SHOWN]
        shown = [{"row": row, "size": self.shown_size(row)} for row in versions]
        context = {"versions": shown, "glossary": glossary, "in_force": glossary.access.glossary_number}
        return render_to_string("admin/text2sql/glossary/versions.html", context)
