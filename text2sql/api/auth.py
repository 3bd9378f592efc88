"""Bearer keys become a Principal on the request; each view says which scopes it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from observability.logging import log_bind
from teams.access import Principal
from teams.services.keys import KeyRefused, key_authenticate

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it reads the setting that names this module


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer t2s_…`; `request.user` stays empty, `request.auth` is the Principal."""

    def authenticate(self, request: Request) -> tuple[None, Principal]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            raise NotAuthenticated("Send an API key: `Authorization: Bearer t2s_…`.")
        if scheme.lower() != "bearer" or not token.strip():
            raise AuthenticationFailed("The Authorization header must read `Bearer t2s_…`.")
        try:
            principal = key_authenticate(token.strip())
        except KeyRefused as refusal:
            raise AuthenticationFailed(str(refusal)) from refusal
        log_bind(team=principal.team_id, actor=principal.actor)
        return None, principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="text2sql"'


class HasScope(BasePermission):
    """The key carries every scope in the view's `scopes`."""

    message = "This API key lacks the scope that this needs."

    def has_permission(self, request: Request, view: APIView) -> bool:
        missing = set(scopes_of(view)) - principal_of(request).scopes
        if missing:
            self.message = f"This API key lacks the scope `{min(missing)}`."
        return not missing


def scopes_of(view: APIView) -> tuple[str, ...]:
    scopes: tuple[str, ...] = getattr(view, "scopes", ())
    return scopes


def principal_of(request: Request) -> Principal:
    # Set by ApiKeyAuthentication, without which no view is reached.
    principal: Principal = request.auth  # type: ignore[assignment]  # DRF's stubs know only its own tokens
    return principal


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular is untyped
    target_class = ApiKeyAuthentication
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "t2s_…"}
