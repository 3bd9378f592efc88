from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from observability.services.prices import PriceUnknown, model_status
from teams.admin.base import TeamScopedAdmin
from teams.models import ModelLimit
from teams.services.budget_edits import model_limit_save
from teams.services.model_limits import output_limits
from teams.site import request_principal


class ModelLimitForm(forms.ModelForm[ModelLimit]):
    class Meta:
        model = ModelLimit
        fields = ["model", "cap_tokens", "floor_tokens"]

    def clean_model(self) -> str:
        model: str = self.cleaned_data["model"]
        try:
            model_status(model, timezone.now())
        except PriceUnknown as error:
            raise ValidationError("This model has no price; see Prices.") from error
        return model

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        cap, floor = cleaned.get("cap_tokens"), cleaned.get("floor_tokens")
        if cap and floor and floor > cap:
            self.add_error("floor_tokens", "The floor lies above the cap.")
        return cleaned


@admin.register(ModelLimit)
class ModelLimitAdmin(TeamScopedAdmin):
    form = ModelLimitForm
    admin_may = frozenset({"view", "add", "change"})
    list_display = ["model", "shown_cap", "shown_floor", "observed_p99", "observed_calls", "observed_at"]

    def get_fieldsets(self, request: HttpRequest, obj: ModelLimit | None = None) -> Any:
        own = [(None, {"fields": ["model", "cap_tokens", "floor_tokens"]})]
        if obj is None:
            return own
        observed = ["observed_p99", "observed_calls", "observed_at"]
        return [*own, ("In force, and observed", {"fields": ["shown_cap", "shown_floor", *observed]})]

    def get_readonly_fields(self, request: HttpRequest, obj: ModelLimit | None = None) -> list[str]:
        shown = ["shown_cap", "shown_floor", "observed_p99", "observed_calls", "observed_at"]
        return ["model", *shown] if obj else []

    def save_model(self, request: HttpRequest, obj: ModelLimit, form: Any, change: Any) -> None:
        model_limit_save(obj, actor=request_principal(request).actor)

    @display(description="cap in force", ordering="cap_tokens")
    def shown_cap(self, limit: ModelLimit) -> str:
        return f"{output_limits(limit.model).cap:,}"

    @display(description="floor in force", ordering="floor_tokens")
    def shown_floor(self, limit: ModelLimit) -> str:
        return f"{output_limits(limit.model).floor:,}"
