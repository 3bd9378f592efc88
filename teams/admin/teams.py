from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from teams.admin.bars import usd
from teams.admin.base import TeamScopedAdmin, TeamScopedInline
from teams.admin.budgets import AmountField
from teams.models import Budget, Membership, Team
from teams.services.budget_edits import budget_delete, budget_save
from teams.site import request_principal

ABOUT = ["slug", "name", "time_zone", "active"]
MODELS = ["model", "effort", "repair_model", "repair_effort", "degraded_model", "degraded_effort"]
LADDER = "Who answers this team's questions, who mends SQL that does not pass, and who answers when money runs short."
TEAM_PAGES = [("spending_team", "Spending"), ("answer_cache_team", "Answer cache")]
TEAM_LISTS = [
    ("savings", "team", "Where to save"),
    ("admin:text2sql_generation_changelist", "team__slug__exact", "Generations"),
    ("admin:feedback_feedback_changelist", "generation__team__slug__exact", "Feedback"),
    ("admin:text2sql_example_changelist", "access__team__slug__exact", "Examples"),
    ("admin:teams_apikey_changelist", "team__slug__exact", "API keys"),
    ("admin:teams_budget_changelist", "team__slug__exact", "Budgets"),
]
"""Lists of other rooms, by the names of their addresses and of the filter for a team."""
EFFORTS = ("low", "medium", "high", "xhigh", "max")


class EffortField(forms.ChoiceField):
    widget = UnfoldAdminSelectWidget

    def __init__(self, label: str, *, empty: str = "the installation's default", help_text: str = "") -> None:
        choices = [("", empty), *((effort, effort) for effort in EFFORTS)]
        super().__init__(label=label, choices=choices, required=False, help_text=help_text)


class MembershipInline(TeamScopedInline):
    model = Membership
    autocomplete_fields = ["user"]
    readonly_fields = ["shown_user"]
    hide_title = True

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # For leads a name, not a link: people's own pages are the admins'.
        return ["user" if request_principal(request).is_admin else "shown_user", "role"]

    @display(description="user")
    def shown_user(self, membership: Membership) -> str:
        return membership.user.get_username()


class TeamBudgetForm(forms.ModelForm[Budget]):
    """A budget of the whole team; the rest of its terms are on its own page."""

    limit_usd = AmountField(label="Limit in USD")

    class Meta:
        model = Budget
        fields = ["period", "limit_usd", "at_limit"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["period"].disabled = not self.instance._state.adding

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        # Django leaves an inline's parent out of the checks of constraints.
        others = Budget.objects.filter(team=self.instance.team_id, api_key=None, period=cleaned.get("period"))
        if self.instance._state.adding and others.exists():
            self.add_error("period", "A budget of the whole team with this period already exists.")
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        # Two new rows of one period are then seen to be the same.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # Django's, without a stub
        return excluded - {"team", "api_key"}


class BudgetInline(TeamScopedInline):
    model = Budget
    form = TeamBudgetForm
    readonly_fields = ["shown_key", "shown_limit"]
    hide_title = True

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        limit = "limit_usd" if request_principal(request).is_admin else "shown_limit"
        return ["shown_key", "period", limit, "at_limit"]

    @display(description="of")
    def shown_key(self, budget: Budget) -> str:
        whose = "the whole team" if budget.api_key is None else budget.api_key.name
        if budget._state.adding:
            return whose
        page = reverse("admin:teams_budget_change", args=[budget.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', page, whose)

    @display(description="limit")
    def shown_limit(self, budget: Budget) -> str:
        return usd(budget.limit_usd, 2)


class TeamForm(forms.ModelForm[Team]):
    """A word that Claude does not know would have every question refused."""

    effort = EffortField("Effort", help_text="How hard the model thinks, where it lets one say so.")
    repair_effort = EffortField("Repair effort", empty="as for the first attempt")
    degraded_effort = EffortField("Cheaper effort", empty="the model's own")

    class Meta:
        model = Team
        fields = [*ABOUT, *MODELS]


@admin.register(Team)
class TeamAdmin(TeamScopedAdmin):
    form = TeamForm
    lead_may = frozenset({"view"})
    list_display = ["slug", "name", "time_zone", "shown_model", "active"]
    search_fields = ["slug", "name"]
    search_help_text = "Searches slugs and names."
    list_filter = ["active"]
    inlines = [MembershipInline, BudgetInline]
    change_form_after_template = "admin/text2sql/team/page.html"

    class Media:
        css = {"all": ["teams/team.css", "teams/money.css"]}

    @display(description="model")
    def shown_model(self, team: Team) -> str:
        return team.model or "default"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug", "shown_pages"] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        about = [*ABOUT, "shown_pages"] if obj else ABOUT
        return [(None, {"fields": about}), ("Models", {"fields": MODELS, "description": LADDER})]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model is not Budget:
            super().save_formset(request, form, formset, change)
            return
        actor = request_principal(request).actor
        formset.save(commit=False)
        for budget in formset.deleted_objects:
            budget_delete(budget, actor=actor)
        for budget in [*formset.new_objects, *(budget for budget, _ in formset.changed_objects)]:
            budget_save(budget, actor=actor)

    @display(description="this team")
    def shown_pages(self, team: Team) -> str:
        """Links to what there is of the team; each page and list is scoped by itself."""
        links = [(reverse(name, args=[team.pk]), words) for name, words in TEAM_PAGES]
        links += [(f"{reverse(name)}?{urlencode({lookup: team.pk})}", words) for name, lookup, words in TEAM_LISTS]
        items = format_html_join("", '<li><a class="text-link" href="{}">{}</a></li>', links)
        return format_html('<ul class="team-pages">{}</ul>', items)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A team's generations and charges outlive it; it is made inactive instead.
        return False
