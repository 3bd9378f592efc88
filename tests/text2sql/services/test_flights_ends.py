"""How waiting for another one's answer ends where that is rejected, late or never comes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from tests.processes import database_url
from tests.text2sql.services.conftest import SQL, Asker, play_sql
from tests.text2sql.services.crowds import (
    Gate,
    asked_at_once,
    assert_all_over,
    claude,
    gate,
    gone_through,
    key_of,
    messages,
    outcome_of,
    parted,
    steps_of,
    until,
    waiting,
)  # fmt: skip
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import CacheEntry, Flight, Generation
from text2sql.services.flights import ALIVE_SECONDS, FORGOTTEN_AFTER, flights_prune
from text2sql.services.forgetting import removal_request, removal_run, removals_run

__all__ = ["claude", "gate"]

DEAR, CHEAP = "claude-sonnet-5-5", "claude-haiku-5-5"


# --- Thumbs-down meanwhile ------------------------------------------------------------------------------------------


def test_what_is_taken_out_as_soon_as_it_was_given_is_not_given_to_the_next_who_asks(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    play_sql(claude)
    with asked_at_once(claude, *[asker.ask] * 4) as asked:
        gate.opened.set()
        first = asked[0].result(60)
        assert isinstance(first, Generation)
        removal_request(first)
        assert removal_run(first.cache_key)
    parted(asked)
    play_sql(claude, "SELECT id FROM customers")
    fresh = asker.ask()
    assert (fresh.cached, fresh.sql, asker.ask().origin_id) == (False, "SELECT id FROM customers", fresh.pk)


def test_what_is_taken_out_while_it_is_being_kept_does_not_come_back(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    play_sql(claude)
    held = (
        "INSERT INTO text2sql_cacheentry (cache_key, database_id, value, expires_at, created_at)"
        " VALUES (%s, %s, '{}', now(), now())"
    )
    with psycopg.connect(database_url()) as slow:
        slow.execute(held, [key_of(asker), asker.database.pk])
        with asked_at_once(claude, asker.ask) as asked:
            gate.opened.set()
            until(lambda: Generation.objects.filter(status="succeeded").exists(), "the answer is known")
            rejected = Generation.objects.get()
            removal_request(rejected)
            removal_run(rejected.cache_key)
            slow.rollback()
    gone_through(asked)
    removals_run()  # as the schedule does
    play_sql(claude, "SELECT id FROM customers")
    assert asker.ask().sql == "SELECT id FROM customers"


def test_an_older_answer_taken_out_meanwhile_leaves_the_new_one(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    gate.opened.set()
    play_sql(claude, "SELECT id FROM customers")
    older = asker.ask()
    CacheEntry.objects.all().delete()  # it expired
    gate.opened.clear()
    play_sql(claude)
    with asked_at_once(claude, asker.ask, asker.ask) as asked:
        removal_request(older)
        removal_run(older.cache_key)
        gate.opened.set()
    first, _ = parted(asked)
    assert (asker.ask().origin_id, asker.ask().sql) == (first.pk, SQL)


# --- Dead and slow ones ---------------------------------------------------------------------------------------------


def test_what_a_dead_process_left_is_taken_over_at_once(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    Flight.objects.create(
        cache_key=key_of(asker), generation_id=uuid4(), alive_until=timezone.now() - timedelta(milliseconds=1)
    )
    play_sql(claude)
    with asked_at_once(claude, *[asker.ask] * 5) as asked:
        gate.opened.set()
    first, _ = parted(asked)
    assert messages(claude) == 1
    assert "wait_for_same" not in steps_of(first)
    assert_all_over()


def test_one_of_those_who_wait_takes_over_when_the_first_dies(asker: Asker, claude: ClaudeStandIn, gate: Gate) -> None:
    Flight.objects.create(
        cache_key=key_of(asker), generation_id=uuid4(), alive_until=timezone.now() + timedelta(seconds=2)
    )
    play_sql(claude)
    gate.opened.set()
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(outcome_of, asker.ask) for _ in range(6)]
        until(lambda: waiting() == 6, "all of them wait")
        assert messages(claude) == 0
    parted(asked)
    assert messages(claude) == 1
    assert_all_over()


def test_who_missed_the_change_is_given_the_answer_of_whoever_took_over(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    play_sql(claude)
    gate.opened.set()
    answered = asker.ask()
    entry = CacheEntry.objects.get()
    CacheEntry.objects.all().delete()
    Flight.objects.create(
        cache_key=answered.cache_key, generation_id=uuid4(), alive_until=timezone.now() + timedelta(minutes=1)
    )
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(outcome_of, asker.ask)
        until(lambda: waiting() == 1, "it waits")
        # Between two looks of theirs: the first died, another one took over and was answered.
        with transaction.atomic():
            entry.save(force_insert=True)
            Flight.objects.all().delete()
    (given,) = gone_through([asked])
    assert (given.cached, given.origin_id, messages(claude)) == (True, answered.pk, 1)


def test_who_has_no_time_left_to_ask_is_told_so_and_pays_nothing(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    settings.QUESTION_DEADLINE_SECONDS = 3
    another = Flight.objects.create(
        cache_key=key_of(asker), generation_id=uuid4(), alive_until=timezone.now() + timedelta(hours=1)
    )
    problem = asker.problem_of()
    assert (problem.kind, messages(claude)) == ("deadline-exceeded", 0)
    told = Generation.objects.get(pk=problem.extras["generation_id"])
    assert (told.status, told.problem, told.cost_usd) == ("failed", "deadline-exceeded", 0)
    assert "wait_for_same" in steps_of(told)
    assert Flight.objects.get().generation_id == another.generation_id


def test_an_answer_is_given_though_its_row_cannot_be_taken_away(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    play_sql(claude)
    with (
        psycopg.connect(database_url()) as holder,
        psycopg.connect(database_url(), autocommit=True) as killer,
        asked_at_once(claude, asker.ask) as asked,
    ):
        holder.execute("SELECT 1 FROM text2sql_flight FOR UPDATE")
        gate.opened.set()
        cut = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM%text2sql_flight%'"
        )
        until(lambda: killer.execute(cut).fetchone() is not None, "its connection is cut")
        holder.rollback()
    (answer,) = gone_through(asked)
    assert (answer.status, answer.sql) == ("succeeded", SQL)


def test_what_nobody_asks_for_again_is_cleared_away(asker: Asker) -> None:
    now = timezone.now()
    for letter, age in (
        ("a", FORGOTTEN_AFTER * 2),
        ("b", FORGOTTEN_AFTER / 2),
        ("c", -timedelta(seconds=ALIVE_SECONDS)),
    ):
        Flight.objects.create(cache_key=letter * 64, generation_id=uuid4(), alive_until=now - age)
    assert flights_prune(now) == 1
    assert flights_prune(now) == 0
    assert sorted(Flight.objects.values_list("cache_key", flat=True)) == ["b" * 64, "c" * 64]


@pytest.mark.slow
def test_a_slow_answer_is_waited_for_as_long_as_its_process_is_alive(
    asker: Asker, claude: ClaudeStandIn, gate: Gate
) -> None:
    play_sql(claude)
    with asked_at_once(claude, *[asker.ask] * 4) as asked:
        first_until = Flight.objects.get().alive_until
        ends = time.monotonic() + ALIVE_SECONDS + 3
        while time.monotonic() < ends:
            assert (messages(claude), waiting()) == (1, 3)
            assert Flight.objects.get().alive_until > timezone.now()
            time.sleep(0.2)
        assert Flight.objects.get().alive_until > first_until + timedelta(seconds=ALIVE_SECONDS)
        gate.opened.set()
    parted(asked)
    assert messages(claude) == 1
    assert_all_over()
    until(lambda: "flights" not in {thread.name for thread in threading.enumerate()}, "the keeper rests")
