"""Data sets and their items in Langfuse: made, or changed where they are there already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from observability.langfuse.client import answer_told, langfuse_api, langfuse_asked

REFUSALS = (400, 404, 413, 422)


class DatasetRefused(Exception):  # an answer, not a mistake
    """Langfuse will not take it as it is; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetItem:
    """`id` is unique in the Langfuse project; the same id again replaces the item."""

    id: str
    dataset: str
    input: Any
    expected_output: Any
    metadata: dict[str, Any]


def dataset_put(name: str) -> str:
    """The id of the data set. Raises LangfuseUnavailable and DatasetRefused."""
    with _asked():
        dataset_id: str = langfuse_api().datasets.create(name=name, request_options={"max_retries": 0}).id
        return dataset_id


def dataset_item_put(item: DatasetItem) -> None:
    """Its data set has to be there. Raises LangfuseUnavailable and DatasetRefused."""
    with _asked():
        langfuse_api().dataset_items.create(
            id=item.id,
            dataset_name=item.dataset,
            input=item.input,
            expected_output=item.expected_output,
            metadata=item.metadata,
            request_options={"max_retries": 0},
        )


@contextmanager
def _asked() -> Iterator[None]:
    from langfuse.api.core import ApiError  # noqa: PLC0415  # only an exporting process pays for this

    with langfuse_asked():
        try:
            yield
        except ApiError as refused:
            if refused.status_code not in REFUSALS:
                raise
            raise DatasetRefused(answer_told(refused.status_code, refused.body)) from refused
