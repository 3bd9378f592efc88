from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from teams.admin.base import ReadOnlyAdmin, ScopedRelatedFilter, object_action
from teams.admin.budgets import AmountField
from teams.admin.exports import ExportedAdmin
from teams.admin.filters import ModelFilter, NumbersFilter, TimesFilter
from teams.models import ApiKey, Charge
from teams.services.charges import ChargeNotCorrectable
from teams.site import request_principal
from text2sql.models import Generation
from text2sql.services.corrections import estimate_correct
from text2sql.services.usage import money_text


class CorrectionForm(BaseDialogForm):
    cost = AmountField(label="True cost in USD", decimal_places=12)
    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Where the figure is from; it is audited."
    )


@admin.register(Charge)
class ChargeAdmin(ExportedAdmin, ReadOnlyAdmin):
    """The ledger, edited by nobody; what was only estimated an admin may put right."""

    admin_may = frozenset({"view", "act", "export"})
    lead_may = frozenset({"view", "export"})
    list_display = [
        "charged_at", "team", "database", "model", "shown_cost", "shown_state", "shown_input", "shown_write_5m",
        "shown_write_1h", "shown_read", "shown_output",
    ]  # fmt: skip
    list_filter = [
        ("charged_at", TimesFilter), ("team", ScopedRelatedFilter), "estimated", ("corrected_at", EmptyFieldListFilter),
        "cached", ("model", ModelFilter), ("cost_usd", NumbersFilter),
    ]  # fmt: skip
    list_filter_submit = True
    list_select_related = ["team"]
    list_fullwidth = True
    sortable_by = ["charged_at", "shown_cost"]  # what an index keeps in order
    export_columns = {
        "charged_at": "charged", "started_at": "started", "team__name": "team", "database": "database",
        "model": "model", "end_user": "end user", "cost_usd": "cost in USD", "estimated": "estimated",
        "booked_usd": "first booked in USD", "corrected_at": "corrected", "cached": "cached",
        "input_tokens": "input tokens", "cache_write_5m_tokens": "cache write 5m tokens",
        "cache_write_1h_tokens": "cache write 1h tokens", "cache_read_tokens": "cache read tokens",
        "output_tokens": "output tokens", "generation_id": "generation",
    }  # fmt: skip
    actions_detail = ["correct"]
    fieldsets = [
        (None, {"fields": ["team", "shown_key", "end_user", "database", "model", "shown_question"]}),
        ("Cost", {"fields": ["shown_cost", "shown_state", "shown_booked", "corrected_at", "started_at", "charged_at"]}),
        (
            "Tokens",
            {
                "fields": [
                    "input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens",
                    "output_tokens",
                ]
            },
        ),
    ]  # fmt: skip
    readonly_fields = ["shown_key", "shown_question", "shown_cost", "shown_state", "shown_booked"]

    class Media:
        css = {"all": ["teams/money.css"]}

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        charge = self.get_object(request, str(object_id))
        return super().get_actions_detail(request, object_id) if charge is not None and charge.estimated else []

    @object_action(
        "Correct", title="Put this estimate right?",
        text="Claude never told the bill, so its upper bound was booked. The true cost replaces it in the budgets and"
        " in the question.",
        submit="Correct", icon="edit", form_class=CorrectionForm,
    )  # fmt: skip
    def correct(self, request: HttpRequest, charge: Charge, form: CorrectionForm) -> str:
        values = form.cleaned_data
        try:
            change = estimate_correct(
                charge=charge, cost=values["cost"], reason=values["reason"], actor=request_principal(request).actor
            )
        except ChargeNotCorrectable as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"Corrected by {'-' if change < 0 else '+'}${money_text(abs(change))}.")
        return reverse("admin:teams_charge_change", args=[charge.pk])

    @display(description="cost", ordering="cost_usd")
    def shown_cost(self, charge: Charge) -> str:
        return f"${money_text(charge.cost_usd)}"

    @display(description="input", ordering="input_tokens")
    def shown_input(self, charge: Charge) -> str:
        return f"{charge.input_tokens:,}"

    @display(description="write 5m", ordering="cache_write_5m_tokens")
    def shown_write_5m(self, charge: Charge) -> str:
        return f"{charge.cache_write_5m_tokens:,}"

    @display(description="write 1h", ordering="cache_write_1h_tokens")
    def shown_write_1h(self, charge: Charge) -> str:
        return f"{charge.cache_write_1h_tokens:,}"

    @display(description="read", ordering="cache_read_tokens")
    def shown_read(self, charge: Charge) -> str:
        return f"{charge.cache_read_tokens:,}"

    @display(description="output", ordering="output_tokens")
    def shown_output(self, charge: Charge) -> str:
        return f"{charge.output_tokens:,}"

    @display(description="first booked")
    def shown_booked(self, charge: Charge) -> str:
        return "–" if charge.booked_usd is None else f"${money_text(charge.booked_usd)}"

    @display(
        description="state", label={"estimated": "warning", "corrected": "success", "cached": "info"},
        ordering="estimated",
    )  # fmt: skip
    def shown_state(self, charge: Charge) -> str:
        if charge.corrected_at:
            return "corrected"
        return "estimated" if charge.estimated else "cached" if charge.cached else "as billed"

    @display(description="API key")
    def shown_key(self, charge: Charge) -> str:
        if charge.api_key_id is None:
            return "–"
        key = ApiKey.objects.filter(pk=charge.api_key_id, team=charge.team_id).first()
        return str(key or charge.api_key_id)

    @display(description="question")
    def shown_question(self, charge: Charge) -> str:
        question = Generation.objects.filter(pk=charge.generation_id, team=charge.team_id).first()
        if question is None:
            return "–"
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:text2sql_generation_change", args=[question.pk]), question
        )
