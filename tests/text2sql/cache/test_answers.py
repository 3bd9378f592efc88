"""The contract of the answer cache, on PostgreSQL and on DynamoDB alike."""

import json
import os
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import boto3
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from tests.text2sql.cache.conftest import answer_in
from text2sql.cache.answers import (
    AnswerCache,
    CachedAnswer,
    SwitchedOffCache,
    answer_cache,
    answer_read,
)
from text2sql.cache.dynamodb import DynamoAnswerCache
from text2sql.cache.postgres import PostgresAnswerCache, entries_purge
from text2sql.models.cache_entries import CacheEntry

KEY = "a1" * 32
OTHER_KEY = "b2" * 32
DATABASE_ID = "0b7a3a52-6a0e-4c55-9f0e-5b9c6f4f9d11"


def in_an_hour() -> datetime:
    return timezone.now() + timedelta(hours=1)


def an_hour_ago() -> datetime:
    return timezone.now() - timedelta(hours=1)


def test_an_unknown_key_is_a_miss(cache: AnswerCache) -> None:
    assert cache.get(KEY) is None


def test_an_answer_comes_back_exactly_as_it_was_put(cache: AnswerCache, answer: CachedAnswer) -> None:
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())

    found = answer_in(cache, KEY)

    assert found == answer
    assert found is not None
    assert str(found.cost_usd) == "0.003120000700"
    assert cache.get(OTHER_KEY) is None


def test_a_hit_tells_what_the_store_charges_for_it(
    cache: AnswerCache, answer: CachedAnswer, settings: Settings
) -> None:
    settings.DYNAMODB_USD_PER_MILLION_READS = Decimal(2)
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())

    hit = cache.get(KEY)

    assert hit is not None
    # An eventually consistent read of up to 4 KB is half a unit.
    assert hit.cost_usd == (0 if isinstance(cache, PostgresAnswerCache) else Decimal("0.000001"))


def test_an_expired_answer_is_a_miss(cache: AnswerCache, answer: CachedAnswer) -> None:
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=an_hour_ago())

    assert cache.get(KEY) is None


def test_an_answer_put_again_takes_the_place_of_the_first(cache: AnswerCache, answer: CachedAnswer) -> None:
    better = replace(answer, sql="SELECT 2", tables=())
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())
    cache.put(KEY, better, database_id=DATABASE_ID, expires_at=in_an_hour())

    assert answer_in(cache, KEY) == better


def test_an_expired_answer_put_again_is_found(cache: AnswerCache, answer: CachedAnswer) -> None:
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=an_hour_ago())
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())

    assert answer_in(cache, KEY) == answer


def test_a_deleted_answer_is_a_miss_and_the_others_stay(cache: AnswerCache, answer: CachedAnswer) -> None:
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())
    cache.put(OTHER_KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())

    assert cache.delete(KEY) is True

    assert cache.get(KEY) is None
    assert answer_in(cache, OTHER_KEY) == answer


def test_deleting_what_is_not_there_succeeds(cache: AnswerCache) -> None:
    assert cache.delete(KEY) is True


def test_a_hit_in_postgres_is_one_statement_on_the_primary_key(
    db: None, answer: CachedAnswer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    cache = PostgresAnswerCache()
    cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())

    with django_assert_num_queries(1) as asked:
        assert answer_in(cache, KEY) == answer

    with connection.cursor() as cursor:
        # A table this small is read whole unless that is forbidden.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("EXPLAIN " + asked.captured_queries[0]["sql"])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan using text2sql_cacheentry_pkey" in plan


def test_purging_takes_every_expired_entry_and_no_other(db: None, answer: CachedAnswer) -> None:
    now = timezone.now()
    entries = [
        CacheEntry(
            cache_key=f"{number:064x}",
            database_id=uuid.UUID(DATABASE_ID),
            value=answer.as_json(),
            # The last 5 of 2505 live on.
            expires_at=now + timedelta(seconds=number - 2499),
            created_at=now,
        )
        for number in range(2505)
    ]
    CacheEntry.objects.bulk_create(entries)

    assert entries_purge(now) == 2500

    left = CacheEntry.objects.order_by("cache_key").values_list("cache_key", flat=True)
    assert list(left) == [f"{number:064x}" for number in range(2500, 2505)]
    assert entries_purge(now) == 0


