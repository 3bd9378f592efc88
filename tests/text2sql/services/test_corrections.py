"""An estimate that is put right changes the charge, its windows and its question together, or nothing."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from observability.models import AuditEntry
from teams.models import BudgetWindow
from teams.services.charges import ChargeNotCorrectable
from teams.services.windows import window_open
from tests.factories import BudgetFactory, GenerationFactory, TeamFactory
from tests.permissions.estate import stored_database
from tests.teams.ledgers import charged
from text2sql.services.corrections import estimate_correct

pytestmark = pytest.mark.django_db


def test_an_estimate_is_put_right_in_the_charge_the_windows_and_the_question(shop: Path) -> None:
    team, now = TeamFactory(slug="sales"), timezone.now()
    generation = GenerationFactory(
        team=team, database=stored_database(shop, team, name="shop"), cost_usd=Decimal("0.6")
    )
    charge = charged(team, "0.5", now, generation_id=generation.pk, estimated=True)
    budgets = [BudgetFactory(team=team), BudgetFactory(team=None), BudgetFactory()]
    windows = [window_open(budget=budget, at=now) for budget in budgets]
    window_open(budget=budgets[0], at=now - timedelta(days=2))
    values = {"reason": "Anthropic's console", "actor": "user:root"}
    assert estimate_correct(charge=charge, cost=Decimal("0.2"), **values) == Decimal("-0.3")
    generation.refresh_from_db()
    charge.refresh_from_db()
    assert generation.cost_usd == Decimal("0.3")
    assert (charge.cost_usd, charge.booked_usd) == (Decimal("0.2"), Decimal("0.5"))
    spent = [BudgetWindow.objects.get(pk=window.pk).spent_usd for window in windows]
    assert spent == [Decimal("0.2"), Decimal("0.2"), 0]
    assert estimate_correct(charge=charge, cost=Decimal("0.25"), **values) == Decimal("0.05")
    generation.refresh_from_db()
    charge.refresh_from_db()
    assert (generation.cost_usd, charge.booked_usd) == (Decimal("0.35"), Decimal("0.5"))
    entries = AuditEntry.objects.filter(verb="charge.corrected").order_by("at")
    assert [(entry.data["was"]["cost_usd"], entry.data["now"]["cost_usd"]) for entry in entries] == [
        ("0.5", "0.2"), ("0.2", "0.25"),
    ]  # fmt: skip


def test_what_claude_reported_stands(shop: Path) -> None:
    team = TeamFactory()
    generation = GenerationFactory(
        team=team, database=stored_database(shop, team, name="shop"), cost_usd=Decimal("0.5")
    )
    charge = charged(team, "0.5", timezone.now(), generation_id=generation.pk)
    with pytest.raises(ChargeNotCorrectable):
        estimate_correct(charge=charge, cost=Decimal(0), reason="x", actor="user:root")
    generation.refresh_from_db()
    assert generation.cost_usd == Decimal("0.5")
    assert not AuditEntry.objects.filter(verb="charge.corrected").exists()
