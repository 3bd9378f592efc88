"""Verified questions: who publishes them, whom they are shown to, and who never sees them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from feedback.models import Feedback
from teams.models import Reservation
from tests.factories import FeedbackFactory, TeamFactory, make_database, make_key
from tests.text2sql.services.conftest import Asker, assert_settled, play_sql
from tests.text2sql.services.crowds import Gate, asked_at_once
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Attempt, Database, DatabaseAccess, Example, ExampleUse, Generation
from text2sql.services.examples import (
    MOST_SHOWN,
    example_publish,
    example_switch,
    memory_of,
    uses_rate,
)
from text2sql.services.generation import Question, Trial, generation_create
from text2sql.services.retrieval import shelf
from text2sql.services.rules import rules_current
from text2sql.services.syncing import schema_sync
from text2sql.services.targets import Rung, target_find

ASKED = "How much revenue came from each region?"
SIMILAR = "How much revenue came from the north region?"
ELSE = "Who are the customers?"
SQL = "SELECT region, SUM(amount) AS takings FROM customers JOIN orders ON customers.id = customer_id GROUP BY region"
OTHER_SQL = "SELECT region, 0 AS other_takings FROM customers"
TABLES = ("customers", "orders")
MODEL = "claude-sonnet-5-5"


@pytest.fixture(autouse=True)
def empty_shelf() -> Iterator[None]:
    shelf.clear()
    yield
    shelf.clear()


def access_of(asker: Asker) -> DatabaseAccess:
    return DatabaseAccess.objects.get(team=asker.team, database=asker.database)


def publish(access: DatabaseAccess, question: str = ASKED, sql: str = SQL, **values: Any) -> Example:
    given: dict[str, Any] = {"tables": TABLES, "generation": None, "actor": "lead"} | values
    return example_publish(access=access, question=question, sql=sql, **given)


def shown(claude: ClaudeStandIn) -> str:
    """All that Claude was told last."""
    body = claude.requests[-1].body
    return str(body["system"]) + str(body["messages"])


def told(asker: Asker, claude: ClaudeStandIn, question: str = ASKED, **values: Any) -> str:
    """What Claude is told when the question is asked; it has to be asked."""
    before = len(claude.requests)
    play_sql(claude)
    asker.ask(question, **values)
    assert len(claude.requests) == before + 1, "a cached answer was given"
    return shown(claude)


def is_shown(text: str, mark: str = "AS takings") -> bool:
    return mark in text


# --- Who is shown them ----------------------------------------------------------------------------------------------


def test_the_same_and_a_similar_question_carry_the_example_and_another_one_does_not(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    example = publish(access_of(asker))
    for question in (ASKED, f"  {ASKED.lower()}", SIMILAR):
        text = told(asker, claude, question) if question != f"  {ASKED.lower()}" else shown(claude)
        assert is_shown(text)
        assert ASKED in text
    assert not is_shown(told(asker, claude, ELSE))
    uses = ExampleUse.objects.filter(example=example).values_list("generation__question", flat=True)
    assert sorted(uses) == sorted([ASKED, SIMILAR])


def test_it_is_shown_with_the_question_and_not_in_the_part_that_all_questions_share(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    without = told(asker, claude, ELSE)
    system = claude.requests[-1].body["system"]
    publish(access_of(asker))
    assert is_shown(told(asker, claude))
    assert claude.requests[-1].body["system"] == system
    assert is_shown(str(claude.requests[-1].body["messages"]))
    assert not is_shown(without)


def test_the_likest_few_are_shown(asker: Asker, claude: ClaudeStandIn) -> None:
    access = access_of(asker)
    for place, region in enumerate(("north", "south", "east", "west", "middle")):
        publish(access, f"How much revenue came from the {region} region?", f"SELECT {place} AS place")
    text = told(asker, claude, "How much revenue came from the west region?")
    assert sum(f"SELECT {place} AS place" in text for place in range(5)) == MOST_SHOWN
    assert "SELECT 3 AS place" in text
    assert text.count("<question>") == 1


def test_a_question_of_a_conversation_is_compared_with_all_of_it(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    first = asker.ask(ASKED, session_id="s")
    publish(access_of(asker))
    assert is_shown(told(asker, claude, "And of the revenue the north?", session_id="s", parent_id=first.pk))


def test_the_stream_tells_which_examples_are_shown(asker: Asker, claude: ClaudeStandIn) -> None:
    publish(access_of(asker))
    events: list[Any] = []
    play_sql(claude)
    question = Question(asker.team.pk, "shop", ASKED)
    answer = generation_create(principal=asker.principal, question=question, listener=events.append)
    (context,) = [event for event in events if event.name == "context"]
    assert context.data["examples"] == [ASKED]
    assert "1 example" in answer.strategy_reason


def test_at_hand_they_cost_no_query(asker: Asker, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    publish(access_of(asker))
    target = target_find(principal=asker.principal, team_id="sales", name="shop")
    assert len(memory_of(target).shown) == 1
    with django_assert_num_queries(0):
        assert len(memory_of(target).shown) == 1


def test_a_team_without_examples_pays_no_query(asker: Asker, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    target = target_find(principal=asker.principal, team_id="sales", name="shop")
    with django_assert_num_queries(0):
        assert memory_of(target).shown == ()


def test_an_example_of_another_team_or_database_is_never_shown(asker: Asker, claude: ClaudeStandIn, shop: Path) -> None:
    twin = TeamFactory(slug="twin")
    publish(DatabaseAccess.objects.create(team=twin, database=asker.database))
    elsewhere = make_database(shop, asker.team, name="elsewhere")
    publish(DatabaseAccess.objects.get(team=asker.team, database=elsewhere))
    assert not is_shown(told(asker, claude))
    assert is_shown(told(asker, claude, database="elsewhere"))
    play_sql(claude)
    generation_create(principal=make_key(twin)[2], question=Question("twin", "shop", ASKED))
    assert is_shown(shown(claude))


def test_nothing_that_nobody_reviewed_is_shown(asker: Asker, claude: ClaudeStandIn) -> None:
    before = told(asker, claude)
    answer = Generation.objects.get()
    for state in Feedback.State:
        FeedbackFactory(generation=answer, corrected_sql=SQL, state=state, rating="down")
        FeedbackFactory(generation=answer, corrected_sql="", state=state, rating="up")
    Database.objects.update(answers_number=1)
    assert told(asker, claude) == before
    assert not is_shown(before)
    assert not ExampleUse.objects.exists()


def test_what_an_example_reads_that_the_team_may_no_longer_see_hides_it_at_once(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    access = access_of(asker)
    publish(access)
    assert is_shown(told(asker, claude))
    DatabaseAccess.objects.filter(pk=access.pk).update(tables=["customers"])  # no sync has judged it yet
    assert not is_shown(told(asker, claude))
    DatabaseAccess.objects.filter(pk=access.pk).update(tables=[], hidden_columns=["orders.amount"])
    assert not is_shown(told(asker, claude))
    DatabaseAccess.objects.filter(pk=access.pk).update(hidden_columns=[])
    assert asker.ask(ASKED).cached  # by the first
    assert is_shown(told(asker, claude, SIMILAR))


def test_a_changed_schema_hides_an_example_that_no_longer_runs(asker: Asker, claude: ClaudeStandIn, shop: Path) -> None:
    publish(access_of(asker))
    assert is_shown(told(asker, claude))
    with closing(sqlite3.connect(shop)) as target:
        target.execute("ALTER TABLE orders RENAME COLUMN amount TO total")
        target.commit()
    schema_sync(asker.database.pk)
    assert not is_shown(told(asker, claude))


def test_a_function_that_is_no_longer_allowed_hides_the_examples_that_call_it(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    Database.objects.update(allowed_functions=["my_own"])
    publish(access_of(asker), sql="SELECT my_own(region) AS own FROM customers")
    assert "MY_OWN" in told(asker, claude)
    Database.objects.update(allowed_functions=[])
    assert "MY_OWN" not in told(asker, claude)
    Database.objects.update(allowed_functions=["my_own"])
    assert "MY_OWN" in told(asker, claude, SIMILAR)


# --- The cache ------------------------------------------------------------------------------------------------------


def test_a_new_example_makes_anew_just_the_answers_that_it_is_shown_to(asker: Asker, claude: ClaudeStandIn) -> None:
    access = access_of(asker)
    play_sql(claude, times=3)
    before = {question: asker.ask(question).cache_key for question in (ASKED, SIMILAR, ELSE)}
    publish(access)
    assert asker.ask(ELSE).cached
    for question in (ASKED, SIMILAR):
        assert is_shown(told(asker, claude, question))
    after = {question: asker.ask(question) for question in before}
    assert all(answer.cached for answer in after.values())
    assert [question for question in before if after[question].cache_key != before[question]] == [ASKED, SIMILAR]
    publish(access, "How many people work here?", "SELECT count(*) AS people FROM customers")
    assert all(asker.ask(question).cached for question in before)
    assert len(claude.requests) == 5


def test_a_corrected_example_makes_its_answers_anew(asker: Asker, claude: ClaudeStandIn) -> None:
    access = access_of(asker)
    publish(access)
    told(asker, claude)
    publish(access, sql=OTHER_SQL)
    text = told(asker, claude)
    assert is_shown(text, "AS other_takings")
    assert not is_shown(text)


def test_once_it_is_off_its_answers_are_never_given_again(asker: Asker, claude: ClaudeStandIn) -> None:
    access = access_of(asker)
    play_sql(claude, "SELECT name FROM customers")
    old = asker.ask(ASKED)
    example = publish(access)
    play_sql(claude, OTHER_SQL)
    retired = asker.ask(ASKED)
    play_sql(claude, OTHER_SQL)
    asker.ask(SIMILAR)
    example_switch(example=example, enabled=False, actor="lead")
    again = asker.ask(ASKED)
    assert (again.cached, again.sql, again.origin_id) == (True, old.sql, old.pk)
    play_sql(claude, "SELECT id FROM customers")
    fresh = asker.ask(SIMILAR)
    assert (fresh.cached, fresh.sql) == (False, "SELECT id FROM customers")
    assert not is_shown(shown(claude))
    example_switch(example=example, enabled=True, actor="lead")
    assert asker.ask(ASKED).origin_id == retired.pk


# --- Uses -----------------------------------------------------------------------------------------------------------


def test_uses_are_counted_with_what_was_said_of_the_answer(asker: Asker, claude: ClaudeStandIn) -> None:
    example = publish(access_of(asker))
    play_sql(claude, times=2)
    answers = [asker.ask(ASKED), asker.ask(SIMILAR), asker.ask(ASKED)]
    assert answers[2].cached
    assert set(example.uses.values_list("generation", "rating")) == {(each.pk, "") for each in answers[:2]}
    uses_rate(answers[0], "down")
    uses_rate(answers[0], "up")
    uses_rate(answers[1], "down")
    assert set(example.uses.values_list("generation", "rating")) == {(answers[0].pk, "up"), (answers[1].pk, "down")}


def test_a_failed_question_counts_as_a_use(asker: Asker, claude: ClaudeStandIn) -> None:
    publish(access_of(asker))
    claude.play("max_tokens")
    asker.problem_of(ASKED)
    assert ExampleUse.objects.get().generation.status == "failed"


def test_a_team_that_loses_the_database_meanwhile_still_pays_for_what_was_asked(
    asker: Asker, settings: Settings
) -> None:
    publish(access_of(asker))
    gate = Gate()
    with ClaudeStandIn(lookup=gate) as stand_in:
        settings.CLAUDE_STAND_IN_URL = stand_in.base_url
        play_sql(stand_in)
        with asked_at_once(stand_in, lambda: asker.ask(ASKED)) as asked:
            DatabaseAccess.objects.all().delete()
            gate.opened.set()
    answer = asked[0].result(60)
    assert isinstance(answer, Generation)
    assert assert_settled(answer).cost_usd == stand_in.billed[0].cost
    assert not Reservation.objects.exists()
    assert not Attempt.objects.filter(status="running").exists()


# --- Evaluations ----------------------------------------------------------------------------------------------------


def trial() -> Trial:
    return Trial(Rung(MODEL, ""), rules_current())


def test_a_question_on_trial_is_not_shown_its_own_answer_but_those_of_others(
    asker: Asker, claude: ClaudeStandIn
) -> None:
    access = access_of(asker)
    publish(access)
    assert not is_shown(told(asker, claude, trial=trial()))
    assert not is_shown(told(asker, claude, f"{ASKED.rstrip('?').upper()} !", trial=trial()))
    publish(access, SIMILAR, OTHER_SQL)
    text = told(asker, claude, trial=trial())
    assert is_shown(text, "AS other_takings")
    assert not is_shown(text)
    assert is_shown(told(asker, claude))


@pytest.fixture
def wide(asker: Asker, shop: Path) -> Asker:
    """The shop with sixty tables more whose names say nothing, and room for a few."""
    with closing(sqlite3.connect(shop)) as target:
        for number in range(60):
            columns = ", ".join(f"f{place} TEXT" for place in range(20))
            target.execute(f"CREATE TABLE zz{number} (id INTEGER PRIMARY KEY, {columns})")
        target.commit()
    schema_sync(asker.database.pk)
    Database.objects.update(context_tokens=800)
    return asker


def tables_in(text: str) -> set[str]:
    return {f"zz{number}" for number in range(60) if f"table zz{number} " in text or f"table zz{number}\\n" in text}


def test_in_a_large_schema_an_example_helps_to_choose_tables_but_not_on_trial_of_itself(
    wide: Asker, claude: ClaudeStandIn
) -> None:
    question = "Who are the customers with the gizmos?"
    publish(
        access_of(wide),
        question,
        "SELECT f1 FROM zz57 JOIN customers ON zz57.id = customers.id",
        tables=["zz57", "customers"],
    )
    text = told(wide, claude, question)
    assert "customers" in text
    assert "zz57" in tables_in(text)
    on_trial = told(wide, claude, question, trial=trial())
    assert wide.database.name in on_trial
    assert "table customers" in on_trial
    assert "zz57" not in tables_in(on_trial)


def test_in_a_large_schema_nothing_is_learnt_from_another_team(wide: Asker, claude: ClaudeStandIn) -> None:
    question = "Who are the customers with the gizmos?"
    twin = DatabaseAccess.objects.create(team=TeamFactory(slug="twin"), database=wide.database)
    publish(twin, question, "SELECT f1 FROM zz57", tables=["zz57"])
    assert "zz57" not in tables_in(told(wide, claude, question))
