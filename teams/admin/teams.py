from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from teams.admin.base import TeamScopedAdmin, TeamScopedInline
from teams.admin.budgets import BudgetForm, usd
from teams.models import Budget, Membership, Team
from teams.site import request_principal


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


class BudgetInline(TeamScopedInline):
    model = Budget
    form = BudgetForm
    readonly_fields = ["shown_limit"]
    hide_title = True

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["period", "limit_usd" if request_principal(request).is_admin else "shown_limit"]

    @display(description="limit")
    def shown_limit(self, budget: Budget) -> str:
        return usd(budget.limit_usd, 2)


@admin.register(Team)
class TeamAdmin(TeamScopedAdmin):
    lead_may = frozenset({"view"})
    fields = ["slug", "name", "time_zone", "model", "active"]
    list_display = ["slug", "name", "time_zone", "shown_model", "active"]
    search_fields = ["slug", "name"]
    search_help_text = "Searches slugs and names."
    list_filter = ["active"]
    inlines = [MembershipInline, BudgetInline]

    @display(description="model")
    def shown_model(self, team: Team) -> str:
        return team.model or "default"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A team's generations and charges outlive it; it is made inactive instead.
        return False
