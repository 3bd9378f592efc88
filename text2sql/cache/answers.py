"""The cache of translations, question to SQL. Rows are never cached: a hit runs its SQL again."""

import json
import logging
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Protocol, Self

from django.conf import settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedAnswer:
    """An answer as Claude gave it the first time."""

    sql: str
    explanation: str
    tables: tuple[str, ...]
    model: str
    cost_usd: Decimal
    """What the first answer cost, which is what a hit saves."""
    generation_id: str
    """The generation that paid for it."""
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "tables": list(self.tables),
            "cost_usd": str(self.cost_usd),
            "created_at": self.created_at.isoformat(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError or ArithmeticError where the data has another shape."""
        return cls(
            sql=data["sql"],
            explanation=data["explanation"],
            tables=tuple(data["tables"]),
            model=data["model"],
            cost_usd=Decimal(data["cost_usd"]),
            generation_id=data["generation_id"],
            created_at=datetime.fromisoformat(data["created_at"]),
        )


def answer_read(text: str) -> CachedAnswer | None:
    """An answer from its stored JSON; None where another release wrote another shape."""
    try:
        return CachedAnswer.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        # A miss, so the next answer overwrites it.
        logger.warning("A cached answer could not be read: %r", error)
        return None


@dataclass(frozen=True)
class CacheHit:
    answer: CachedAnswer
    cost_usd: Decimal = Decimal(0)
    """What the store charges for this one read."""
    status: str = "succeeded"
    """Others are never in the cache: Claude has just asked back, or declined, to whoever asked the same."""
    choices: tuple[str, ...] = ()


class AnswerCache(Protocol):
    """Keys come from `cache_key`. No method raises because the cache is slow or down."""

    def get(self, key: str, *, is_latest: bool = False) -> CacheHit | None:
        """The answer and the price of reading it, or None where there is none, it has expired or the cache is down.

        `is_latest`: an answer put before is found for certain; else it may take a moment.
        """

    def put(self, key: str, answer: CachedAnswer, *, database_id: str, expires_at: datetime) -> None:
        """Keeps the answer until `expires_at` (aware, exact to the second), in place of an earlier one."""

    def delete(self, key: str) -> bool:
        """Takes the answer out. True: there is none (any more). False: it may still be served, try again."""


@dataclass(frozen=True)
class SwitchedOffCache:
    """Reads and keeps nothing, but takes answers out: what is rejected meanwhile must not come back."""

    store: AnswerCache

    def get(self, key: str, *, is_latest: bool = False) -> CacheHit | None:
        return None

    def put(self, key: str, answer: CachedAnswer, *, database_id: str, expires_at: datetime) -> None:
        return None

    def delete(self, key: str) -> bool:
        return self.store.delete(key)


@cache
def answer_cache() -> AnswerCache:
    """The cache that the settings name, one per process (`answer_cache.cache_clear()` forgets it)."""
    store = _store()
    return store if settings.ENABLE_CACHE else SwitchedOffCache(store)


def _store() -> AnswerCache:
    if settings.CACHE_TABLE_NAME:
        from text2sql.cache.dynamodb import DynamoAnswerCache  # noqa: PLC0415  # boto3 only where it is used

        return DynamoAnswerCache(settings.CACHE_TABLE_NAME)
    from text2sql.cache.postgres import PostgresAnswerCache  # noqa: PLC0415  # it imports this module

    return PostgresAnswerCache()


# A forked worker must not share its parent's sockets or a lock that a thread held at the fork.
os.register_at_fork(after_in_child=answer_cache.cache_clear)
