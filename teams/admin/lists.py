"""What keeps a list quick however many rows there are."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

COUNTED = 3_000
"""Rows are counted up to here; the pages end here too."""
COUNTED_IN_SEARCH = 200
"""Likewise of what words were searched for, where each row found is read again."""


class ManyRows(int):
    """A count that stopped: it is told as what it is."""

    def __str__(self) -> str:
        return f"more than {int(self):,}"


class BoundedPaginator(Paginator[Any]):
    is_search = False

    @cached_property
    def count(self) -> int:
        most = COUNTED_IN_SEARCH if self.is_search else COUNTED
        rows: Any = self.object_list
        found: int = rows.order_by()[: most + 1].count()
        return found if found <= most else ManyRows(most)


class BoundedChangeList(ChangeList):
    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Rows that are alike stand in the order of their ids, the way the list runs: one index serves both ways."""
        ordering: list[Any] = super().get_ordering(request, queryset)
        before = ordering[-2] if len(ordering) > 1 else "-"
        if ordering[-1:] == ["-pk"] and isinstance(before, str) and not before.startswith("-"):
            ordering[-1] = "pk"
        return ordering
