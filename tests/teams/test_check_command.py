"""`manage.py check_budgets`."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from teams.models import BudgetCheck
from tests.standins.langfuse import LangfuseStandIn
from tests.teams.langfuse_days import METRICS, ask, elsewhere, organisation_budget, team_with_budget

pytestmark = pytest.mark.django_db(transaction=True)


def check_budgets(*arguments: str) -> str:
    out = StringIO()
    call_command("check_budgets", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def test_it_does_a_round_and_prints_every_budget(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.LANGFUSE_METRICS_PER_DAY = 24
    team = team_with_budget(limit="4")
    organisation_budget("10", "month")
    just_now = timezone.now() - timedelta(minutes=1)
    ask(team, "1", at=just_now)
    elsewhere(team, "2", at=just_now)
    lines = check_budgets().splitlines()
    assert lines[0].split() == [
        "scope", "period", "window", "limit", "spent", "reserved", "external", "%", "Langfuse", "ledger", "drift", "age"
    ]  # fmt: skip
    sales = next(line for line in lines if line.startswith("Sales"))
    everyone = next(line for line in lines if line.startswith("Organisation"))
    figures = ["1.0000", "0.0000", "2.0000"]
    assert sales.split()[5:] == ["4.0000", *figures, "75.0", "1.0000", "1.0000", "0.0000", "0", "min"]
    assert everyone.split()[5:] == ["10.0000", *figures, "30.0", "1.0000", "1.0000", "0.0000", "0", "min"]
    assert "0 days left for later rounds" in lines[-1]


def test_as_json_money_is_text(langfuse: LangfuseStandIn) -> None:
    team = team_with_budget(limit="4")
    elsewhere(team, "2.000000000001", at=timezone.now() - timedelta(minutes=1))
    told = json.loads(check_budgets("--json"))
    assert (told["error"], told["questions"], told["days_left"]) == ("", 2, 0)
    (line,) = told["budgets"]
    assert (line["scope"], line["period"], Decimal(line["external_usd"])) == ("Sales", "day", Decimal("2.000000000001"))
    assert (line["percent"], Decimal(line["drift_usd"])) == (50.0, Decimal(0))
    assert 0 <= line["age"] < 60


def test_a_failed_round_is_an_exit_code_of_one(langfuse: LangfuseStandIn) -> None:
    team_with_budget()
    langfuse.fail(next=None, status=503, path=METRICS)
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_budgets", stdout=out, no_color=True)
    assert ended.value.code == 1
    assert "FAILED: HTTP 503" in out.getvalue()
    assert "never" in out.getvalue()
    assert BudgetCheck.objects.get().error


def test_without_langfuse_it_shows_the_ledger() -> None:
    team_with_budget()
    assert "0 questions to Langfuse" in check_budgets()