def test_an_expired_item_is_a_miss_though_dynamodb_still_holds_it(
    dynamo_cache: DynamoAnswerCache, table_name: str, moto_url: str, answer: CachedAnswer
) -> None:
    expires_at = an_hour_ago()
    dynamo_cache.put(KEY, answer, database_id=DATABASE_ID, expires_at=expires_at)

    assert dynamo_cache.get(KEY) is None

    client = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=moto_url)
    item = client.get_item(TableName=table_name, Key={"cache_key": {"S": KEY}})["Item"]
    assert item["ttl"] == {"N": str(int(expires_at.timestamp()))}
    assert item["database_id"] == {"S": DATABASE_ID}
    assert item["created_at"] == {"S": "2026-11-23T18:04:05.678901+00:00"}
    assert json.loads(item["value"]["S"]) == answer.as_json()


def test_the_index_lists_a_databases_entries_by_time(
    dynamo_cache: DynamoAnswerCache, table_name: str, moto_url: str, answer: CachedAnswer
) -> None:
    later = replace(answer, created_at=answer.created_at + timedelta(days=1))
    dynamo_cache.put(KEY, later, database_id=DATABASE_ID, expires_at=in_an_hour())
    dynamo_cache.put(OTHER_KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())
    dynamo_cache.put("c3" * 32, answer, database_id=str(uuid.uuid4()), expires_at=in_an_hour())

    client = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=moto_url)
    items = client.query(
        TableName=table_name,
        IndexName="database_id-created_at",
        KeyConditionExpression="database_id = :id",
        ExpressionAttributeValues={":id": {"S": DATABASE_ID}},
    )["Items"]

    assert [item["cache_key"]["S"] for item in items] == [OTHER_KEY, KEY]


@pytest.mark.parametrize("text", ["", "[]", "null", '{"sql": "SELECT 1"}'])
def test_an_entry_of_another_shape_is_a_miss(text: str) -> None:
    assert answer_read(text) is None


@pytest.mark.parametrize(("part", "value"), [("tables", 7), ("cost_usd", "free"), ("created_at", "today")])
def test_an_entry_with_a_broken_part_is_a_miss(answer: CachedAnswer, part: str, value: object) -> None:
    assert answer_read(json.dumps(answer.as_json())) == answer

    assert answer_read(json.dumps(answer.as_json() | {part: value})) is None


def test_a_foreign_item_in_the_table_is_a_miss(dynamo_cache: DynamoAnswerCache, table_name: str, moto_url: str) -> None:
    client = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=moto_url)
    client.put_item(TableName=table_name, Item={"cache_key": {"S": KEY}, "note": {"S": "by hand"}})
    far = str(int(in_an_hour().timestamp()))
    client.put_item(TableName=table_name, Item={"cache_key": {"S": OTHER_KEY}, "ttl": {"N": far}})

    assert dynamo_cache.get(KEY) is None
    assert dynamo_cache.get(OTHER_KEY) is None


def test_without_a_table_name_the_cache_is_in_postgres(settings: Settings, chosen_anew: None) -> None:
    settings.ENABLE_CACHE = True
    settings.CACHE_TABLE_NAME = ""

    assert isinstance(answer_cache(), PostgresAnswerCache)
    assert answer_cache() is answer_cache()


def test_a_forked_process_chooses_its_own(settings: Settings, chosen_anew: None) -> None:
    settings.CACHE_TABLE_NAME = ""
    answer_cache()
    child = os.fork()
    if child == 0:
        os._exit(answer_cache.cache_info().currsize)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert answer_cache.cache_info().currsize == 1


def test_with_a_table_name_the_cache_is_in_dynamodb(
    dynamo_cache: DynamoAnswerCache, settings: Settings, chosen_anew: None, answer: CachedAnswer
) -> None:
    settings.ENABLE_CACHE = True
    chosen = answer_cache()
    chosen.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())

    assert isinstance(chosen, DynamoAnswerCache)
    assert answer_in(dynamo_cache, KEY) == answer


def test_switched_off_nothing_is_served_or_kept_but_a_rejected_answer_goes(
    db: None, settings: Settings, chosen_anew: None, answer: CachedAnswer
) -> None:
    settings.ENABLE_CACHE = False
    settings.CACHE_TABLE_NAME = ""
    store = PostgresAnswerCache()
    store.put(KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())
    off = answer_cache()

    assert isinstance(off, SwitchedOffCache)
    assert off.get(KEY) is None
    off.put(OTHER_KEY, answer, database_id=DATABASE_ID, expires_at=in_an_hour())
    assert store.get(OTHER_KEY) is None
    assert off.delete(KEY) is True
    assert store.get(KEY) is None
