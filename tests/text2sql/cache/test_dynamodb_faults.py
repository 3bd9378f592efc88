"""DynamoDB slow, throttling, denied or down: a miss, a swallowed write, a delete that says so."""

import json
import logging
from datetime import timedelta
from decimal import Decimal
from time import monotonic

import pytest
from django.utils import timezone
from pytest_django import Settings

from tests.text2sql.cache.conftest import Clock, answer_in
from tests.text2sql.cache.stand_ins import ScriptedDynamo, closed_port_url, silent_server
from text2sql.cache.answers import CachedAnswer
from text2sql.cache.dynamodb import DynamoAnswerCache

KEY = "a1" * 32
DATABASE_ID = "0b7a3a52-6a0e-4c55-9f0e-5b9c6f4f9d11"
LOGGER = "text2sql.cache.dynamodb"


def put(cache: DynamoAnswerCache, answer: CachedAnswer) -> None:
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=timezone.now() + timedelta(hours=1))


def stored(answer: CachedAnswer) -> dict[str, object]:
    """What DynamoDB replies to a read of this answer."""
    ttl = str(int(timezone.now().timestamp()) + 3600)
    return {"Item": {"ttl": {"N": ttl}, "value": {"S": json.dumps(answer.as_json())}}}


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_a_read_is_eventually_consistent_and_fetches_two_attributes(
    dynamo: ScriptedDynamo, answer: CachedAnswer
) -> None:
    dynamo.body = stored(answer)

    assert answer_in(DynamoAnswerCache("answers"), KEY) == answer

    [(operation, parameters)] = dynamo.requests
    assert operation == "GetItem"
    assert parameters.get("ConsistentRead", False) is False
    assert parameters["TableName"] == "answers"
    assert parameters["Key"] == {"cache_key": {"S": KEY}}
    assert parameters["ProjectionExpression"] == "#value, #ttl"


@pytest.mark.parametrize(
    ("capacity", "price", "usd"),
    [
        ({"ConsumedCapacity": {"TableName": "answers", "CapacityUnits": 0.5}}, "0.125", "0.000000062500"),
        ({"ConsumedCapacity": {"TableName": "answers", "CapacityUnits": 3.5}}, "0.1525", "0.000000533750"),
        ({"ConsumedCapacity": {"TableName": "answers", "CapacityUnits": 0.5}}, "0", "0.000000000000"),
        ({}, "0.125", "0.000000000000"),
    ],
)
def test_a_hit_costs_the_capacity_that_dynamodb_says_at_the_price_of_the_region(
    dynamo: ScriptedDynamo, answer: CachedAnswer, settings: Settings, capacity: dict[str, object], price: str, usd: str
) -> None:
    settings.DYNAMODB_USD_PER_MILLION_READS = Decimal(price)
    dynamo.body = stored(answer) | capacity

    hit = DynamoAnswerCache("answers").get(KEY)

    assert hit is not None
    assert str(hit.cost_usd) == str(Decimal(usd))
    assert dynamo.requests[-1][1]["ReturnConsumedCapacity"] == "TOTAL"


@pytest.mark.parametrize(
    ("status", "error", "requests_per_call"),
    [
        (500, "InternalServerError", 2),
        (503, "ServiceUnavailable", 2),
        (400, "ProvisionedThroughputExceededException", 2),
        (400, "ThrottlingException", 2),
        (400, "AccessDeniedException", 1),
        (400, "ResourceNotFoundException", 1),
        (400, "ExpiredTokenException", 1),
    ],
)
def test_a_refusal_is_a_miss_and_a_swallowed_write_and_a_failed_delete(
    dynamo: ScriptedDynamo, answer: CachedAnswer, status: int, error: str, requests_per_call: int
) -> None:
    dynamo.answers(status, error, "no")
    cache = DynamoAnswerCache("answers")

    assert cache.get(KEY) is None
    put(cache, answer)
    assert cache.delete(KEY) is False

    asked = [operation for operation, _ in dynamo.requests]
    assert asked == [op for op in ("GetItem", "PutItem", "DeleteItem") for _ in range(requests_per_call)]


def test_a_closed_port_is_a_miss_and_a_swallowed_write_and_a_failed_delete(
    aws: None, settings: Settings, answer: CachedAnswer
) -> None:
    settings.DYNAMODB_ENDPOINT_URL = closed_port_url()
    cache = DynamoAnswerCache("answers")

    assert cache.get(KEY) is None
    put(cache, answer)
    assert cache.delete(KEY) is False


def test_a_server_that_never_answers_is_left_after_two_short_attempts(aws: None, settings: Settings) -> None:
    with silent_server() as (url, connections):
        settings.DYNAMODB_ENDPOINT_URL = url
        started = monotonic()

        assert DynamoAnswerCache("answers").get(KEY) is None

        # The SDK's own patience would be minutes.
        assert monotonic() - started < 20
        assert len(connections) == 2


def test_an_endpoint_that_is_no_url_is_a_miss(aws: None, settings: Settings) -> None:
    settings.DYNAMODB_ENDPOINT_URL = "localhost:8000/no-scheme"

    assert DynamoAnswerCache("answers").get(KEY) is None


def test_credentials_that_appear_later_are_found(
    dynamo: ScriptedDynamo, answer: CachedAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamo.body = stored(answer)
    cache = DynamoAnswerCache("answers")
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        assert cache.get(KEY) is None
        assert dynamo.requests == []

    assert answer_in(cache, KEY) == answer


def test_after_three_failures_dynamodb_is_asked_once_in_thirty_seconds_until_it_recovers(
    dynamo: ScriptedDynamo, answer: CachedAnswer, clock: Clock
) -> None:
    cache = DynamoAnswerCache("answers", clock=clock)
    dynamo.answers(400, "AccessDeniedException", "no")
    for _ in range(10):
        assert cache.get(KEY) is None
        put(cache, answer)
        assert cache.delete(KEY) is False
    assert len(dynamo.requests) == 3

    clock.now += 30
    for _ in range(10):
        assert cache.get(KEY) is None
    assert len(dynamo.requests) == 4

    dynamo.answers(200)
    dynamo.body = stored(answer)
    assert cache.get(KEY) is None, "still inside the second pause"
    clock.now += 30
    for _ in range(5):
        assert answer_in(cache, KEY) == answer
    assert cache.delete(KEY) is True
    assert len(dynamo.requests) == 10


def test_an_outage_writes_one_line_a_minute(
    dynamo: ScriptedDynamo, answer: CachedAnswer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    cache = DynamoAnswerCache("answers", clock=clock)
    dynamo.answers(400, "AccessDeniedException", "user is not authorized")
    for _ in range(5):
        cache.get(KEY)
    clock.now += 30
    cache.get(KEY)
    [line] = lines(caplog)
    assert "AccessDeniedException" in line
    assert "get_item" in line

    clock.now += 30
    put(cache, answer)
    assert len(lines(caplog)) == 2
    assert "failed 4 times" in lines(caplog)[1]
    assert "put_item" in lines(caplog)[1]
