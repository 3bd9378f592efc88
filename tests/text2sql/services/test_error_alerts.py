"""Failing questions are told: from one in five of ten, once an hour, and never for a budget's refusals."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from observability.models import Alert, AlertDelivery
from teams.models import Team
from tests.factories import GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import Database, Generation
from text2sql.services.error_alerts import error_alerts_raise
from text2sql.tasks import watch_errors

pytestmark = pytest.mark.django_db


@pytest.fixture
def database(people: People, shop: Path) -> Database:
    return stored_database(shop, people.sales, people.marketing, name="shop")


def asked(team: Team, database: Database, count: int, **values: Any) -> None:
    for _ in range(count):
        GenerationFactory(team=team, database=database, **values)


def failed(team: Team, database: Database, count: int, problem: str = "claude-overloaded", **values: Any) -> None:
    asked(team, database, count, status=Generation.Status.FAILED, problem=problem, **values)


@pytest.mark.parametrize(("bad", "good", "told"), [(2, 8, 1), (2, 9, 0), (1, 9, 0), (9, 0, 0), (10, 0, 1), (3, 12, 1)])
def test_one_in_five_of_at_least_ten_questions_is_told(
    bad: int, good: int, told: int, people: People, database: Database
) -> None:
    failed(people.sales, database, bad)
    asked(people.sales, database, good)
    assert error_alerts_raise(timezone.now()) == told


def test_the_alert_names_the_share_and_the_reasons_and_is_raised_once_an_hour(
    people: People, database: Database
) -> None:
    failed(people.sales, database, 3)
    failed(people.sales, database, 1, "sql-refused")
    asked(people.sales, database, 6, status=Generation.Status.CANNOT_ANSWER)
    asked(people.marketing, database, 20)
    now = timezone.now()
    assert error_alerts_raise(now) == 1
    assert watch_errors() == 0
    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.scope, alert.level) == ("error_rate", "sales", "critical")
    assert alert.subject == "Sales: 4 of 10 questions failed in the last hour"
    assert alert.body.splitlines()[1:] == ["- claude-overloaded: 3", "- sql-refused: 1"]
    assert AlertDelivery.objects.get(alert=alert).recipients == ["alice@example.com", "root@example.com"]
    # A minute into the next hour of the clock it is the same trouble still.
    assert error_alerts_raise(now + timedelta(minutes=50)) == 0
    later = now + timedelta(minutes=65)
    failed(people.sales, database, 10, created_at=later, finished_at=later)
    assert error_alerts_raise(later) == 1


@pytest.mark.parametrize(
    "problem", ["budget-exhausted", "budget-in-flight", "requests-exhausted", "request-too-expensive"]
)
def test_what_a_budget_refused_is_no_error_and_no_question(problem: str, people: People, database: Database) -> None:
    failed(people.sales, database, 20, problem)
    asked(people.sales, database, 8)
    failed(people.sales, database, 1)
    assert error_alerts_raise(timezone.now()) == 0
    asked(people.sales, database, 1)
    failed(people.sales, database, 2)
    assert error_alerts_raise(timezone.now()) == 1


def test_questions_of_the_hour_before_and_running_ones_do_not_count(people: People, database: Database) -> None:
    now = timezone.now()
    before = now - timedelta(minutes=61)
    failed(people.sales, database, 20, created_at=before, finished_at=before)
    asked(people.sales, database, 20, status=Generation.Status.RUNNING, finished_at=None)
    assert error_alerts_raise(now) == 0


def test_an_inactive_team_is_not_told_of(people: People, database: Database) -> None:
    failed(people.sales, database, 20)
    Team.objects.filter(pk="sales").update(active=False)
    assert error_alerts_raise(timezone.now()) == 0
