"""What Langfuse says was spent: the second, independent account beside our own ledger."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from django.conf import settings

from observability.langfuse.client import LangfuseUnavailable, langfuse_api, langfuse_asked, langfuse_is_cloud
from observability.langfuse.sdk import sdk_load

__all__ = ["LangfuseCosts", "LangfuseUnavailable", "Questions", "costs_read", "questions_per_hour", "unpriced_read"]

ROW_LIMIT = 1000  # Langfuse's own limit; it has no second page
TIMEOUT = 35  # seconds: Langfuse itself gives up on a query after 30
CLOUD_PER_DAY = 100  # questions about costs that Langfuse Cloud's smallest plan allows
LONGEST_LIST = 6_000  # characters of a list of names in an address: proxies refuse more than 8 kB
TOO_MUCH = Decimal(100_000_000)  # USD or billions of tokens: no figure of ours has so many digits
TWELVE_DECIMALS = Decimal("1e-12")


@dataclass(slots=True)
class Questions:
    """How many questions may still be put to Langfuse, and how many were; each one is one request."""

    left: int
    asked: int = 0

    def take(self) -> None:
        if self.left < 1:
            raise LangfuseUnavailable("no further question may be put to Langfuse in this round")
        self.left -= 1
        self.asked += 1


@dataclass(frozen=True, slots=True)
class LangfuseCosts:
    """USD and tokens by user id, dearest first; "" is what has no user. `total` is everything, named or not.

    Not `complete`: more users than Langfuse names, and none were given to ask for by name; every other one cost at
    most what the last one did.
    """

    by_user: Mapping[str, Decimal] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    complete: bool = True


def questions_per_hour() -> int | None:
    """How many questions about costs an hour Langfuse allows, None without limit. LANGFUSE_METRICS_PER_DAY decides."""
    told: int | None = settings.LANGFUSE_METRICS_PER_DAY
    per_day = told if told is not None else CLOUD_PER_DAY if langfuse_is_cloud() else 0
    return max(per_day // 24, 1) if per_day else None


def costs_read(
    *,
    starts_at: datetime,
    ends_at: datetime,
    tags: Sequence[str] | None = None,
    tags_not: Sequence[str] | None = None,
    users: Sequence[str] = (),
    questions: Questions | None = None,
) -> LangfuseCosts:
    """Costs of what started from `starts_at` until before `ends_at`, by user, as a rule in one question.

    `tags`: only observations with any of them; `tags_not`: only those with none of them. Langfuse names at most 1,000
    users. When there may be more, the total is asked for, and `users` by name, in as many questions as it takes.

    Raises:
        LangfuseUnavailable: Down, slow, busy, answers rubbish, or `questions` does not allow what it takes.
    """
    asking = _Asking(starts_at, ends_at, _tag_filters(tags, tags_not), questions or Questions(left=1000))
    rows = asking.by_user()
    if len(rows) < ROW_LIMIT:
        return _costs(rows, total=sum((_usd(row) for row in rows), Decimal(0)))
    parts = list(_parts(users))
    if len(parts) + 1 > asking.questions.left:
        raise LangfuseUnavailable(
            f"more users than Langfuse names at once: {len(parts) + 1} further questions are needed,"
            f" {asking.questions.left} may be asked"
        )
    total = sum((_usd(row) for row in asking.rows({})), Decimal(0))
    named = [row for part in parts for row in asking.by_user({"column": "userId", **_any_of(part)})]
    missing = dict.fromkeys(users, Decimal(0))
    read = _costs([*rows, *named], total=total)
    return LangfuseCosts(missing | dict(read.by_user), read.tokens, total, complete=bool(users))


def unpriced_read(
    *,
    starts_at: datetime,
    ends_at: datetime,
    tags_not: Sequence[str] | None = None,
    questions: Questions | None = None,
) -> Mapping[str, int]:
    """Tokens by user id of the models that Langfuse has no price for, in one question, two where there are such models.

    Raises LangfuseUnavailable.
    """
    asking = _Asking(starts_at, ends_at, _tag_filters(None, tags_not), questions or Questions(left=2))
    models = asking.rows({"dimensions": [{"field": "providedModelName"}], "config": {"row_limit": ROW_LIMIT}})
    names = [row["providedModelName"] or "" for row in models if _tokens(row) and not _usd(row)]
    if not names:
        return {}
    return _costs(asking.by_user({"column": "providedModelName", **_any_of(next(_parts(names)))}), Decimal(0)).tokens


def _costs(rows: Sequence[Mapping[str, Any]], total: Decimal) -> LangfuseCosts:
    # A user that was asked for by name comes a second time, with the same figures.
    costs = {_user(row): _usd(row) for row in rows}
    tokens = {_user(row): _tokens(row) for row in rows}
    return LangfuseCosts(costs, tokens, total)


def _user(row: Mapping[str, Any]) -> str:
    return str(row.get("userId") or "")


def _usd(row: Mapping[str, Any]) -> Decimal:
    return _number(row, "sum_totalCost").quantize(TWELVE_DECIMALS)


def _tokens(row: Mapping[str, Any]) -> int:
    return int(_number(row, "sum_totalTokens"))


def _number(row: Mapping[str, Any], name: str) -> Decimal:
    """A figure of Langfuse's: a number or its text, null for nothing."""
    told = row.get(name)
    try:
        number = Decimal(str(told or 0))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or abs(number) >= TOO_MUCH * (1 if name == "sum_totalCost" else 10**9):
        raise LangfuseUnavailable(f"not an answer of Langfuse: {name} is {str(told)[:100]}")
    return number


