"""The team's form: who answers, who mends, who answers when money runs short."""

import re

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from observability.models import AuditEntry, Price
from observability.services.prices import prices_forget
from teams.models import ApiKey, Budget, Team
from tests.factories import BudgetFactory, TeamFactory, make_key
from tests.people import People

pytestmark = pytest.mark.django_db

MODELS = {
    "model": "claude-sonnet-5-5", "effort": "low", "repair_model": "claude-opus-5-5", "repair_effort": "high",
    "degraded_model": "claude-haiku-4-5", "degraded_effort": "",
}  # fmt: skip


@pytest.fixture
def root(people: People) -> Client:
    return people.signed_in(people.root)


def form(**values: str) -> dict[str, str]:
    inlines = {f"{name}-{kind}_FORMS": "0" for name in ("memberships", "budgets") for kind in ("TOTAL", "INITIAL")}
    return {"name": "Sales", "time_zone": "UTC", "active": "on", **inlines, **values}


def page() -> str:
    return reverse("admin:teams_team_change", args=["sales"])


def test_an_admin_sets_a_teams_models_and_efforts(root: Client) -> None:
    assert root.post(page(), form(**MODELS)).status_code == 302
    team = Team.objects.get(pk="sales")
    assert {name: getattr(team, name) for name in MODELS} == MODELS
    assert AuditEntry.objects.filter(verb="team.changed", scope="sales", actor="user:root").exists()


@pytest.mark.parametrize("field", ["effort", "repair_effort", "degraded_effort"])
def test_an_effort_that_claude_does_not_know_is_refused(field: str, root: Client) -> None:
    assert field in root.post(page(), form(**{field: "extreme"})).context["adminform"].form.errors


@pytest.mark.parametrize("field", ["model", "repair_model", "degraded_model"])
def test_a_model_without_a_price_is_refused(field: str, root: Client) -> None:
    errors = root.post(page(), form(**{field: "claude-nine"})).context["adminform"].form.errors
    assert errors[field] == ["This model has no price; see Prices."]


def test_a_lead_sees_the_models_and_changes_none(people: People) -> None:
    Team.objects.filter(pk="sales").update(**MODELS)
    alice = people.signed_in(people.alice)
    shown = alice.get(page()).content.decode()
    assert "claude-opus-5-5" in shown
    assert 'name="repair_model"' not in shown
    assert alice.post(page(), form(model="claude-opus-5-5")).status_code == 403


@pytest.mark.parametrize("field", ["model", "repair_model", "degraded_model"])
def test_a_retired_model_cannot_be_chosen(field: str) -> None:
    Price.objects.filter(model="claude-haiku-5-5").update(retires_on=timezone.now().date())
    prices_forget()
    try:
        with pytest.raises(ValidationError, match="retired"):
            TeamFactory.build(slug="x", **{field: "claude-haiku-5-5"}).clean()
    finally:
        prices_forget()


def test_a_teams_page_leads_to_all_there_is_of_the_team(people: People) -> None:
    alice = people.signed_in(people.alice)
    shown = alice.get(page()).content.decode()
    (links,) = re.findall(r'<ul class="team-pages">(.*?)</ul>', shown, re.DOTALL)
    found = dict(re.findall(r'href="([^"]+)">([^<]+)<', links))
    assert list(found.values()) == [
        "Spending", "Answer cache", "Where to save", "Generations", "Feedback", "Examples", "API keys", "Budgets",
    ]  # fmt: skip
    for link, words in found.items():
        assert alice.get(link).status_code == 200, words
        assert "sales" in link
    assert "team-pages" not in people.signed_in(people.root).get(reverse("admin:teams_team_add")).content.decode()


def test_the_lists_of_a_teams_page_show_that_team_alone(people: People, root: Client) -> None:
    for team in (people.sales, people.marketing):
        make_key(team)
        BudgetFactory(team=team)
    shown = root.get(page()).content.decode()
    for name, rows in (("apikey", ApiKey), ("budget", Budget)):
        (link,) = re.findall(rf'href="(/admin/teams/{name}/\?[^"]+)"', shown)
        assert [row.team_id for row in root.get(link).context["cl"].result_list] == ["sales"], name
        assert rows.objects.count() == 2
