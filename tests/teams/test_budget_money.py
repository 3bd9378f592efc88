"""Money that is added, thresholds that are crossed, charges that are put right."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from observability.models import Alert, AuditEntry
from teams.models import Charge, Membership, TopUp
from teams.services.budget_alerts import exhausted_tell
from teams.services.charges import ChargeNotCorrectable, charge_correct
from teams.services.top_ups import window_top_up
from tests.factories import BudgetFactory, MembershipFactory, TeamFactory, UserFactory, make_key
from tests.teams.spending import NOON, figures, reserve, settle, spend, spender, window_of

pytestmark = pytest.mark.django_db


def alerts() -> list[tuple[str, str]]:
    """Threshold and level of each alert, in the order in which they were raised."""
    return [(alert.key.rpartition(":")[2], alert.level) for alert in Alert.objects.order_by("created_at", "key")]


def test_each_threshold_is_told_once_when_a_settlement_crosses_it() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), thresholds=[50, 80, 100])
    attempt = reserve(budget.team, "0.9")
    assert alerts() == []  # what is only held may yet come back
    settle(budget.team, attempt, "0.499999999999")
    assert alerts() == []
    spend(budget.team, "0.000000000001")
    assert alerts() == [("50", "info")]
    spend(budget.team, "0.2")
    assert alerts() == [("50", "info")]
    spend(budget.team, "0.3")
    assert sorted(alerts()) == [("100", "critical"), ("50", "info"), ("80", "warning")]
    spend(budget.team, "0", now=NOON + timedelta(days=1))
    spend(budget.team, "0.6", now=NOON + timedelta(days=1))
    assert sorted(alerts()) == [("100", "critical"), ("50", "info"), ("50", "info"), ("80", "warning")]


def test_an_alert_is_raised_in_the_transaction_that_settles() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), thresholds=[50])
    attempt = reserve(budget.team, "0.9")
    with transaction.atomic():
        settle(budget.team, attempt, "0.9")
        assert alerts() == [("50", "info")]
        transaction.set_rollback(True)
    assert alerts() == []
    settle(budget.team, attempt, "0.9")
    assert alerts() == [("50", "info")]


def test_one_settlement_can_cross_the_thresholds_of_several_budgets() -> None:
    team = TeamFactory()
    BudgetFactory(team=None, limit_usd=Decimal(1), thresholds=[10, 1000])
    BudgetFactory(team=team, limit_usd=Decimal(1), thresholds=[])
    BudgetFactory(team=team, period="month", limit_usd=Decimal(1), at_limit="alert", thresholds=[120])
    spend(team, "1")
    assert alerts() == [("10", "info")]


def test_the_people_who_are_told_are_the_leads_and_the_admins() -> None:
    lead, member, root = UserFactory(), UserFactory(), UserFactory(is_superuser=True)
    UserFactory(is_superuser=True, is_active=False)
    team = TeamFactory()
    MembershipFactory(team=team, user=lead, role=Membership.Role.LEAD)
    MembershipFactory(team=team, user=member)
    BudgetFactory(team=team, limit_usd=Decimal(1), thresholds=[50])
    BudgetFactory(team=None, limit_usd=Decimal(1), thresholds=[50])
    spend(team, "0.6")
    told = {alert.scope: set(alert.deliveries.get().recipients) for alert in Alert.objects.all()}
    assert told == {team.pk: {lead.email, root.email}, "": {root.email}}


def test_a_budget_of_nothing_raises_no_threshold() -> None:
    budget = BudgetFactory(limit_usd=Decimal(0), at_limit="alert")
    spend(budget.team, "1")
    assert alerts() == []


def test_a_top_up_moves_the_thresholds_with_the_limit() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1), thresholds=[80])
    spend(budget.team, "0.7")
    window_top_up(window=window_of(budget), amount=Decimal(1), reason="Fair week", actor="root")
    spend(budget.team, "0.7")
    assert alerts() == []
    spend(budget.team, "0.2")
    assert alerts() == [("80", "warning")]


def test_refused_questions_are_told_once_a_window_and_a_deleted_budget_not_at_all() -> None:
    budget = BudgetFactory()
    for reason in ("budget_exhausted", "budget_exhausted", "requests_exhausted"):
        exhausted_tell(budget_id=budget.pk, starts_at=NOON, reason=reason)
    assert alerts() == [("exhausted", "critical")]
    exhausted_tell(budget_id=budget.pk, starts_at=NOON + timedelta(days=1), reason="requests_exhausted")
    assert len(alerts()) == 2
    exhausted_tell(budget_id=0, starts_at=NOON, reason="budget_exhausted")
    assert len(alerts()) == 2


def test_a_top_up_leaves_its_reason_and_an_audit_line() -> None:
    budget = BudgetFactory(limit_usd=Decimal(1))
    for amount in ("0.5", "0.25"):
        window_top_up(window=window_of(budget), amount=Decimal(amount), reason="Fair week", actor="root")
    assert window_of(budget).limit_usd == Decimal("1.75")
    assert set(TopUp.objects.values_list("amount_usd", "reason", "actor")) == {
        (Decimal("0.5"), "Fair week", "root"),
        (Decimal("0.25"), "Fair week", "root"),
    }
    event = AuditEntry.objects.filter(verb="budget.topped_up").latest("at")
    assert (event.actor, event.scope, event.target) == ("root", budget.team_id, str(budget.pk))
    assert event.data["reason"] == "Fair week"
    assert (event.data["was"], event.data["now"]) == ({"top_up_usd": "0.5"}, {"top_up_usd": "0.75"})


# --- Estimates put right --------------------------------------------------------------------------------------------


def test_a_corrected_estimate_changes_every_window_that_counts_it() -> None:
    team = TeamFactory()
    key, sibling = make_key(team)[0], make_key(team)[0]
    counting = [
        BudgetFactory(team=None), BudgetFactory(team=team), BudgetFactory(team=team, period="month"),
        BudgetFactory(team=team, api_key=key),
    ]  # fmt: skip
    who, others = spender(team, key.pk), spender(team, sibling.pk)
    elsewhere = BudgetFactory(team=team, api_key=sibling)
    settle(who, reserve(who, "0.4"), None, estimated=True)
    spend(others, "0.1")
    change = charge_correct(
        charge=Charge.objects.get(estimated=True), cost=Decimal("0.15"), reason="Invoice", actor="root"
    )
    assert change == Decimal("-0.25")
    assert [figures(budget)[0] for budget in counting] == [Decimal("0.25")] * 3 + [Decimal("0.15")]
    assert figures(elsewhere) == (Decimal("0.1"), 0)
    charge = Charge.objects.get(estimated=True)
    assert (charge.cost_usd, charge.booked_usd) == (Decimal("0.15"), Decimal("0.4"))
    assert charge.corrected_at is not None
    event = AuditEntry.objects.get(verb="charge.corrected")
    assert (event.data["was"], event.data["now"]) == ({"cost_usd": "0.4"}, {"cost_usd": "0.15"})
    assert (event.data["reason"], event.scope) == ("Invoice", team.pk)


def test_a_second_correction_keeps_what_was_booked_first() -> None:
    budget = BudgetFactory()
    settle(budget.team, reserve(budget.team, "0.4"), None, estimated=True)
    for cost in ("0.1", "0.2"):
        charge_correct(charge=Charge.objects.get(), cost=Decimal(cost), reason="Invoice", actor="root")
    assert (Charge.objects.get().cost_usd, Charge.objects.get().booked_usd) == (Decimal("0.2"), Decimal("0.4"))
    assert figures(budget) == (Decimal("0.2"), 0)


def test_what_claude_reported_cannot_be_corrected() -> None:
    budget = BudgetFactory()
    spend(budget.team, "0.4")
    with pytest.raises(ChargeNotCorrectable):
        charge_correct(charge=Charge.objects.get(), cost=Decimal(0), reason="Cheaper, please", actor="mallory")
    assert figures(budget) == (Decimal("0.4"), 0)
    assert not AuditEntry.objects.filter(verb="charge.corrected").exists()


def test_a_charge_of_yesterday_is_corrected_in_yesterdays_window() -> None:
    budget = BudgetFactory()
    yesterday = NOON - timedelta(days=1)
    settle(budget.team, reserve(budget.team, "0.4", now=yesterday), None, estimated=True)
    spend(budget.team, "0.3")
    charge_correct(charge=Charge.objects.get(estimated=True), cost=Decimal("0.1"), reason="Invoice", actor="root")
    assert figures(budget, at=yesterday) == (Decimal("0.1"), 0)
    assert figures(budget) == (Decimal("0.3"), 0)
