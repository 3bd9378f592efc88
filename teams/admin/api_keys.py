from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from teams.access import Scope
from teams.admin.base import ScopedRelatedFilter, TeamScopedAdmin, object_action
from teams.models import ApiKey
from teams.services.keys import key_issue, key_revoke
from teams.site import request_principal


class ApiKeyForm(forms.ModelForm[ApiKey]):
    scopes = forms.MultipleChoiceField(
        label="May",
        choices=[
            (Scope.GENERATE, "generate: ask questions and give feedback"),
            (Scope.EXECUTE, "execute: run the SQL and see rows"),
            (Scope.READ, "read: see past questions, databases, usage and budget"),
        ],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        initial=[scope.value for scope in Scope],
    )

    class Meta:
        model = ApiKey
        fields = ["team", "name", "scopes", "expires_at"]

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError("This moment has passed: the key would never be valid.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(TeamScopedAdmin):
    """Leads issue and revoke the keys of their own teams."""

    form = ApiKeyForm
    admin_may = lead_may = frozenset({"view", "add", "act"})
    list_display = ["name", "team", "shown_prefix", "shown_scopes", "shown_state", "last_used_at", "created_at"]
    list_filter = [("team", ScopedRelatedFilter)]
    list_select_related = ["team"]
    search_fields = ["name", "prefix"]
    search_help_text = "Searches names and prefixes."
    actions_row = ["revoke"]
    actions_detail = ["revoke"]

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["team", "name", "scopes", "expires_at"]})]
        shown = ["name", "team", "shown_prefix", "shown_scopes", "shown_state"]
        times = ["expires_at", "revoked_at", "last_used_at", "created_at", "shown_creator"]
        return [(None, {"fields": shown}), ("When", {"fields": times})]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return [name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        own = request_principal(request).lead_team_ids
        return {**({"team": next(iter(own))} if len(own) == 1 else {}), **super().get_changeform_initial_data(request)}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # What follows a new key is the page that shows it, whichever button was pressed.
        only_save = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), **only_save}
        )
        return page

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm[ApiKey], change: bool) -> None:
        values = form.cleaned_data
        key, token = key_issue(
            team=values["team"],
            name=values["name"],
            scopes=[Scope(scope) for scope in values["scopes"]],
            expires_at=values["expires_at"],
            created_by=request.user,  # type: ignore[arg-type]  # the admin's door lets only users in
            actor=request_principal(request).actor,
        )
        obj.pk, obj.prefix = key.pk, key.prefix
        request._issued_token = token  # type: ignore[attr-defined]  # noqa: SLF001  # for response_add, in this request

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that ever shows the key; it is neither stored nor put into the session."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new API key",
            "opts": self.model._meta,
            "key": obj,
            "token": request._issued_token,  # type: ignore[attr-defined]  # noqa: SLF001  # set by save_model
        }
        response = TemplateResponse(request, "admin/teams/apikey/issued.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    @object_action(
        "Revoke",
        title="Revoke this API key?",
        text="Whatever uses it is refused from its next request on. This cannot be undone.",
        submit="Revoke",
        icon="key_off",
    )
    def revoke(self, request: HttpRequest, key: ApiKey, form: Any) -> str:
        key_revoke(key=key, actor=request_principal(request).actor)
        messages.success(request, f"{key} is revoked.")
        return reverse("admin:teams_apikey_changelist")

    @display(description="key")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"t2s_{key.prefix}…"

    @display(description="may")
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(description="state", label={"valid": "success", "expired": "warning", "revoked": "danger"})
    def shown_state(self, key: ApiKey) -> str:
        return key.state

    @display(description="issued by")
    def shown_creator(self, key: ApiKey) -> str:
        return key.created_by.get_username() if key.created_by else "–"
