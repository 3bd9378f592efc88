from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import QuerySet
from django.forms.models import ModelChoiceIterator
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from teams.admin.bars import local_time, standing_bar, usd
from teams.admin.base import ScopedRelatedFilter, TeamScopedAdmin, object_action
from teams.models import ApiKey, Budget, TopUp
from teams.models.budgets import default_thresholds
from teams.services.budget_edits import budget_delete, budget_save
from teams.services.standings import Standing, budget_standings
from teams.services.top_ups import window_top_up
from teams.services.windows import budget_zone, window_open
from teams.site import request_principal

TOP_UPS_SHOWN = 20


class AmountField(forms.DecimalField):
    """US dollars; what is stored with 12 decimals is shown without the idle ones."""

    widget = UnfoldAdminDecimalFieldWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": Decimal(0), "max_value": Decimal(10_000_000), "decimal_places": 2, **options})

    def prepare_value(self, value: Any) -> Any:
        return f"{value.normalize():f}" if isinstance(value, Decimal) else value


class KeysByTeam(ModelChoiceIterator[ApiKey]):
    """A team's keys stand under its name, so that no other team's is taken by mistake."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        yield "", "all keys and people"
        groups: dict[str, list[tuple[Any, Any]]] = {}
        for key in self.queryset:
            groups.setdefault(key.team.name, []).append(self.choice(key))
        yield from groups.items()


class KeyField(forms.ModelChoiceField[ApiKey]):
    iterator = KeysByTeam

    def label_from_instance(self, key: ApiKey) -> str:
        return f"{key.name} (t2s_{key.prefix}…)"


class BudgetForm(forms.ModelForm[Budget]):
    limit_usd = AmountField(label="Limit in USD")
    request_cap_usd = AmountField(
        label="Most for one call", required=False, decimal_places=6,
        help_text="In USD: calls of Claude that could cost more are refused.",
    )  # fmt: skip
    thresholds = SimpleArrayField(
        forms.IntegerField(min_value=1, max_value=1000), label="Warnings at", required=False, max_length=10,
        help_text="Percent of the limit, separated by commas; each is told once in a period.",
        initial=default_thresholds, widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip

    class Meta:
        model = Budget
        fields = [
            "team", "api_key", "period", "limit_usd", "request_limit", "request_cap_usd", "at_limit", "degrade_from",
            "thresholds",
        ]  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        key = cleaned.get("api_key")
        if key is not None and cleaned.get("team") is None and "team" not in self.errors:
            cleaned["team"] = key.team
        return cleaned


class TopUpForm(BaseDialogForm):
    amount = AmountField(label="Amount in USD", min_value=Decimal("0.01"))
    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)


class StandingList(ChangeList):
    """The page's budgets with their standings, read for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        stand(list(self.result_list))


def stand(budgets: list[Budget]) -> None:
    for standing in budget_standings(budgets, now=timezone.now()):
        standing.budget.standing = standing  # type: ignore[attr-defined]  # for the columns of this page only


