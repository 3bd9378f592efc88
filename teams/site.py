"""The admin's door: admins and team leads come in, nobody else.

It stands outside teams.admin: importing the rooms registers them, and the site must be whole by then.
"""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from observability.services.audit import change_audited
from teams.access import Principal
from teams.services.members import user_principal


def request_principal(request: HttpRequest) -> Principal:
    """The signed-in user's Principal, read once per request."""
    principal: Principal | None = getattr(request, "_principal", None)
    if principal is None:
        principal = user_principal(request.user)
        request._principal = principal  # type: ignore[attr-defined]  # noqa: SLF001  # a request carries its own cache
    return principal


def may_enter(principal: Principal) -> bool:
    return principal.is_admin or bool(principal.lead_team_ids)


class DoorForm(AuthenticationForm):  # type: ignore[misc]  # unfold ships no types
    """Django's own asks for `is_staff`; here an admin or a lead of an active team may sign in."""

    def confirm_login_allowed(self, user: User) -> None:
        if not user.is_active or not may_enter(user_principal(user)):
            raise ValidationError(
                self.error_messages["invalid_login"],
                code="invalid_login",
                params={"username": self.username_field.verbose_name},
            )


class TeamAdminSite(UnfoldAdminSite):  # type: ignore[misc]  # unfold ships no types
    login_form = DoorForm
    index_title = "Overview"
    index_template = "admin/text2sql/overview.html"

    def has_permission(self, request: HttpRequest) -> bool:
        return may_enter(request_principal(request))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method != "POST":
            page: HttpResponse = super().password_change(request, extra_context)
            return page
        user: Any = request.user
        actor = request_principal(request).actor
        with change_audited(user, actor=actor, fields=["password"], secrets=["password"]):
            answer: HttpResponse = super().password_change(request, extra_context)
        return answer

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # "View on site" takes any content type and id, and its 404 tells a row that exists from one that does not.
        return [pattern for pattern in super().get_urls() if getattr(pattern, "name", "") != "view_on_site"]
