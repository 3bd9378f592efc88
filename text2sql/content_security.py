"""Content-Security-Policy: what a browser may load and run on a page of ours, by the page's address."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse

STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
POLICIES = {
    # Alpine, which unfold's pages are made of, compiles the expressions in their attributes; unfold writes its colours
    # into a style element and widths into style attributes. Inline scripts stay forbidden here too.
    "/admin/": STRICT
    | {"script-src": "'self' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'", "font-src": "'self'"},
    # Swagger UI's style sheet holds its icons.
    "/api/v1/docs": STRICT | {"img-src": "'self' data:"},
}
DEBUG_PAGES = {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}
"""Django's own with DEBUG=true, made of inline scripts and styles; a client never meets them in production."""


class ContentSecurityMiddleware:
    """The one place that sets the header: STRICT wherever POLICIES names nothing else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not (settings.DEBUG and response.status_code in DEBUG_PAGES):
            response.headers["Content-Security-Policy"] = policy_of(request.path)
        return response


def policy_of(path: str) -> str:
    policy = next((found for prefix, found in POLICIES.items() if path.startswith(prefix)), STRICT)
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
