"""What Langfuse says was spent: the second, independent account beside our own ledger."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from observability.langfuse.client import LangfuseUnavailable, langfuse_api
from observability.langfuse.sdk import sdk_load

__all__ = ["LangfuseCosts", "LangfuseUnavailable", "costs_read"]

ROW_LIMIT = 1000  # Langfuse's own limit; it has no second page
TIMEOUT = 35  # seconds: Langfuse itself gives up on a query after 30
PAUSE = 1.0  # seconds before the one further try


@dataclass(frozen=True, slots=True)
class LangfuseCosts:
    """USD by user id, dearest first. `total` also holds what has no user.

    Not `complete`: Langfuse named only the 1,000 dearest users; every other one cost at most what the last one did.
    """

    by_user: Mapping[str, Decimal] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    complete: bool = True


def costs_read(
    *,
    starts_at: datetime,
    ends_at: datetime,
    tags: Sequence[str] | None = None,
    tags_not: Sequence[str] | None = None,
) -> LangfuseCosts:
    """Costs of what started from `starts_at` until before `ends_at`, by user, in one query.

    `tags`: only observations with any of them; `tags_not`: only those with none of them. Raises LangfuseUnavailable.
    """
    sdk_load()
    rows = _asked(
        {
            "view": "observations",
            "dimensions": [{"field": "userId"}],
            "metrics": [{"measure": "totalCost", "aggregation": "sum"}],
            "filters": [
                {"column": "tags", "type": "arrayOptions", "operator": operator, "value": list(values)}
                for operator, values in (("any of", tags), ("none of", tags_not))
                if values
            ],
            "fromTimestamp": _iso(starts_at),
            "toTimestamp": _iso(ends_at - timedelta(milliseconds=1)),  # Langfuse counts both ends in
            # Langfuse groups by user only with these two.
            "orderBy": [{"field": "sum_totalCost", "direction": "desc"}],
            "config": {"row_limit": ROW_LIMIT},
        }
    )
    costs = [(row.get("userId"), Decimal(str(row.get("sum_totalCost") or 0))) for row in rows]
    return LangfuseCosts(
        by_user={user: cost for user, cost in costs if user},
        total=sum((cost for _, cost in costs), Decimal(0)),
        complete=len(rows) < ROW_LIMIT,
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _asked(query: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return _asked_once(query)
    except _Passing:
        time.sleep(PAUSE)
    try:
        return _asked_once(query)
    except _Passing as still:
        raise LangfuseUnavailable(str(still)) from still


class _Passing(Exception):  # a state of the world, not a mistake
    """Trouble that may be over in a second."""


def _asked_once(query: dict[str, Any]) -> list[dict[str, Any]]:
    from langfuse.api.core import ApiError  # noqa: PLC0415  # only the checking process pays for this import

    try:
        answer = langfuse_api().metrics.metrics(
            query=json.dumps(query, separators=(",", ":")),
            request_options={"max_retries": 0, "timeout_in_seconds": TIMEOUT},
        )
    except httpx.TimeoutException as slow:  # asking a slow server twice makes it slower
        raise LangfuseUnavailable(f"{type(slow).__name__}: {slow}") from slow
    except httpx.HTTPError as cut:
        raise _Passing(f"{type(cut).__name__}: {cut}") from cut
    except ApiError as refused:
        told = f"HTTP {refused.status_code}: {refused.body}"
        if refused.status_code is None or refused.status_code >= 500:
            raise _Passing(told) from refused
        raise LangfuseUnavailable(told) from refused
    return [dict(row) for row in answer.data]