def _tag_filters(tags: Sequence[str] | None, tags_not: Sequence[str] | None) -> list[dict[str, Any]]:
    return [
        {"column": "tags", "type": "arrayOptions", "operator": operator, "value": list(values)}
        for operator, values in (("any of", tags), ("none of", tags_not))
        if values
    ]


def _any_of(values: Sequence[str]) -> dict[str, Any]:
    return {"operator": "any of", "value": list(values), "type": "stringOptions"}


def _parts(names: Sequence[str]) -> Iterator[list[str]]:
    """Lists that are short enough for an address and for one answer."""
    part: list[str] = []
    length = 0
    for name in names:
        size = len(quote(json.dumps(name))) + len(quote(","))
        if part and (length + size > LONGEST_LIST or len(part) >= ROW_LIMIT - 1):
            yield part
            part, length = [], 0
        part.append(name)
        length += size
    if part:
        yield part


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class _Asking:
    """Questions about one span of time; nothing is asked twice."""

    starts_at: datetime
    ends_at: datetime
    filters: list[dict[str, Any]]
    questions: Questions

    def by_user(self, *filters: dict[str, Any]) -> list[dict[str, Any]]:
        return self.rows(
            {
                "dimensions": [{"field": "userId"}],
                # Langfuse groups by user only with these two.
                "orderBy": [{"field": "sum_totalCost", "direction": "desc"}],
                "config": {"row_limit": ROW_LIMIT},
            },
            *filters,
        )

    def rows(self, shape: dict[str, Any], *filters: dict[str, Any]) -> list[dict[str, Any]]:
        query = {
            "view": "observations",
            "metrics": [{"measure": name, "aggregation": "sum"} for name in ("totalCost", "totalTokens")],
            "filters": [*self.filters, *filters],
            "fromTimestamp": _iso(self.starts_at),
            "toTimestamp": _iso(self.ends_at - timedelta(milliseconds=1)),  # Langfuse counts both ends in
            **shape,
        }
        self.questions.take()
        sdk_load()
        with langfuse_asked():
            answer = langfuse_api().metrics.metrics(
                query=json.dumps(query, separators=(",", ":")),
                request_options={"max_retries": 0, "timeout_in_seconds": TIMEOUT},
            )
            return [dict(row) for row in answer.data]
