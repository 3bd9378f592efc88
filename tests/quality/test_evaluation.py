"""A whole evaluation on one of Defog's databases: verified SQL is played for some questions, faults for the others.

Which is which is decided without the comparison: a fault counts only where a plain comparison says that it changes the
rows. The reported accuracy has to be exactly the share that was played right.
"""

import os
from dataclasses import dataclass
from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from tests.factories import TeamFactory
from tests.quality.comparison import Case, Tally, make_case
from tests.quality.defog import FILES, FOLDER, MISSING, Defog, Question, database_loaded
from tests.quality.faults import faults
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import EvaluationRun
from text2sql.services.databases import database_add
from text2sql.services.evaluation_sources import questions_of_file
from text2sql.services.syncing import schema_sync
from text2sql.targets.errors import TargetError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason=MISSING),
    pytest.mark.timeout(300),
    pytest.mark.django_db(transaction=True),
]
DATABASE = "academic"
FILE = FOLDER / "sql-eval" / "data" / FILES[0]


@dataclass(frozen=True)
class Played:
    question: str
    sql: str
    explanation: str = "As played."


def fault_of(case: Case) -> str | None:
    """The first fault that surely changes the rows."""
    for _, sql in faults(case.accepted[0][0]):
        try:
            if case.changes(case.database.run(sql)):
                return sql
        except TargetError:
            continue
    return None


def played(defog: Defog) -> tuple[dict[str, Played], set[str]]:
    """What is answered to each question, and which questions are answered wrongly: two of five."""
    answers, wrong = {}, set()
    for number, verified in enumerate(questions_of_file(FILE, database=DATABASE)):
        question = Question(verified.text, verified.sql)
        case = make_case(defog, question, Tally())
        fault = fault_of(case) if number % 5 < 2 else None
        answers[question.text] = Played(question.text, fault or case.accepted[-1][0].sql)
        if fault:
            wrong.add(question.text)
    return answers, wrong


def test_the_reported_accuracy_is_exactly_the_share_played_right(settings: Settings) -> None:
    dsn = os.environ.get("DATABASE_URL", "")
    if not dsn.startswith("postgres"):
        pytest.skip("DATABASE_URL names no PostgreSQL server")
    team = TeamFactory(slug="sales")
    with database_loaded(dsn, DATABASE) as defog:
        answers, wrong = played(defog)
        database = database_add(name=DATABASE, url=defog.url, teams=[team], actor="test")
        schema_sync(database.pk)
        with ClaudeStandIn(lookup=lambda _, question: answers.get(question)) as stand_in:
            settings.CLAUDE_STAND_IN_URL = stand_in.base_url
            call_command("evaluate", database=DATABASE, file=FILE, yes=True, stdout=StringIO(), stderr=StringIO())
    run = EvaluationRun.objects.get()
    judged = {item.question: (item.outcome, item.why, item.sql) for item in run.items.exclude(outcome="correct")}
    assert judged.keys() == wrong, judged
    assert len(wrong) > 5
    assert run.accuracy == 1 - len(wrong) / len(answers)
