"""`evaluate --examples`: what the team approved is asked, and no question is shown its own answer."""

import json
from typing import Any

import pytest
from pytest_django import Settings

from tests.text2sql.services.conftest import Asker
from tests.text2sql.services.test_evaluation import evaluate, playing
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, EvaluationRun, Example
from text2sql.services.examples import example_publish, example_switch

APPROVED = {
    "How many customers are there?": "SELECT COUNT(*) AS n FROM customers",
    "How many customers are in the north?": "SELECT COUNT(*) AS n FROM customers WHERE region = 'north'",
    "What is the largest order?": "SELECT MAX(amount) AS largest FROM orders",
}
COUNT, NORTH, LARGEST = APPROVED


def publish(question: str, sql: str) -> Example:
    access = DatabaseAccess.objects.get(database__name="shop")
    return example_publish(access=access, question=question, sql=sql, tables=[], generation=None, actor="user:alice")


@pytest.fixture
def approved(asker: Asker) -> dict[str, Example]:
    return {question: publish(question, sql) for question, sql in APPROVED.items()}


def prompts(stand_in: ClaudeStandIn) -> dict[str, str]:
    """What Claude was told with each question, by the question."""
    told = [_text(request.body) for request in stand_in.requests if request.path.endswith("/messages")]
    return {json.loads(text.partition("<question>")[2].partition("</question>")[0]): text for text in told}


def example(question: str, sql: str) -> str:
    """As Claude is shown it."""
    return f"<example>{json.dumps(question)} is answered by {json.dumps(sql)}</example>"


def _text(body: Any) -> str:
    content = body["messages"][0]["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def test_the_approved_questions_are_asked_and_judged_by_their_own_sql(
    approved: dict[str, Example], settings: Settings
) -> None:
    wrong = {LARGEST: "SELECT MIN(amount) AS largest FROM orders"}
    with playing(settings, APPROVED | wrong) as stand_in:
        told = evaluate(examples=True)
        assert prompts(stand_in).keys() == APPROVED.keys()
    run = EvaluationRun.objects.get()
    assert (run.source, run.team_id, run.correct_count, run.wrong_count) == ("examples", "sales", 2, 1)
    assert dict(run.items.values_list("question", "gold")) == APPROVED
    assert "66.7%" in told


def test_a_question_is_not_shown_its_own_example_but_others_like_it(
    approved: dict[str, Example], settings: Settings
) -> None:
    with playing(settings, APPROVED) as stand_in:
        evaluate(examples=True)
        told = prompts(stand_in)
    for question, sql in APPROVED.items():
        assert f"{json.dumps(question)} is answered" not in told[question]
        assert json.dumps(sql) not in told[question]
    assert example(NORTH, APPROVED[NORTH]) in told[COUNT]
    assert example(COUNT, APPROVED[COUNT]) in told[NORTH]
    assert "<example>" not in told[LARGEST]


def test_asked_by_a_person_the_same_question_is_shown_it(
    asker: Asker, approved: dict[str, Example], settings: Settings
) -> None:
    with playing(settings, APPROVED) as stand_in:
        asker.ask(COUNT)
        assert example(COUNT, APPROVED[COUNT]) in prompts(stand_in)[COUNT]


def test_the_same_question_in_other_words_does_not_give_the_answer_away(
    approved: dict[str, Example], settings: Settings
) -> None:
    publish("Customers: how many are there?", "SELECT COUNT(id) AS n FROM customers")
    with playing(settings, APPROVED) as stand_in:
        evaluate(examples=True)
        assert "COUNT(id)" not in prompts(stand_in)[COUNT]


def test_what_is_switched_off_or_replaced_is_not_asked(approved: dict[str, Example], settings: Settings) -> None:
    example_switch(example=approved[LARGEST], enabled=False, actor="user:alice")
    publish(COUNT, "SELECT COUNT(id) AS n FROM customers")
    with playing(settings, APPROVED):
        evaluate(examples=True)
    golds = set(EvaluationRun.objects.get().items.values_list("gold", flat=True))
    assert golds == {APPROVED[NORTH], "SELECT COUNT(id) AS n FROM customers"}
