"""Row filters as an admin writes them: `table: condition`, one a line."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from text2sql.pipeline.guard import GuardRefusal
from text2sql.pipeline.guard.filters import read_filters
from text2sql.pipeline.guard.statement import find_policy
from text2sql.pipeline.guard.view import View
from text2sql.pipeline.schema import Schema


class RowFiltersField(forms.Field):
    """Conditions by the names of their tables."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else filters_text(value or {})

    def to_python(self, value: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in filter(None, (line.strip() for line in (value or "").splitlines())):
            table, colon, condition = (part.strip() for part in line.partition(":"))
            if not (table and colon and condition):
                raise ValidationError("Not a table, a colon and a condition: %(line)s", params={"line": line})
            if table in found:
                raise ValidationError("%(table)s is named twice; join its conditions.", params={"table": table})
            found[table] = condition
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return filters_text(initial or {}) != "\n".join(map(str.strip, (data or "").strip().splitlines()))


def filters_text(filters: Mapping[str, str]) -> str:
    return "\n".join(f"{table}: {condition}" for table, condition in filters.items())


def filters_check(
    filters: Mapping[str, str], *, whole: Schema, seen: Schema, allowed_functions: Iterable[str]
) -> Iterator[str]:
    """What is wrong with them, a sentence each. A condition may use columns of `whole` that the team does not see."""
    view = View(find_policy(whole.dialect), seen)
    for table, condition in filters.items():
        if whole.table(table) is None:
            yield f"Not in this database: {table}."
        elif seen.table(table) is None:
            yield f"The team does not see this table: {table}."
        else:
            try:
                read_filters({table: condition}, view, whole, frozenset(allowed_functions))
            except GuardRefusal as refusal:
                yield refusal.message
