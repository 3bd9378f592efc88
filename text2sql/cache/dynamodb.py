"""The answer cache in DynamoDB: slow, throttling, denied or down it delays a question, but never fails it."""

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError
from django.conf import settings
from django.utils import timezone

from text2sql.cache.answers import CachedAnswer, CacheHit, answer_read
from text2sql.cache.breaker import Breaker

logger = logging.getLogger(__name__)

KEY = "cache_key"
TTL = "ttl"
DATABASE = "database_id"
CREATED = "created_at"
VALUE = "value"
TWELVE_DECIMALS = Decimal("1e-12")


def client_build(*, connect_timeout: float, read_timeout: float) -> Any:
    """A DynamoDB client for AWS_REGION or DYNAMODB_ENDPOINT_URL. Threads may share it, processes may not."""
    # boto3's default session is not safe to build clients from in several threads.
    return boto3.session.Session().client(
        "dynamodb",
        region_name=settings.AWS_REGION or None,
        endpoint_url=settings.DYNAMODB_ENDPOINT_URL or None,
        config=Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=50,
        ),
    )


class DynamoAnswerCache:
    def __init__(self, table_name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._table_name = table_name
        self._breaker = Breaker(clock=clock)
        self._failures = _FailureLog(clock)
        self._client_lock = threading.Lock()
        self._client: Any = None

    def get(self, key: str, *, is_latest: bool = False) -> CacheHit | None:
        # Eventually consistent unless asked, at half the price: a deleted answer may be served for a moment longer.
        reply = self._ask(
            "get_item",
            Key={KEY: {"S": key}},
            ConsistentRead=is_latest,
            ProjectionExpression="#value, #ttl",
            ExpressionAttributeNames={"#value": VALUE, "#ttl": TTL},
            ReturnConsumedCapacity="TOTAL",
        )
        reply = reply or {}
        item = reply.get("Item", {})
        # DynamoDB deletes expired items days late.
        if int(item.get(TTL, {}).get("N", 0)) <= timezone.now().timestamp():
            return None
        answer = answer_read(item.get(VALUE, {}).get("S", ""))
        return CacheHit(answer, _read_cost(reply)) if answer else None

    def put(self, key: str, answer: CachedAnswer, *, database_id: str, expires_at: datetime) -> None:
        self._ask(
            "put_item",
            Item={
                KEY: {"S": key},
                TTL: {"N": str(int(expires_at.timestamp()))},
                DATABASE: {"S": database_id},
                # One time zone and one width, so that the index sorts by time.
                CREATED: {"S": answer.created_at.astimezone(UTC).isoformat(timespec="microseconds")},
                VALUE: {"S": json.dumps(answer.as_json())},
            },
        )

    def delete(self, key: str) -> bool:
        return self._ask("delete_item", Key={KEY: {"S": key}}) is not None

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """One bounded call (4 seconds at worst); None where it failed or the breaker refused it."""
        if not self._breaker.allows():
            return None
        try:
            reply: dict[str, Any] = getattr(self._connect(), operation)(TableName=self._table_name, **arguments)
        except Exception as error:  # noqa: BLE001  # whatever the cache suffers, the question goes to Claude
            self._breaker.record_failure()
            self._failures.record(operation, error)
            if isinstance(error, NoCredentialsError):
                # A client looks for credentials once, when it is built.
                self._client = None
            return None
        self._breaker.record_success()
        return reply

    def _connect(self) -> Any:
        with self._client_lock:
            if self._client is None:
                self._client = client_build(connect_timeout=0.5, read_timeout=1)
            return self._client


def _read_cost(reply: dict[str, Any]) -> Decimal:
    """In USD, twelve decimals; what does not say its capacity (DynamoDB always does) costs nothing."""
    units = Decimal(str(reply.get("ConsumedCapacity", {}).get("CapacityUnits", 0)))
    return (units * settings.DYNAMODB_USD_PER_MILLION_READS).scaleb(-6).quantize(TWELVE_DECIMALS)


class _FailureLog:
    """At most one line a minute, however many questions an outage meets."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0
        self._next_line: float | None = None

    def record(self, operation: str, error: Exception) -> None:
        with self._lock:
            self._count += 1
            now = self._clock()
            if self._next_line is not None and now < self._next_line:
                return
            self._next_line = now + 60
            count, self._count = self._count, 0
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        logger.warning(
            "The answer cache in DynamoDB failed %d times since the last such line, now with %s in %s: %s",
            count,
            code,
            operation,
            error,
        )
