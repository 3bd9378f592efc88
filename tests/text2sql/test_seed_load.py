"""Made-up questions in great number: whole, plausible, and only where nobody minds."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from pytest_django import Settings

from feedback.models import Feedback
from teams.models import Charge, Team
from tests.factories import TeamFactory
from text2sql.models import Attempt, Database, Generation, QuestionDay

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _trying_out(settings: Settings) -> None:
    settings.DEBUG = True


def loaded(*arguments: str) -> str:
    told = StringIO()
    call_command("seed_load", *arguments, stdout=told)
    return told.getvalue()


def test_what_is_made_hangs_together() -> None:
    told = loaded("--generations", "1203", "--teams", "3")
    assert "1,203 of 1,203 questions" in told
    assert (Generation.objects.count(), Team.objects.count(), Database.objects.count()) == (1203, 3, 6)
    assert {row.status for row in Generation.objects.all()} == {"succeeded", "clarify", "cannot_answer", "failed"}
    cached = Generation.objects.filter(cached=True).count()
    assert 0 < cached < 1203
    assert Attempt.objects.count() == 1203 - cached
    charged = Charge.objects.aggregate(cost=Sum("cost_usd"))["cost"]
    assert charged == Generation.objects.aggregate(cost=Sum("cost_usd"))["cost"] > Decimal(1)
    assert Charge.objects.count() == 1203
    attempts = set(Attempt.objects.values_list("pk", flat=True))
    assert set(Charge.objects.filter(cached=False).values_list("attempt_id", flat=True)) == attempts
    assert Feedback.objects.filter(generation__status="succeeded").count() == Feedback.objects.count() > 0
    assert QuestionDay.objects.aggregate(questions=Sum("questions"))["questions"] == 1203
    for row in Generation.objects.select_related("database")[:50]:
        assert row.database.accesses.get().team_id == row.team_id


def test_a_session_is_one_teams() -> None:
    loaded("--generations", "200", "--teams", "5")
    sessions = Generation.objects.exclude(session_id="").order_by().values_list("session_id", flat=True)
    teams = Generation.objects.exclude(session_id="").order_by().values_list("session_id", "team_id").distinct()
    assert sessions.count() > sessions.distinct().count() == teams.count()


def test_again_it_adds_to_the_same_teams() -> None:
    loaded("--generations", "10", "--teams", "2")
    loaded("--generations", "10", "--teams", "2")
    assert (Generation.objects.count(), Team.objects.count(), Database.objects.count()) == (20, 2, 4)
    assert QuestionDay.objects.aggregate(questions=Sum("questions"))["questions"] == 20


def test_other_rows_are_mixed_with_them_only_on_demand() -> None:
    TeamFactory(slug="sales")
    with pytest.raises(CommandError, match="--yes"):
        loaded("--generations", "10")
    assert not Generation.objects.exists()
    loaded("--generations", "10", "--teams", "1", "--yes")
    assert Generation.objects.count() == 10


def test_in_production_nothing_is_made(settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG"):
        loaded("--generations", "10", "--yes")
    assert not Generation.objects.exists()


@pytest.mark.parametrize("arguments", [("--generations", "0"), ("--generations", "5", "--teams", "1000")])
def test_numbers_that_make_no_sense_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="at least one question"):
        loaded(*arguments)
