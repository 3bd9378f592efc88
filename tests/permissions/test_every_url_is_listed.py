"""A new address without a line in the table, or a line without its address, fails here."""

import re
from collections.abc import Iterator

from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver

from teams.admin.base import ReadOnlyAdmin, TeamScopedAdmin, TeamScopedInline
from tests.permissions.table import ADMIN_ROWS, API_ROWS, ASK_ROWS, OPEN_ROWS


def addresses(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        address = before + re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", str(pattern.pattern)).strip("^$")
        if isinstance(pattern, URLPattern):
            yield address or "<home>"
        else:
            yield from addresses(pattern, address)


def test_the_table_and_the_project_have_the_same_addresses() -> None:
    listed = {row.address for row in [*OPEN_ROWS, *API_ROWS, *ADMIN_ROWS, *ASK_ROWS]}
    assert listed == set(addresses(get_resolver()))


def test_every_admin_page_is_scoped_or_read_only() -> None:
    pages = admin.site._registry
    assert len(pages) > 10
    stray = {model.__name__ for model, page in pages.items() if not isinstance(page, TeamScopedAdmin | ReadOnlyAdmin)}
    assert stray == set()


def test_every_inline_is_scoped() -> None:
    inlines = [inline for page in admin.site._registry.values() for inline in page.inlines]
    assert len(inlines) > 4
    assert [inline for inline in inlines if not issubclass(inline, TeamScopedInline)] == []


def test_no_admin_page_has_an_action_that_a_get_runs() -> None:
    pages = admin.site._registry.values()
    by_address = [
        getattr(page, name) for page in pages for kind in ("row", "detail", "list", "submit_line")
        for name in getattr(page, f"actions_{kind}")
    ]  # fmt: skip
    assert len(by_address) > 5
    assert [action for action in by_address if not getattr(action, "dialog", None)] == []
