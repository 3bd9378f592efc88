"""Lists that are read page by page, by number."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tests.standins.langfuse.answers import Answer, invalid_data, too_small, wrong_type
from tests.standins.langfuse.scores import page_size

Row = TypeVar("Row")
LARGEST = 100  # rows


def numbered_page(rows: Sequence[Row], query: Mapping[str, list[str]], shown: Callable[[Row], Any]) -> Answer:
    """The page that `page` (from 1) and `limit` ask for; a page behind the last is empty."""
    limit = page_size(query.get("limit", [None])[-1], LARGEST)
    page = page_number(query.get("page", [None])[-1])
    part = rows[(page - 1) * limit : page * limit]
    meta = {"page": page, "limit": limit, "totalItems": len(rows), "totalPages": -(-len(rows) // limit)}
    return Answer(200, {"data": [shown(row) for row in part], "meta": meta})


def page_number(text: str | None) -> int:
    if text is None:
        return 1
    if not text.isdecimal():
        raise invalid_data(wrong_type(["page"], "number", text))
    if int(text) < 1:
        raise invalid_data(too_small(["page"], 1))
    return int(text)
