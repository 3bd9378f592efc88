"""Versions of verified questions: published, switched, judged, each time noted."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from observability.models import AuditEntry
from tests.factories import TeamFactory
from tests.text2sql.services.conftest import Asker
from text2sql.models import DatabaseAccess, Example
from text2sql.pipeline.finding import Finding
from text2sql.services.examples import (
    example_digest,
    example_publish,
    example_switch,
    examples_judged,
)

ASKED = "How much revenue came from each region?"
ELSE = "Who are the customers?"
SQL = "SELECT region, SUM(amount) AS takings FROM customers JOIN orders ON customers.id = customer_id GROUP BY region"
OTHER_SQL = "SELECT region, 0 AS other_takings FROM customers"
TABLES = ("customers", "orders")


def access_of(asker: Asker) -> DatabaseAccess:
    return DatabaseAccess.objects.get(team=asker.team, database=asker.database)


def publish(access: DatabaseAccess, question: str = ASKED, sql: str = SQL, **values: Any) -> Example:
    given: dict[str, Any] = {"tables": TABLES, "generation": None, "actor": "lead"} | values
    return example_publish(access=access, question=question, sql=sql, **given)


def verbs(example: Example) -> list[str]:
    return list(AuditEntry.objects.filter(target=str(example.pk)).order_by("at").values_list("verb", flat=True))


def test_an_example_is_published_with_who_and_what(asker: Asker) -> None:
    access = access_of(asker)
    example = publish(access, f"  {ASKED} \n")
    assert (example.question, example.sql, example.tables) == (ASKED, SQL, list(TABLES))
    assert (example.number, example.enabled, example.actor, example.replaced_at) == (1, True, "lead", None)
    entry = AuditEntry.objects.get(target=str(example.pk))
    assert (entry.actor, entry.verb, entry.scope) == ("lead", "example.published", "sales")
    assert (entry.data["database"], entry.data["version"], entry.data["was"]) == ("shop", 1, {})
    assert (entry.data["now"]["question"], entry.data["now"]["sql"]) == (ASKED, SQL)
    access.refresh_from_db()
    assert access.examples_number == 1


def test_a_correction_is_a_new_version_and_the_old_one_stays_as_it_was(asker: Asker) -> None:
    access = access_of(asker)
    first = publish(access)
    second = publish(access, f"{ASKED.upper()}  ", OTHER_SQL)
    first.refresh_from_db()
    assert (first.sql, first.number, first.enabled) == (SQL, 1, True)
    assert first.replaced_at is not None
    assert (second.number, second.digest) == (2, first.digest)
    assert list(Example.objects.in_force()) == [second]
    assert verbs(second) == ["example.published"]
    access.refresh_from_db()
    assert access.examples_number == 2


def test_the_same_again_changes_nothing(asker: Asker) -> None:
    access = access_of(asker)
    first = publish(access)
    assert publish(access, f"{ASKED}!").pk == first.pk
    access.refresh_from_db()
    assert (access.examples_number, Example.objects.count()) == (1, 1)
    assert verbs(first) == ["example.published"]


def test_one_that_was_off_or_broken_comes_back_as_a_new_version(asker: Asker) -> None:
    access = access_of(asker)
    first = publish(access)
    example_switch(example=first, enabled=False, actor="lead")
    second = publish(access)
    assert second.number == 2
    examples_judged(access=access, findings={second.pk: Finding("unknown_table", "It is gone.")}, actor="sync")
    third = publish(access)
    assert list(Example.objects.in_force()) == [third]
    assert third.number == 3


def test_an_example_is_switched_off_and_on_and_each_time_it_is_noted(asker: Asker) -> None:
    access = access_of(asker)
    example = publish(access)
    for enabled in (False, False, True, True):
        example_switch(example=example, enabled=enabled, actor="otto")
    assert verbs(example) == ["example.published", "example.switched_off", "example.switched_on"]
    access.refresh_from_db()
    assert access.examples_number == 3
    example.refresh_from_db()
    assert example.enabled


def test_a_replaced_version_cannot_be_switched(asker: Asker) -> None:
    first = publish(access_of(asker))
    publish(access_of(asker), sql=OTHER_SQL)
    with pytest.raises(ValueError, match="newer version"):
        example_switch(example=first, enabled=False, actor="lead")


def test_what_was_judged_is_noted_once(asker: Asker) -> None:
    access = access_of(asker)
    example, other = publish(access), publish(access, ELSE, "SELECT name FROM customers")
    broken = Finding("unknown_column", "There is no amount.")
    assert examples_judged(access=access, findings={example.pk: broken, other.pk: None}, actor="sync") == 1
    assert examples_judged(access=access, findings={example.pk: broken, other.pk: None}, actor="sync") == 0
    assert list(Example.objects.in_force()) == [other]
    assert examples_judged(access=access, findings={example.pk: None}, actor="sync") == 1
    assert verbs(example) == ["example.published", "example.broken", "example.mended"]
    assert set(Example.objects.in_force()) == {example, other}


def test_examples_of_another_team_are_not_judged_by_mistake(asker: Asker) -> None:
    other = DatabaseAccess.objects.create(team=TeamFactory(), database=asker.database)
    example = publish(other)
    assert examples_judged(access=access_of(asker), findings={example.pk: Finding("x", "x")}, actor="sync") == 0
    example.refresh_from_db()
    assert example.finding is None


@pytest.mark.parametrize("sqls", [(SQL, OTHER_SQL), (SQL, SQL)])
def test_of_two_leads_who_publish_at_once_one_is_the_newest(asker: Asker, sqls: tuple[str, str]) -> None:
    access, start = access_of(asker), threading.Barrier(8)

    def run(number: int) -> None:
        start.wait(30)
        try:
            publish(access, sql=sqls[number % 2], actor=f"lead{number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, range(8)))
    newest = Example.objects.get(replaced_at=None)
    numbers = sorted(Example.objects.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert newest.number == numbers[-1]
    assert len(numbers) == 1 if sqls[0] == sqls[1] else len(numbers) >= 2
    access.refresh_from_db()
    assert access.examples_number == len(numbers)


def test_leads_who_publish_different_questions_at_once_all_count(asker: Asker) -> None:
    access, start = access_of(asker), threading.Barrier(6)

    def run(number: int) -> None:
        start.wait(30)
        try:
            publish(access, f"Question about {'abcdef'[number]}")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(run, range(6)))
    access.refresh_from_db()
    assert access.examples_number == Example.objects.in_force().count() == 6


def test_the_digest_is_of_the_normalised_question() -> None:
    assert example_digest(" How  MANY? ") == example_digest("how many")
    assert example_digest("how many") != example_digest("how much")
