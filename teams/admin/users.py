from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
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
