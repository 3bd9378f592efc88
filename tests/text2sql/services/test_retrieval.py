"""Where an index comes from: this process, a row that the worker built, or made on the spot."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from observability.models.deliveries import Delivery
from tests.benchmarks.catalogs import catalog_make
from tests.factories import TeamFactory, make_database
from text2sql.models import Database, RetrievalIndex
from text2sql.pipeline.retrieval import Example, Index
from text2sql.pipeline.schema import Schema
from text2sql.services.retrieval import LARGE, Shelf, index_for, indexes_build, indexes_prune, shelf

pytestmark = pytest.mark.django_db(transaction=True)

SMALL, BIG = catalog_make(LARGE - 1, columns=3), catalog_make(LARGE, columns=3)
QUESTION = "Which customer paid which invoice?"


@pytest.fixture(autouse=True)
def empty_shelf() -> Iterator[None]:
    shelf.clear()
    yield
    shelf.clear()


@pytest.fixture
def database(shop: Path) -> Database:
    return make_database(shop, TeamFactory())


def ranked(schema: Schema, database: Database, *, key: str = "k1", examples: tuple[Example, ...] = ()) -> list[str]:
    return index_for(schema, database_id=database.pk, key=key, examples=examples).rank(QUESTION, 10)


def test_a_small_schema_is_indexed_on_the_spot_and_remembered(
    database: Database, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        first = index_for(SMALL, database_id=database.pk, key="k1")
        assert index_for(SMALL, database_id=database.pk, key="k1") is first
    assert first.rank(QUESTION, 10) == Index.build(SMALL).rank(QUESTION, 10)


def test_a_large_schema_is_ranked_at_once_and_wanted_from_the_worker(
    database: Database, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    expected = Index.build(BIG).rank(QUESTION, 10)
    assert ranked(BIG, database) == expected
    row = RetrievalIndex.objects.get()
    assert (row.state, row.content) == (Delivery.State.PENDING, None)
    assert indexes_build() == 1
    row.refresh_from_db()
    assert row.state == Delivery.State.DELIVERED
    assert row.source is None
    assert indexes_build() == 0

    shelf.clear()  # as in another process
    with django_assert_num_queries(1):
        assert ranked(BIG, database) == expected
    with django_assert_num_queries(0):
        assert ranked(BIG, database) == expected
    assert RetrievalIndex.objects.count() == 1


def test_a_row_not_built_yet_stops_no_question(database: Database) -> None:
    first = ranked(BIG, database)
    shelf.clear()
    assert ranked(BIG, database) == first
    assert RetrievalIndex.objects.count() == 1


def test_what_the_worker_builds_knows_the_examples(database: Database) -> None:
    wanted = BIG.tables[-1].qualified_name
    example = Example(QUESTION, (wanted,))
    assert ranked(BIG, database, examples=(example,))[0] == wanted
    indexes_build()
    shelf.clear()
    assert ranked(BIG, database)[0] == wanted


def test_another_key_or_database_is_another_index(database: Database, shop: Path) -> None:
    other = make_database(shop, TeamFactory(), name="other")
    one = index_for(SMALL, database_id=database.pk, key="k1")
    assert index_for(SMALL, database_id=database.pk, key="k2") is not one
    assert index_for(SMALL, database_id=other.pk, key="k1") is not one


def test_a_damaged_row_is_made_anew(database: Database) -> None:
    expected = ranked(BIG, database)
    indexes_build()
    RetrievalIndex.objects.update(content=b"not an index")
    shelf.clear()
    assert ranked(BIG, database) == expected
    assert RetrievalIndex.objects.get().state == Delivery.State.PENDING
    assert indexes_build() == 1


def test_what_cannot_be_built_is_noted_once_and_removed(database: Database) -> None:
    ranked(BIG, database)
    RetrievalIndex.objects.update(source=b"garbage")
    assert indexes_build() == 0
    row = RetrievalIndex.objects.get()
    assert row.state == Delivery.State.FAILED
    assert row.last_error
    assert indexes_build() == 0
    assert indexes_prune(timezone.now()) == 1


def test_what_a_killed_worker_left_behind_is_built_after_its_lease(database: Database) -> None:
    ranked(BIG, database)
    assert RetrievalIndex.objects.claim(limit=1, lease=timedelta(minutes=5))
    assert indexes_build() == 0
    RetrievalIndex.objects.update(next_try_at=timezone.now())
    assert indexes_build() == 1


def test_only_what_nobody_used_for_a_week_is_pruned(database: Database) -> None:
    ranked(BIG, database)
    indexes_build()
    RetrievalIndex.objects.update(used_on=timezone.now().date() - timedelta(days=7))
    assert indexes_prune(timezone.now()) == 0
    RetrievalIndex.objects.update(used_on=timezone.now().date() - timedelta(days=8))
    shelf.clear()
    ranked(BIG, database)  # used again: its day is today
    assert indexes_prune(timezone.now()) == 0
    RetrievalIndex.objects.update(used_on=timezone.now().date() - timedelta(days=8))
    assert indexes_prune(timezone.now()) == 1


def test_a_crowd_of_first_questions_builds_one_index(database: Database) -> None:
    start, found = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        found.append(index_for(SMALL, database_id=database.pk, key="k1"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_a_missing_encoder_leaves_the_words(database: Database, settings: Settings) -> None:
    expected = Index.build(SMALL).rank(QUESTION, 10)
    settings.RETRIEVAL_ENCODER = "no-such-folder/no-such-model"
    assert ranked(SMALL, database) == expected
    assert indexes_build() == 1
    assert ranked(SMALL, database) == expected


def test_the_shelf_gives_the_least_used_away_and_keeps_the_last(database: Database) -> None:
    index = Index.build(SMALL)
    today = timezone.now().date()
    kept = Shelf(limit=index.byte_count * 2)
    keys = [(database.pk, str(number)) for number in range(3)]
    kept.put(keys[0], index, today)
    kept.put(keys[1], index, today)
    assert kept.find(keys[0])
    kept.put(keys[2], index, today)
    assert [kept.find(key) is not None for key in keys] == [True, False, True]
    narrow = Shelf(limit=1)
    narrow.put(keys[0], index, today)
    narrow.put(keys[1], index, today)
    assert [narrow.find(key) is not None for key in keys] == [False, True, False]


def test_putting_the_same_key_again_counts_it_once(database: Database) -> None:
    small, large = Index.build(replace(SMALL, tables=SMALL.tables[:50])), Index.build(SMALL)
    today, key, other = timezone.now().date(), (database.pk, "a"), (database.pk, "b")
    kept = Shelf(limit=large.byte_count + small.byte_count)
    for _ in range(5):
        kept.put(key, large, today)
    kept.put(other, small, today)
    assert kept.find(key)
    assert kept.find(other)


def test_the_schedule_builds_and_prunes() -> None:
    from text2sql.tasks import build_indexes, prune_indexes  # noqa: PLC0415  # the settings are named first

    assert (build_indexes(), prune_indexes()) == (0, 0)
