"""What a browser would send of an admin's page, if a person pressed Save."""

from html.parser import HTMLParser
from typing import Any


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._select = self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        name = told.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and "selected" in told and self._select:
            self._add(self._select, told.get("value", ""))
        elif tag == "textarea" and name:
            self._text = name
            self._add(name, "")
        elif tag == "input" and name and "disabled" not in told:
            is_off = told.get("type") in {"checkbox", "radio"} and "checked" not in told
            if not is_off and told.get("type") != "submit":
                self._add(name, told.get("value", "on" if told.get("type") == "checkbox" else ""))

    def handle_data(self, data: str) -> None:
        if self._text:
            self.values[self._text][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._text:
            # The line break after the tag is the tag's own.
            self.values[self._text][-1] = self.values[self._text][-1].removeprefix("\r\n").removeprefix("\n")
            self._text = ""
        elif tag == "select":
            self._select = ""

    def _add(self, name: str, value: str) -> None:
        self.values.setdefault(name, []).append(value)


def forms_of(answer: Any) -> list[Any]:
    """The page's own form, and of each kind of rows beside it that of the first."""
    inlines = [form for inline in answer.context["inline_admin_formsets"] for form in inline.formset.forms[:1]]
    return [answer.context["adminform"].form, *inlines]


def fields_open(form: Any) -> list[str]:
    """The fields that a person may change, without those that every row beside a page has for itself."""
    own = {"id", "slug", "DELETE", getattr(getattr(form, "_fk", None), "name", "")} if form.prefix else {""}
    shown = [bound for bound in form if not (bound.is_hidden or bound.field.disabled or bound.name in own)]
    return [bound.name for bound in shown if not getattr(bound.field.widget, "read_only", False)]


def values_sent(answer: Any) -> dict[str, list[str]]:
    """By the names of the inputs; of the page's forms only."""
    reader = _Reader()
    reader.feed(answer.content.decode())
    names = tuple(bound.html_name for form in forms_of(answer) for bound in form)
    prefixes = tuple(f"{inline.formset.prefix}-" for inline in answer.context["inline_admin_formsets"])
    return {
        name: values
        for name, values in reader.values.items()
        if name.startswith((*names, *prefixes)) and "__prefix__" not in name
    }
