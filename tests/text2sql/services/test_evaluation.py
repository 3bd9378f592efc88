"""Evaluations through the whole pipeline: what is played is known, so what is reported has to be exactly that."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from teams.models import Budget, Charge
from tests.factories import BudgetFactory
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.services.conftest import Asker
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import CacheEntry, EvaluationItem, EvaluationRun, Execution, Generation
from text2sql.services.evaluation_changes import run_change
from text2sql.services.evaluation_sources import SourceUnreadable, questions_of_file, questions_recorded

COUNT = "SELECT count(*) AS customers FROM customers"
GOLD = {
    "How many customers are there?": COUNT,
    "Who are the customers?": "SELECT {name, id} FROM customers",
    "What did each customer spend?": "SELECT c.name, sum(o.amount) FROM customers c JOIN orders o"
    " ON o.customer_id = c.id GROUP BY c.name",
    "Which order was the largest?": "SELECT id FROM orders ORDER BY amount DESC LIMIT 1",
    "What is the average amount of an order?": "SELECT avg(amount) FROM orders",
    "List the orders from the oldest to the newest": "SELECT id FROM orders ORDER BY ordered_on",
    "Who is in the east?": "SELECT name FROM customers WHERE region = 'east'",
    "In which region is Ada?": "SELECT region FROM customers WHERE name = 'Ada'",
    "How many orders are there?": "SELECT count(*) FROM orders; SELECT count(id) FROM orders",
    "How many regions are there?": "SELECT count(DISTINCT region) FROM customers",
}
OTHERWISE = {
    "Who are the customers?": "SELECT id, region, name FROM customers ORDER BY name DESC",
    "What did each customer spend?": "SELECT sum(amount) AS spent, name FROM orders JOIN customers"
    " ON customers.id = customer_id GROUP BY name",
    "What is the average amount of an order?": "SELECT round(sum(amount) / count(*), 2) AS average FROM orders",
}
FAULTS = {
    "How many customers are there?": "SELECT count(*) + 1 AS n FROM customers",
    "Which order was the largest?": "SELECT id FROM orders ORDER BY amount LIMIT 1",
    "List the orders from the oldest to the newest": "SELECT id FROM orders ORDER BY ordered_on DESC",
}


@dataclass(frozen=True)
class Played:
    question: str
    sql: str
    explanation: str = "As played."


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps({"question": text, "sql": sql}) + "\n" for text, sql in GOLD.items()))
    return path


@contextmanager
def playing(settings: Settings, answers: Mapping[str, str]) -> Iterator[ClaudeStandIn]:
    """Claude's stand-in with these answers; of every other question it says that it cannot answer."""

    def lookup(_database: str, question: str) -> Played | None:
        return Played(question, answers[question]) if question in answers else None

    with ClaudeStandIn(lookup=lookup) as stand_in:
        settings.CLAUDE_STAND_IN_URL = stand_in.base_url
        yield stand_in


def right(question: str) -> str:
    return OTHERWISE.get(question) or GOLD[question].split(";")[0].replace("{name, id}", "name")


RIGHT = {question: right(question) for question in GOLD}


def evaluate(**options: Any) -> str:
    out, err = StringIO(), StringIO()
    given = {} if "resume" in options else {"database": "shop"}
    call_command("evaluate", **given, yes=True, stdout=out, stderr=err, **options)
    return out.getvalue() + err.getvalue()


@pytest.mark.parametrize("fault_count", [0, 1, 3])
def test_the_reported_accuracy_is_exactly_the_share_that_was_played_right(
    asker: Asker, settings: Settings, questions: Path, fault_count: int
) -> None:
    faults = dict(list(FAULTS.items())[:fault_count])
    with playing(settings, RIGHT | faults):
        told = evaluate(file=questions, concurrency=3)
    run = EvaluationRun.objects.get()
    assert run.status == EvaluationRun.Status.FINISHED
    assert (run.correct_count, run.wrong_count) == (len(GOLD) - fault_count, fault_count)
    assert run.accuracy == (len(GOLD) - fault_count) / len(GOLD)
    assert run.weak_count == 1  # nobody is in the east
    assert f"{run.accuracy:.1%}" in told
    assert set(run.items.filter(outcome="wrong").values_list("question", flat=True)) == faults.keys()


