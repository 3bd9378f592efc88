"""The admin's dialogs, filled in as a browser would: what stands in the fields is sent back with what is typed."""

from html.parser import HTMLParser
from typing import Any

from django.test import Client


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "input" and (name := named.get("name")) and name != "csrfmiddlewaretoken":
            self.values[name] = named.get("value") or ""
        if tag == "textarea" and (name := named.get("name")):
            self._area, self.values[name] = name, ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            # The first end of a line after the tag is the page's, not the text's.
            self.values[self._area] = self.values[self._area].removeprefix("\n")
            self._area = ""


def dialog_fields(client: Client, path: str) -> dict[str, str]:
    """What a dialog's fields hold when it opens."""
    opened = client.get(path, headers={"HX-Request": "true"})
    assert opened.status_code == 200
    fields = _Fields()
    fields.feed(opened.content.decode())
    return fields.values


def dialog_submit(client: Client, path: str, fields: dict[str, str] | None = None, **typed: Any) -> Any:
    """Open the dialog (or go on with the fields of one that is open), type, and press its button."""
    filled = dialog_fields(client, path) if fields is None else fields
    return client.post(path, {**filled, **typed}, headers={"HX-Request": "true"})
