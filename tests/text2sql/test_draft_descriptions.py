"""`manage.py draft_descriptions`: Claude drafts what is missing, at a team's expense."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from teams.models import BudgetWindow, Charge, Reservation
from teams.services.budgets import Spender, budget_reserve
from tests.factories import BudgetFactory, TeamFactory
from tests.text2sql.services.conftest import asker
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database, DraftRun, SchemaNote
from text2sql.services.sweeping import questions_sweep

__all__ = ["asker"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("asker")]


def run(*arguments: str) -> tuple[str, str]:
    out, progress = StringIO(), StringIO()
    call_command("draft_descriptions", *arguments, stdout=out, stderr=progress)
    return out.getvalue(), progress.getvalue()


def told(*arguments: str) -> str:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    return str(raised.value)


def play(claude: ClaudeStandIn, **texts: str) -> None:
    entries: list[Any] = [{"table": table, "column": "", "text": text} for table, text in texts.items()]
    claude.play("answer", text=json.dumps({"descriptions": entries}))


def test_the_command_drafts_and_says_how_many(claude: ClaudeStandIn) -> None:
    play(claude, customers="Who buys.", orders="What they buy.")
    out, progress = run("shop", "--team", "sales")
    assert out == "shop: 2 descriptions drafted; review them in the admin, Descriptions.\n"
    assert "2 drafted" in progress
    assert set(SchemaNote.objects.values_list("draft", "text")) == {("Who buys.", ""), ("What they buy.", "")}
    assert Charge.objects.get().team_id == "sales"
    assert DraftRun.objects.get().actor == "command:draft_descriptions"


def test_what_stopped_it_is_one_sentence(claude: ClaudeStandIn) -> None:
    BudgetFactory(team=TeamFactory(slug="sales"), limit_usd=0)
    assert told("shop", "--team", "sales").startswith("shop: stopped after 0 descriptions: ")
    assert claude.requests == []


def test_what_is_not_there_is_said_with_what_is() -> None:
    TeamFactory(slug="marketing")
    assert told("shap", "--team", "sales") == "There is no database shap. Known: shop."
    assert told("shop", "--team", "nobody") == "There is no team nobody. Known: marketing, sales."
    assert told("shop", "--team", "marketing") == "The database shop is not open to the team marketing."
    Database.objects.update(catalog=None)
    assert "have not been read yet" in told("shop", "--team", "sales")


def test_a_call_at_a_price_that_is_not_known_is_booked_at_its_bound(claude: ClaudeStandIn) -> None:
    play(claude, customers="Who buys.")
    claude.workspace_geo = "eu"
    run("shop", "--team", "sales")
    charge = Charge.objects.get()
    assert (charge.estimated, charge.cost_usd >= claude.billed[0].cost > 0) == (True, True)
    assert not Reservation.objects.exists()


def test_what_a_killed_worker_held_for_drafts_is_booked_and_held_no_longer() -> None:
    budget = BudgetFactory(team=TeamFactory(slug="sales"))
    drafts = DraftRun.objects.create(database=Database.objects.get(), team=budget.team, actor="user:anna")
    now, held = timezone.now(), Decimal("0.05")
    with transaction.atomic():
        budget_reserve(
            attempt_id=uuid4(), generation_id=drafts.pk, spender=Spender("sales"), least=held, most=held, now=now,
            expires_at=now - timedelta(seconds=1),
        )  # fmt: skip
    assert questions_sweep() == 1
    charge, window = Charge.objects.get(), BudgetWindow.objects.get(budget=budget)
    assert (charge.cost_usd, charge.estimated, charge.database) == (held, True, "shop")
    assert (window.spent_usd, window.reserved_usd) == (held, 0)
    assert questions_sweep() == 0
