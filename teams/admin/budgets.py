from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from teams.admin.base import ReadOnlyAdmin, ScopedRelatedFilter, TeamScopedAdmin
from teams.models import Budget, BudgetCheck, BudgetWindow, Charge


class AmountField(forms.DecimalField):
    """US dollars; what is stored with 12 decimals is shown without the idle ones."""

    widget = UnfoldAdminDecimalFieldWidget

    def prepare_value(self, value: Any) -> Any:
        return f"{value.normalize():f}" if isinstance(value, Decimal) else value


class BudgetForm(forms.ModelForm[Budget]):
    limit_usd = AmountField(label="Limit in USD", min_value=Decimal(0), max_value=Decimal(10_000_000), decimal_places=2)

    class Meta:
        model = Budget
        fields = ["team", "period", "limit_usd"]


@admin.register(Budget)
class BudgetAdmin(TeamScopedAdmin):
    form = BudgetForm
    lead_may = frozenset({"view"})
    list_display = ["team", "period", "shown_limit", "shown_bar", "shown_spent", "shown_reserved", "shown_end"]
    list_filter = [("team", ScopedRelatedFilter), "period"]
    list_select_related = ["team"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return ["team", "period", "limit_usd"]
        limit = "limit_usd" if self.has_change_permission(request, obj) else "shown_limit"
        return ["team", "period", limit, "shown_bar", "shown_spent", "shown_reserved", "shown_end"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        shown = ["shown_limit", "shown_bar", "shown_spent", "shown_reserved", "shown_end"]
        return ["team", "period", *shown] if obj else []

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Its windows and their checks go with it although nobody edits those; the charges stay.
        deleted, counts, _, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, set(), protected

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        now = timezone.now()
        current = BudgetWindow.objects.filter(starts_at__lte=now, ends_at__gt=now)
        return super().get_queryset(request).prefetch_related(Prefetch("windows", current, to_attr="current"))

    @display(description="limit", ordering="limit_usd")
    def shown_limit(self, budget: Budget) -> str:
        return usd(budget.limit_usd, 2)

    @display(description="used")
    def shown_bar(self, budget: Budget) -> str:
        window = _current(budget)
        spent = _percent(window.spent_usd, budget) if window else 0.0
        reserved = _percent(window.reserved_usd, budget) if window else 0.0
        colour = "#dc2626" if spent >= 100 else "#d97706" if spent >= 80 else "#16a34a"
        return format_html(
            '<div role="img" aria-label="{}" title="{}" style="display:flex;align-items:center;gap:.5rem">'
            '<span style="display:flex;width:10rem;height:.6rem;border-radius:.3rem;overflow:hidden;'
            'background:rgba(128,128,128,.25)"><span style="width:{}%;background:{}"></span>'
            '<span style="width:{}%;background:#94a3b8"></span></span>{} %</div>',
            f"{spent:.0f} % spent, {reserved:.0f} % reserved",
            f"{spent:.1f} % spent, {reserved:.1f} % reserved",
            f"{min(spent, 100):.1f}",
            colour,
            f"{min(reserved, max(100 - spent, 0)):.1f}",
            f"{spent:.0f}",
        )

    @display(description="spent")
    def shown_spent(self, budget: Budget) -> str:
        window = _current(budget)
        return usd(window.spent_usd) if window else "nothing yet"

    @display(description="reserved")
    def shown_reserved(self, budget: Budget) -> str:
        window = _current(budget)
        return usd(window.reserved_usd) if window else "–"

    @display(description="next period")
    def shown_end(self, budget: Budget) -> str:
        window = _current(budget)
        if window is None:
            return "–"
        return f"{window.ends_at.astimezone(budget.team.time_zone):%Y-%m-%d %H:%M} {budget.team.time_zone.key}"


@admin.register(Charge)
class ChargeAdmin(ReadOnlyAdmin):
    list_display = [
        "charged_at",
        "team",
        "database",
        "model",
        "shown_cost",
        "input_tokens",
        "output_tokens",
        "estimated",
    ]
    list_filter = [("team", ScopedRelatedFilter), "estimated", "model"]
    list_select_related = ["team"]
    date_hierarchy = "charged_at"

    @display(description="cost", ordering="cost_usd")
    def shown_cost(self, charge: Charge) -> str:
        return usd(charge.cost_usd, 6)

    @display(description="estimated", ordering="estimated")
    def shown_estimated(self, charge: Charge) -> str:
        return "yes" if charge.estimated else "–"


@admin.register(BudgetCheck)
class BudgetCheckAdmin(ReadOnlyAdmin):
    list_display = ["checked_at", "shown_team", "shown_window", "shown_ours", "shown_langfuse", "shown_drift", "error"]
    list_select_related = ["window__budget__team"]
    list_filter = [("window__budget__team", ScopedRelatedFilter)]

    @display(description="team")
    def shown_team(self, check: BudgetCheck) -> str:
        return check.window.budget.team.name

    @display(description="window from")
    def shown_window(self, check: BudgetCheck) -> str:
        return f"{check.window.starts_at.astimezone(check.window.budget.team.time_zone):%Y-%m-%d %H:%M}"

    @display(description="ours")
    def shown_ours(self, check: BudgetCheck) -> str:
        return usd(check.ledger_usd)

    @display(description="Langfuse's")
    def shown_langfuse(self, check: BudgetCheck) -> str:
        return "–" if check.langfuse_usd is None else usd(check.langfuse_usd)

    @display(description="difference")
    def shown_drift(self, check: BudgetCheck) -> str:
        return "–" if check.langfuse_usd is None else usd(check.langfuse_usd - check.ledger_usd)


def usd(amount: Decimal, decimals: int = 4) -> str:
    return f"${amount:,.{decimals}f}"


def _current(budget: Any) -> BudgetWindow | None:
    return budget.current[0] if budget.current else None


def _percent(amount: Decimal, budget: Budget) -> float:
    return float(amount / budget.limit_usd * 100) if budget.limit_usd else 100.0
