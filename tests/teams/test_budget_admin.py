"""Budgets, top-ups and limits of models in the admin, through the real forms."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from observability.models import AuditEntry
from teams.models import Budget, BudgetWindow, ModelLimit, Team, TopUp
from teams.services.keys import key_revoke
from teams.services.model_limits import model_limits_forget, output_limits
from teams.services.windows import window_open
from tests.factories import BudgetFactory, make_key
from tests.people import People
from tests.teams.ledgers import charged, charged_daily

pytestmark = pytest.mark.django_db

LIST = "/admin/teams/budget/"
ADD = "/admin/teams/budget/add/"
TERMS = {"limit_usd": "12.50", "at_limit": "block", "degrade_from": "90", "thresholds": "50, 80, 100"}
CONFIRMED = {"_form_submitted": "on"}


@pytest.fixture
def root(people: People) -> Client:
    return people.signed_in(people.root)


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def page_of(budget: Budget) -> str:
    return reverse("admin:teams_budget_change", args=[budget.pk])


def text(answer: Any) -> str:
    return str(answer.content.decode())


def errors(answer: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = answer.context["adminform"].form.errors
    return found


def test_an_admin_makes_a_budget_of_a_key_with_all_its_terms_and_it_is_audited(root: Client, people: People) -> None:
    key, _, _ = make_key(people.sales)
    form = {
        "team": "sales", "api_key": str(key.pk), "period": "month", "limit_usd": "20", "request_limit": "300",
        "request_cap_usd": "0.05", "at_limit": "degrade", "degrade_from": "75", "thresholds": "100, 60,60",
    }  # fmt: skip
    assert root.post(ADD, form).status_code == 302
    budget = Budget.objects.get()
    assert (budget.team_id, budget.api_key_id, budget.period, budget.limit_usd) == ("sales", key.pk, "month", 20)
    assert (budget.request_limit, budget.request_cap_usd, budget.at_limit) == (300, Decimal("0.05"), "degrade")
    assert (budget.degrade_from, budget.thresholds) == (75, [60, 100])
    entry = AuditEntry.objects.get(verb="budget.added")
    assert (entry.actor, entry.scope, entry.target) == ("user:root", "sales", str(budget.pk))
    assert entry.data["now"] == {
        "team_id": "sales", "api_key_id": str(key.pk), "period": "month", "limit_usd": "20", "at_limit": "degrade",
        "degrade_from": 75, "thresholds": [60, 100], "request_limit": 300, "request_cap_usd": "0.05",
    }  # fmt: skip


def test_a_new_budget_shows_at_once_what_its_period_has_spent(root: Client, people: People) -> None:
    charged(people.sales, "5", timezone.now())
    assert root.post(ADD, {"team": "sales", "period": "month", **TERMS}).status_code == 302
    assert "40 % spent" in text(root.get(LIST))


def test_the_form_of_a_new_budget_begins_with_the_usual_warnings_and_blocks(root: Client) -> None:
    shown = text(root.get(ADD))
    assert 'value="50,80,100"' in shown
    assert re.search(r'<input[^>]*value="block"[^>]*checked', shown)
    assert '<option value="" selected>the whole organisation</option>' in shown


def test_a_key_alone_names_its_team_and_a_key_of_another_team_is_refused(root: Client, people: People) -> None:
    key, _, _ = make_key(people.sales)
    wrong = root.post(ADD, {"team": "marketing", "api_key": str(key.pk), "period": "day", **TERMS})
    assert errors(wrong)["api_key"] == ["This key belongs to another team."]
    assert root.post(ADD, {"team": "", "api_key": str(key.pk), "period": "day", **TERMS}).status_code == 302
    assert Budget.objects.get().team_id == "sales"


def test_keys_are_offered_by_team_without_the_revoked_ones(root: Client, people: People) -> None:
    key, _, _ = make_key(people.sales)
    revoked, _, _ = make_key(people.sales)
    key_revoke(key=revoked, actor="test")
    (select,) = re.findall(r'<select[^>]*name="api_key".*?</select>', text(root.get(ADD)), re.DOTALL)
    assert '<optgroup label="Sales">' in select
    assert str(key.pk) in select
    assert str(revoked.pk) not in select


def test_one_scope_has_one_budget_for_each_period(root: Client, people: People) -> None:
    for team in ("sales", ""):
        form = {"team": team, "period": "day", **TERMS}
        assert root.post(ADD, form).status_code == 302
        assert "already exists" in str(errors(root.post(ADD, form)))
    assert Budget.objects.count() == 2


def test_the_teams_own_form_refuses_a_second_budget_of_the_day(root: Client, people: People) -> None:
    BudgetFactory(team=people.sales)
    form = {
        "name": "Sales", "time_zone": "UTC", "active": "on", "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0", "budgets-TOTAL_FORMS": "1", "budgets-INITIAL_FORMS": "0",
        "budgets-0-period": "day", "budgets-0-limit_usd": "1", "budgets-0-at_limit": "block",
    }  # fmt: skip
    path = reverse("admin:teams_team_change", args=["sales"])
    assert "already exists" in text(root.post(path, form))
    twice = {name.replace("-0-", "-1-"): value for name, value in form.items() if "-0-" in name}
    both = {**form, **twice, "budgets-TOTAL_FORMS": "2", "budgets-0-period": "month", "budgets-1-period": "month"}
    assert "duplicate" in text(root.post(path, both))
    assert root.post(path, form | {"budgets-0-period": "week"}).status_code == 302
    assert AuditEntry.objects.get(verb="budget.added").data["now"]["period"] == "week"


def test_the_teams_own_form_changes_and_takes_away_budgets_with_their_audit(root: Client, people: People) -> None:
    budget, key = BudgetFactory(team=people.sales), make_key(people.sales)[0]
    of_key = BudgetFactory(team=people.sales, api_key=key)
    form = {
        "name": "Sales", "time_zone": "UTC", "active": "on", "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0", "budgets-TOTAL_FORMS": "2", "budgets-INITIAL_FORMS": "2",
        "budgets-0-id": budget.pk, "budgets-0-team": "sales", "budgets-0-period": "week", "budgets-0-limit_usd": "7",
        "budgets-0-at_limit": "alert", "budgets-1-id": of_key.pk, "budgets-1-team": "sales",
        "budgets-1-limit_usd": "5", "budgets-1-at_limit": "block", "budgets-1-DELETE": "on",
    }  # fmt: skip
    answer = root.post(reverse("admin:teams_team_change", args=["sales"]), form)
    assert answer.status_code == 302
    budget.refresh_from_db()
    assert (budget.period, budget.limit_usd, budget.at_limit) == ("day", Decimal(7), "alert")
    entry = AuditEntry.objects.get(verb="budget.changed")
    assert (entry.data["was"], entry.data["now"]) == (
        {"limit_usd": "5", "at_limit": "block"}, {"limit_usd": "7", "at_limit": "alert"},
    )  # fmt: skip
    assert AuditEntry.objects.get(verb="budget.deleted").data["was"]["api_key_id"] == str(key.pk)


def test_team_key_and_period_are_fixed_once_the_budget_is_made(root: Client, people: People) -> None:
    budget, key = BudgetFactory(team=people.sales), make_key(people.marketing)[0]
    forged = {"team": "marketing", "api_key": str(key.pk), "period": "month", **TERMS}
    assert root.post(page_of(budget), forged).status_code == 302
    budget.refresh_from_db()
    assert (budget.team_id, budget.api_key_id, budget.period) == ("sales", None, "day")
    assert budget.limit_usd == Decimal("12.5")


def test_saving_without_a_change_is_no_entry(root: Client, people: People) -> None:
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal("12.5"))
    assert root.post(page_of(budget), TERMS).status_code == 302
    assert not AuditEntry.objects.exists()


def test_the_organisations_budget_is_audited_and_no_leads_to_see(root: Client, alice: Client, people: People) -> None:
    BudgetFactory(team=people.sales)
    assert root.post(ADD, {"team": "", "period": "day", **TERMS}).status_code == 302
    budget = Budget.objects.get(team=None)
    assert root.post(page_of(budget), {**TERMS, "limit_usd": "13"}).status_code == 302
    assert {entry.scope for entry in AuditEntry.objects.filter(verb__startswith="budget.")} == {""}
    assert "Organisation" in text(root.get(LIST))
    assert "Organisation" not in text(alice.get(LIST))
    assert alice.get(page_of(budget)).headers["Location"] == "/admin/"
    assert root.post(reverse("admin:teams_budget_delete", args=[budget.pk]), {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.get(verb="budget.deleted").data["name"] == "Organisation: 13 USD a day"


def test_a_lead_sees_a_budget_in_full_and_changes_nothing(alice: Client, people: People) -> None:
    budget = BudgetFactory(team=people.sales, request_cap_usd=Decimal("0.05"), request_limit=300)
    shown = text(alice.get(page_of(budget)))
    for piece in ("$5.00", "$0.0500", "300", "50, 80, 100", "refuse questions that are not cached"):
        assert piece in shown
    assert "Top up" not in shown
    assert alice.post(page_of(budget), TERMS).status_code == 403
    top_up = reverse("admin:teams_budget_top_up", args=[budget.pk])
    assert alice.post(top_up, {**CONFIRMED, "amount": "5", "reason": "more"}).status_code == 403
    team = {"name": "Sales", "time_zone": "Pacific/Auckland", "active": "on"}
    assert alice.post(reverse("admin:teams_team_change", args=["sales"]), team).status_code == 403
    assert Team.objects.get(pk="sales").time_zone == ZoneInfo("UTC")
    assert not TopUp.objects.exists()


def test_an_admin_tops_the_present_window_up_and_the_page_tells_who_and_why(
    root: Client, alice: Client, people: People
) -> None:
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal(5))
    charged(people.sales, "5", timezone.now())
    top_up = reverse("admin:teams_budget_top_up", args=[budget.pk])
    for wrong in ({"amount": "0", "reason": "x"}, {"amount": "1", "reason": ""}, {"amount": "-1", "reason": "x"}):
        assert "errors" in text(root.post(top_up, {**CONFIRMED, **wrong}))
    assert not TopUp.objects.exists()
    answer = root.post(top_up, {**CONFIRMED, "amount": "2.50", "reason": "Quarter's <end>"}, follow=True)
    assert "$2.50 more until" in text(answer)
    window = BudgetWindow.objects.get(budget=budget)
    assert (window.top_up_usd, window.limit_usd, window.spent_usd) == (Decimal("2.5"), Decimal("7.5"), 5)
    for client in (root, alice):
        shown = text(client.get(page_of(budget)))
        assert "$5.00 and $2.50 topped up" in shown
        assert "Quarter&#x27;s &lt;end&gt;" in shown
        assert "user:root" in shown
        assert "67 % spent" in shown
    entry = AuditEntry.objects.get(verb="budget.topped_up")
    assert (entry.actor, entry.scope, entry.data["reason"]) == ("user:root", "sales", "Quarter's <end>")


def test_the_list_tells_each_share_and_the_forecast(root: Client, people: People) -> None:
    now = timezone.now()
    charged_daily(people.sales, "2", now, days=28)
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal(10))
    window = window_open(budget=budget, at=now)
    BudgetWindow.objects.filter(pk=window.pk).update(
        spent_usd=Decimal(3), external_usd=Decimal(2), reserved_usd=Decimal(1)
    )
    shown = text(root.get(LIST))
    (words,) = re.findall(r'aria-label="(\d+ % spent[^"]*)"', shown)
    assert re.fullmatch(r"30 % spent, 20 % external, 10 % reserved, forecast (5\d|6\d|70) % of the limit: fine", words)
    for amount in ("$3.0000", "$2.0000", "$1.0000", "$4.0000", "$10.00"):
        assert amount in shown
    assert "width:30.0%" in shown
    assert f"{window.ends_at:%Y-%m-%d} 00:00</span> UTC" in shown


@pytest.mark.parametrize(
    ("spent", "state", "width"), [("25", "exhausted", "100.0"), ("8", "nearly spent", "80.0"), ("1", "fine", "10.0")]
)
def test_a_bar_ends_where_its_frame_does_and_says_its_state(
    spent: str, state: str, width: str, root: Client, people: People
) -> None:
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal(10))
    charged(people.sales, spent, timezone.now())
    window_open(budget=budget, at=timezone.now())
    shown = text(root.get(LIST))
    assert f"money-{state.replace(' ', '-')}" in shown
    assert f'money-spent" style="width:{width}%' in shown
    assert f"reserved: {state}" in shown


def test_a_limit_of_nothing_is_shown_as_used_up(root: Client, people: People) -> None:
    charged_daily(people.sales, "2", timezone.now(), days=28)
    BudgetFactory(team=people.sales, limit_usd=Decimal(0))
    assert "100 % spent, 0 % external, 0 % reserved: exhausted" in text(root.get(LIST))


def test_the_next_period_is_told_by_the_budgets_clock(root: Client, people: People) -> None:
    Team.objects.filter(pk="sales").update(time_zone="Asia/Kathmandu")
    budget = BudgetFactory(team=Team.objects.get(pk="sales"))
    tomorrow = timezone.now().astimezone(ZoneInfo("Asia/Kathmandu")).date() + timedelta(days=1)
    assert f"{tomorrow} 00:00</span> Asia/Kathmandu" in text(root.get(page_of(budget)))


def test_a_long_list_costs_no_more_queries_than_a_short_one(
    root: Client, people: People, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    from django.db import connection  # noqa: PLC0415  # counts what one page costs
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415  # likewise

    BudgetFactory(team=people.sales)
    root.get(LIST)
    with CaptureQueriesContext(
        connection,
    ) as short:
        root.get(LIST)
    for period in ("day", "week", "month"):
        BudgetFactory(team=people.marketing, period=period)
        BudgetFactory(team=None, period=period)
    with django_assert_num_queries(len(short)):
        root.get(LIST)


MODEL = "claude-sonnet-5-5"


def test_an_admin_limits_a_model_and_it_holds_at_once(root: Client) -> None:
    model_limits_forget()
    before = output_limits(MODEL)
    form = {"model": MODEL, "cap_tokens": "3000", "floor_tokens": "2000"}
    assert root.post(reverse("admin:teams_modellimit_add"), form).status_code == 302
    entry = AuditEntry.objects.get(verb="modellimit.added")
    assert (entry.target, entry.data["now"]) == (MODEL, {"cap_tokens": 3000, "floor_tokens": 2000})
    path = reverse("admin:teams_modellimit_change", args=[MODEL])
    ModelLimit.objects.update(observed_p99=1234)
    assert "1234" in text(root.get(path)).replace(",", "")
    assert root.post(path, {"model": "other", "cap_tokens": "", "floor_tokens": "1500"}).status_code == 302
    limit = ModelLimit.objects.get()
    assert (limit.model, limit.cap_tokens, limit.floor_tokens, limit.observed_p99) == (MODEL, None, 1500, 1234)
    entry = AuditEntry.objects.get(verb="modellimit.changed")
    assert entry.data["was"] == {"cap_tokens": 3000, "floor_tokens": 2000}
    assert before.floor != 1500


@pytest.mark.django_db(transaction=True)
def test_this_process_follows_a_models_new_limits_with_the_next_question(root: Client) -> None:
    model_limits_forget()
    assert output_limits(MODEL).floor == 1024
    root.post(reverse("admin:teams_modellimit_add"), {"model": MODEL, "cap_tokens": "", "floor_tokens": "2000"})
    assert output_limits(MODEL).floor == 2000
    ModelLimit.objects.all().delete()
    model_limits_forget()


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"model": MODEL, "cap_tokens": "1000", "floor_tokens": "1001"}, "floor_tokens"),
        ({"model": "nobody-knows", "cap_tokens": "1000"}, "model"),
        ({"model": MODEL, "cap_tokens": "10"}, "cap_tokens"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(form: dict[str, str], field: str, root: Client) -> None:
    assert field in errors(root.post(reverse("admin:teams_modellimit_add"), form))


def test_the_cheaper_model_of_a_team_must_have_a_price(root: Client) -> None:
    form = {
        "name": "Sales", "time_zone": "UTC", "active": "on", "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0", "budgets-TOTAL_FORMS": "0", "budgets-INITIAL_FORMS": "0",
    }  # fmt: skip
    path = reverse("admin:teams_team_change", args=["sales"])
    assert "degraded_model" in errors(root.post(path, {**form, "degraded_model": "nobody-knows"}))
    assert root.post(path, {**form, "degraded_model": "claude-haiku-5-5"}).status_code == 302
    assert Team.objects.get(pk="sales").degraded_model == "claude-haiku-5-5"