def test_money_latency_and_traces_of_a_run_add_up_to_those_of_its_questions(
    asker: Asker, settings: Settings, questions: Path
) -> None:
    with playing(settings, RIGHT) as stand_in:
        evaluate(file=questions)
    run = EvaluationRun.objects.get()
    assert len(stand_in.billed) == len(GOLD)
    assert run.cost_usd == sum(charge.cost_usd for charge in Charge.objects.all()) > 0
    assert {charge.team_id for charge in Charge.objects.all()} == {"sales"}
    latencies = sorted(ms or 0 for ms in Generation.objects.values_list("latency_ms", flat=True))
    assert (run.latency_p50_ms, run.latency_p95_ms) == (latencies[4], latencies[9])
    for item in run.items.select_related("generation"):
        assert item.generation is not None
        assert item.trace_id == item.generation.trace_id
        assert item.cost_usd == item.generation.cost_usd


def test_an_evaluation_neither_reads_the_cache_nor_fills_it(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT | FAULTS):
        asker.ask("How many customers are there?")
    cached = list(CacheEntry.objects.values_list("cache_key", "value"))
    assert len(cached) == 1
    with playing(settings, RIGHT) as stand_in:
        evaluate(file=questions)
    assert EvaluationRun.objects.get().accuracy == 1
    assert len(stand_in.billed) == len(GOLD)
    assert list(CacheEntry.objects.values_list("cache_key", "value")) == cached


def test_refusals_and_failures_are_told_apart_from_wrong_answers(
    asker: Asker, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "questions.csv"
    gold = {"cannot": COUNT, "forbidden": COUNT, "broken": COUNT, "right": COUNT, "unverified": "SELECT nothing FROM x"}
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("question", "query"), *gold.items()])
    answers = {
        "forbidden": "DELETE FROM customers",
        "broken": "SELECT abs(-9223372036854775807 - 1) AS n",
        "right": COUNT,
    }
    with playing(settings, answers) as stand_in:
        told = evaluate(file=path)
    run = EvaluationRun.objects.get()
    outcomes = dict(run.items.values_list("question", "outcome"))
    assert outcomes == {
        "cannot": "refused", "forbidden": "refused", "broken": "wrong", "right": "correct", "unverified": "failed",
    }  # fmt: skip
    assert run.accuracy == 1 / 5
    assert "The verified SQL does not run" in run.items.get(question="unverified").why
    assert not any("unverified" in json.dumps(each.body) for each in stand_in.requests)
    assert "cannot" in told


def test_model_and_effort_can_be_chosen(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT) as stand_in:
        evaluate(file=questions, model="claude-haiku-5-5", limit=2)
    assert {bill.model for bill in stand_in.billed} == {"claude-haiku-5-5"}
    assert EvaluationRun.objects.get().model == "claude-haiku-5-5"


def test_a_version_of_the_managed_rules_can_be_tried(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, questions: Path
) -> None:
    settings.LANGFUSE_PROMPT_NAME = "rules"
    versions = [langfuse.put_prompt("rules", f"{word}: {{{{dialect}}}}, {{{{today}}}}.") for word in ("Old", "New")]
    with playing(settings, RIGHT) as stand_in:
        evaluate(file=questions, limit=1, prompt_version=str(versions[1]))
    (request,) = [each for each in stand_in.requests if each.path.endswith("/messages")]
    assert "New: SQLite" in json.dumps(request.body)
    run = EvaluationRun.objects.get()
    assert run.prompt_version.endswith(f"+rules:{versions[1]}")
    assert run.rules.startswith("New: ")
    with pytest.raises(CommandError, match="404"):
        evaluate(file=questions, prompt_version="99")


def test_a_run_that_falls_below_the_mark_fails(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT | FAULTS):
        evaluate(file=questions, fail_under=70)
        with pytest.raises(CommandError, match="Below 71") as below:
            evaluate(file=questions, fail_under=71)
    assert below.value.returncode == 1


def test_a_spent_budget_stops_the_run_and_it_goes_on_where_it_stopped(
    asker: Asker, settings: Settings, questions: Path
) -> None:
    budget = BudgetFactory(team=asker.team, limit_usd=Decimal("0.2"), request_limit=4)
    with playing(settings, RIGHT), pytest.raises(CommandError, match="requests-exhausted") as stopped:
        evaluate(file=questions, concurrency=1)
    assert stopped.value.returncode == 3
    run = EvaluationRun.objects.get()
    assert (run.status, run.correct_count, run.accuracy) == ("stopped", 4, None)
    assert str(run.pk) in str(stopped.value)
    Budget.objects.filter(pk=budget.pk).delete()
    with playing(settings, RIGHT) as stand_in:
        evaluate(resume=run.pk)
    assert len(stand_in.billed) == len(GOLD) - 4
    run.refresh_from_db()
    assert (run.status, run.accuracy, run.stop_reason) == ("finished", 1.0, "")
    assert run.cost_usd == sum(charge.cost_usd for charge in Charge.objects.all())