@admin.register(Budget)
class BudgetAdmin(TeamScopedAdmin):
    """Admins set budgets and top them up; leads see those of their teams, not the organisation's."""

    form = BudgetForm
    admin_may = frozenset({"view", "add", "change", "delete", "act"})
    lead_may = frozenset({"view"})
    list_display = [
        "shown_scope", "shown_period", "shown_bar", "shown_total", "shown_spent", "shown_external", "shown_reserved",
        "shown_remaining", "shown_forecast", "shown_end",
    ]  # fmt: skip
    list_filter = [("team", ScopedRelatedFilter), "period", "at_limit"]
    list_select_related = ["team", "api_key"]
    list_before_template = "admin/teams/budget/legend.html"
    list_fullwidth = True
    actions_row = ["top_up"]
    actions_detail = ["top_up"]
    radio_fields = {"at_limit": admin.VERTICAL}

    class Media:
        css = {"all": ["teams/money.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return StandingList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Budget | None:
        budget: Budget | None = super().get_object(request, object_id, from_field)
        if budget is not None:
            stand([budget])
        return budget

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return super().get_queryset(request).select_related("team", "api_key")

    def get_fieldsets(self, request: HttpRequest, obj: Budget | None = None) -> Any:
        may_change = obj is None or self.has_change_permission(request, obj)
        limits = ["limit_usd", "request_limit", "request_cap_usd"]
        if not may_change:
            limits = ["shown_own_limit", "request_limit", "shown_cap"]
        terms = [
            ("Limits", {"fields": limits}),
            ("When money runs short", {"fields": ["at_limit", "degrade_from", "thresholds"]}),
        ]
        if obj is None:
            return [("Whose money, and for how long", {"fields": ["team", "api_key", "period"]}), *terms]
        present = [
            "shown_whose", "period", "shown_bar", "shown_limit", "shown_spent", "shown_external", "shown_reserved",
            "shown_remaining", "shown_requests", "shown_forecast", "shown_money_ends", "shown_end",
        ]  # fmt: skip
        return [
            (f"This {obj.period}", {"fields": present}), *terms, ("Top-ups", {"fields": ["shown_top_ups"]}),
        ]  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Budget | None = None) -> list[str]:
        shown = [name for name in dir(self) if name.startswith("shown_")]
        return ["period", *shown] if obj else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "api_key":
            keys = self._choices(db_field, request).filter(revoked_at=None).select_related("team")
            kwargs |= {"queryset": keys.order_by("team__name", "name"), "form_class": KeyField}
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "team":
            field.empty_label = "the whole organisation"
        return field

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Its windows and top-ups go with it although nobody edits those; the charges stay.
        deleted, counts, _, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, set(), protected

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: Any) -> None:
        budget_save(obj, actor=request_principal(request).actor)

    def delete_model(self, request: HttpRequest, obj: Budget) -> None:
        budget_delete(obj, actor=request_principal(request).actor)

    @object_action(
        "Top up", title="Add money to the present period?",
        text="Raises the limit of this period only and takes effect with the next question.",
        submit="Top up", icon="add_card", form_class=TopUpForm,
    )  # fmt: skip
    def top_up(self, request: HttpRequest, budget: Budget, form: TopUpForm) -> str:
        window = window_open(budget=budget, at=timezone.now())
        top_up = window_top_up(
            window=window, amount=form.cleaned_data["amount"], reason=form.cleaned_data["reason"],
            actor=request_principal(request).actor,
        )  # fmt: skip
        ends = local_time(window.ends_at, budget_zone(budget))
        messages.success(request, f"{budget.scope_name}: {usd(top_up.amount_usd, 2)} more until {ends}.")
        return reverse("admin:teams_budget_change", args=[budget.pk])

    @display(description="budget of", ordering="team")
    def shown_scope(self, budget: Budget) -> str:
        return budget.scope_name

    @display(description="budget of")
    def shown_whose(self, budget: Budget) -> str:
        if budget.team_id is None:
            return "the whole organisation"
        return format_html("{} · {}", budget.scope_name, spending_link(budget.team_id))

    @display(description="period")
    def shown_period(self, budget: Budget) -> str:
        period = budget.get_period_display()
        return period if budget.team_id is None else format_html("{}<br>{}", period, spending_link(budget.team_id))

    @display(description="limit", ordering="limit_usd")
    def shown_total(self, budget: Budget) -> str:
        return usd(standing_of(budget).limit_usd, 2)

    @display(description="limit")
    def shown_limit(self, budget: Budget) -> str:
        top_up = standing_of(budget).window.top_up_usd
        return usd(budget.limit_usd, 2) + (f" and {usd(top_up, 2)} topped up" if top_up else "")

    @display(description="limit")
    def shown_own_limit(self, budget: Budget) -> str:
        return usd(budget.limit_usd, 2)

    @display(description="most for one call")
    def shown_cap(self, budget: Budget) -> str:
        return "–" if budget.request_cap_usd is None else usd(budget.request_cap_usd)

    @display(description="used")
    def shown_bar(self, budget: Budget) -> str:
        return standing_bar(standing_of(budget))

    @display(description="spent")
    def shown_spent(self, budget: Budget) -> str:
        return usd(standing_of(budget).window.spent_usd)

    @display(description="external")
    def shown_external(self, budget: Budget) -> str:
        return usd(standing_of(budget).window.external_usd)

    @display(description="reserved")
    def shown_reserved(self, budget: Budget) -> str:
        return usd(standing_of(budget).window.reserved_usd)

    @display(description="remaining")
    def shown_remaining(self, budget: Budget) -> str:
        return usd(standing_of(budget).remaining_usd)

    @display(description="questions")
    def shown_requests(self, budget: Budget) -> str:
        asked = standing_of(budget).window.requests
        return f"{asked:,}" if budget.request_limit is None else f"{asked:,} of {budget.request_limit:,}"

    @display(description="forecast")
    def shown_forecast(self, budget: Budget) -> str:
        foretold = standing_of(budget).forecast
        return usd(foretold.total_usd, 2) if foretold else "too little history"

    @display(description="money ends")
    def shown_money_ends(self, budget: Budget) -> str:
        return money_ends(standing_of(budget))

    @display(description="next period")
    def shown_end(self, budget: Budget) -> str:
        zone = budget_zone(budget)
        return format_html(
            '<span class="money-time">{}</span> {}', local_time(standing_of(budget).window.ends_at, zone), zone.key
        )

    @display(description="top-ups")
    def shown_top_ups(self, budget: Budget) -> str:
        zone = budget_zone(budget)
        rows = TopUp.objects.filter(window__budget=budget).select_related("window")[:TOP_UPS_SHOWN]
        shown = [
            {
                "created": local_time(top_up.created_at, zone),
                "amount": usd(top_up.amount_usd, 2),
                "reason": top_up.reason,
                "actor": top_up.actor,
                "period": local_time(top_up.window.starts_at, zone),
            }
            for top_up in rows
        ]
        return render_to_string("admin/teams/budget/top_ups.html", {"top_ups": shown, "budget": budget})


def spending_link(team_id: str) -> str:
    return format_html('<a class="text-link" href="{}">Spending</a>', reverse("spending_team", args=[team_id]))


def standing_of(budget: Budget) -> Standing:
    standing: Standing = budget.standing  # type: ignore[attr-defined]  # set by `stand`
    return standing


def money_ends(standing: Standing) -> str:
    if standing.forecast is None:
        return "–"
    if standing.forecast.ends_at is None:
        return "it lasts"
    if standing.window.used_usd >= standing.limit_usd:
        return "it has ended"
    return f"about {local_time(standing.forecast.ends_at, budget_zone(standing.budget))}"
