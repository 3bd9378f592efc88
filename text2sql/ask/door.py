"""Who may use the page to ask: an admin, or a member of an active team, in the session that signing in began."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from rest_framework.authentication import SessionAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from observability.logging import log_bind
from teams.access import Principal
from teams.site import request_principal
from text2sql.api.parsers import BoundedJsonParser
from text2sql.problems import Problem


def may_ask(principal: Principal) -> bool:
    return principal.is_admin or bool(principal.team_ids)


def person_of(principal: Principal) -> int:
    """The id of the user. Raises ValueError for an API key, whose rows belong to no person."""
    if principal.user_id is None:
        raise ValueError("only a person has a page to ask")
    return principal.user_id


class SessionDoor(SessionAuthentication):
    """The session's user, with Django's CSRF check of whatever is posted; `request.auth` is the Principal."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, Any]:
        signed_in = super().authenticate(request)
        principal = request_principal(request._request)  # noqa: SLF001  # DRF has no other name for Django's request
        if signed_in is None or not may_ask(principal):
            raise Problem("signed-out", "Your session has ended, or your team was closed. Sign in again.")
        log_bind(actor=principal.actor)
        return signed_in[0], principal


class AskView(APIView):
    """What the page's scripts talk to; no part of the API, and never kept by a browser."""

    authentication_classes = [SessionDoor]
    permission_classes = []
    parser_classes: list[type[BaseParser]] = [BoundedJsonParser]
    renderer_classes: list[type[BaseRenderer]] = [JSONRenderer]
    schema = None

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Cache-Control": "no-store"}
