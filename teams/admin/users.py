from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from teams.admin.base import TeamScopedAdmin

admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(User)
class UserAdmin(TeamScopedAdmin, DjangoUserAdmin[User]):
    """People. Only admins come here; who leads which team is set on the team's page."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    secrets = frozenset({"password"})
    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser"]
    add_fieldsets = DjangoUserAdmin.add_fieldsets  # unfold's own, empty one would come first
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        (
            "May",
            {
                "fields": ["is_active", "is_superuser"],
                "description": "A superuser is an admin of the whole installation. Leads and members of teams are set "
                "on each team's page.",
            },
        ),
    ]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002  # Django's name for it
        user = self.get_object(request, unquote(id))
        if user is None or request.method != "POST":
            return super().user_change_password(request, id, form_url)
        with self.audited(request, user):
            return super().user_change_password(request, id, form_url)