def test_the_cheaper_model_never_answers_for_the_one_on_trial(
    asker: Asker, settings: Settings, questions: Path
) -> None:
    asker.team.degraded_model = "claude-haiku-5-5"
    asker.team.save()
    BudgetFactory(team=asker.team, limit_usd=Decimal("0.000001"), at_limit=Budget.AtLimit.DEGRADE)
    with playing(settings, RIGHT) as stand_in, pytest.raises(CommandError):
        evaluate(file=questions, concurrency=1)
    assert not stand_in.billed
    assert EvaluationRun.objects.get().status == "stopped"


def test_a_run_that_another_process_works_on_is_left_alone(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT):
        evaluate(file=questions)
        run = EvaluationRun.objects.get()
        EvaluationItem.objects.filter(run=run).update(outcome="")
        EvaluationRun.objects.update(status="running", claimed_until=timezone.now() + timedelta(seconds=20))
        with pytest.raises(CommandError, match="another process"):
            evaluate(resume=run.pk)
        EvaluationRun.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
        evaluate(resume=run.pk)
    run.refresh_from_db()
    assert run.accuracy == 1


def test_what_changed_since_the_last_run_is_told(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT | FAULTS):
        evaluate(file=questions)
    del_one = dict(list(FAULTS.items())[:1]) | {"How many orders are there?": "SELECT 7 AS n"}
    with playing(settings, RIGHT | del_one):
        told = evaluate(file=questions)
    change = run_change(EvaluationRun.objects.first())  # type: ignore[arg-type]  # there are two
    assert change is not None
    assert (change.newly_right, change.newly_wrong) == (2, 1)
    assert "+10.0 points" in told


def test_no_rows_of_an_evaluation_are_kept(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT):
        evaluate(file=questions)
    assert not Execution.objects.exists()
    assert "Bert" not in "".join(map(str, EvaluationItem.objects.values_list("why", "sql")))


def test_nothing_is_asked_before_someone_agreed(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT) as stand_in, pytest.raises(CommandError, match="--yes"):
        call_command("evaluate", database="shop", file=questions, stderr=StringIO())
    assert not stand_in.requests
    assert not EvaluationRun.objects.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"examples": True}, "no approved examples"),
        ({}, "Say where"),
        ({"recorded": True}, "no recorded questions"),
        ({"file": Path("nowhere.csv")}, "No such file"),
        ({"file": Path("nowhere.csv"), "team": "nobody"}, "no such database"),
        ({"file": Path("nowhere.csv"), "model": "claude-unheard-of"}, "No such file"),
        ({"file": Path("nowhere.csv"), "prompt_version": "12"}, "no rules '12'"),
        ({"file": Path("nowhere.csv"), "concurrency": 0}, "concurrency"),
        ({"file": Path("nowhere.csv"), "key": "t2s_nobody"}, "no API key"),
        ({"resume": "11111111-1111-1111-1111-111111111111"}, "no run"),
    ],
)
def test_what_cannot_be_evaluated_is_told(asker: Asker, options: dict[str, Any], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        evaluate(**options)


def test_a_model_without_a_price_is_refused_before_the_start(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT), pytest.raises(CommandError, match="claude-unheard-of"):
        evaluate(file=questions, model="claude-unheard-of")
    assert not EvaluationRun.objects.exists()


def test_a_key_pays_from_its_own_budget(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT):
        evaluate(file=questions, key=f"t2s_{asker.key.prefix}", limit=1)
    assert EvaluationRun.objects.get().api_key_id == asker.key.pk
    assert Charge.objects.get().api_key_id == asker.key.pk


def test_rows_of_other_databases_in_a_file_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "defog.csv"
    path.write_text("question,query,db_name,instructions\nA?,SELECT 1,shop,Mind this.\nB?,SELECT 2,other,\n")
    (found,) = questions_of_file(path, database="shop")
    assert (found.text, found.sql) == ("A?\nMind this.", "SELECT 1")
    with pytest.raises(SourceUnreadable, match="other, shop"):
        questions_of_file(path, database="elsewhere")


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", '{"question": "a"}', '{"question": "", "sql": "SELECT 1"}'])
def test_a_file_without_questions_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(content)
    with pytest.raises(SourceUnreadable):
        questions_of_file(path, database="shop")


def test_accepted_statements_may_come_as_a_list(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "a", "sql": ["SELECT 1", "SELECT 2"]}\n\n')
    assert [question.sql for question in questions_of_file(path, database="shop")] == ["SELECT 1;\nSELECT 2"]


def test_the_demo_comes_with_verified_questions() -> None:
    databases = ("sales_db", "marketing_db", "operations_db", "support_db")
    count: Callable[[str], int] = lambda name: len(questions_recorded(name))  # noqa: E731  # said once
    assert sum(map(count, databases)) == 64
