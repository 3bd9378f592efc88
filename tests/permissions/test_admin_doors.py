"""The doors of the admin by which rows of another team have been known to slip out or in, one by one."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from feedback.models import Feedback
from observability.models import AuditEntry
from teams.admin.base import TeamScopedAdmin
from teams.models import ApiKey, Budget, Charge, Membership, Team
from teams.services.keys import key_authenticate
from tests.dialogs import dialog_fields
from tests.permissions.estate import World
from text2sql.models import Database, DatabaseAccess, Generation

CONFIRMED = {"_form_submitted": "on"}
PAGES = [
    f"{model._meta.app_label}_{model._meta.model_name}"
    for model, page in admin.site._registry.items()
    if isinstance(page, TeamScopedAdmin) and "view" in page.lead_may
]


@pytest.fixture
def mallory(world: World) -> Client:
    return world.people.signed_in(world.people.mallory)


def text(answer: Any) -> str:
    return str(answer.content.decode())


def row_counts() -> list[int]:
    return [Team.objects.count(), Budget.objects.count(), Database.objects.count(), User.objects.count()]


@pytest.mark.parametrize("page", PAGES)
def test_lists_show_a_lead_only_their_own_rows(page: str, world: World, mallory: Client) -> None:
    own = text(mallory.get(reverse(f"admin:{page}_changelist")))
    assert world.marketing.word in own
    assert world.sales.word not in own
    assert f"/{world.sales.rows[page.replace('_', '.')].pk}/" not in own
    # What hides the rows is not that the page cannot show them.
    assert world.sales.word in text(world.people.signed_in(world.people.root).get(reverse(f"admin:{page}_changelist")))


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("teams_apikey", "team__slug__exact=atlantis"),
        ("teams_budget", "team__slug__exact=atlantis"),
        ("teams_charge", "team__slug__exact=atlantis"),
        ("teams_langfuseday", "team__slug__exact=atlantis"),
        ("text2sql_generation", "team__slug__exact=atlantis"),
        ("text2sql_generation", "database__id__exact={database}"),
        ("text2sql_generation", "model=claude-atlantis"),
        ("feedback_feedback", "generation__team__slug__exact=atlantis"),
        ("observability_auditentry", "verb=atlantis.did"),
        ("observability_alert", "scope=atlantis"),
    ],
)
def test_a_filter_set_by_hand_to_another_teams_value_finds_none_of_its_rows(
    page: str, query: str, world: World, mallory: Client
) -> None:
    path = f"{reverse(f'admin:{page}_changelist')}?{query.format(database=world.sales.database.pk)}"
    theirs = world.sales.rows[page.replace("_", ".")]
    found_by_root = world.people.signed_in(world.people.root).get(path).context["cl"].queryset
    assert list(found_by_root) == [theirs]
    assert theirs not in mallory.get(path).context["cl"].queryset


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("text2sql_database", "teams=atlantis"),
        ("text2sql_database", "teams__slug__exact=atlantis"),
        ("text2sql_database", "accesses__isnull=False"),
        ("text2sql_database", "encrypted_url__startswith=g"),
        ("teams_apikey", "digest__startswith=a"),
        ("teams_team", "memberships__user__username__startswith=a"),
        ("teams_team", "databases__accesses__team=atlantis"),
        ("feedback_feedback", "generation__user__password__startswith=a"),
    ],
)
def test_the_query_string_asks_rows_about_nothing_but_the_pages_filters(
    page: str, query: str, world: World, mallory: Client
) -> None:
    answer = mallory.get(f"{reverse(f'admin:{page}_changelist')}?{query}")
    assert answer.status_code == 400 or answer.headers["Location"].endswith("?e=1")


@pytest.mark.parametrize("page", PAGES)
def test_filters_offer_no_value_of_another_team(page: str, world: World, mallory: Client) -> None:
    for query in ("", "?_facets=True"):
        shown = mallory.get(reverse(f"admin:{page}_changelist") + query).context["cl"]
        offered = [str(choice) for spec in shown.filter_specs for choice in spec.choices(shown)]
        assert [choice for choice in offered if world.sales.word in choice.lower()] == []
        assert [choice for choice in offered if str(world.sales.database.pk) in choice] == []


def test_filters_offer_an_admin_every_team(world: World) -> None:
    shown = world.people.signed_in(world.people.root).get(reverse("admin:teams_budget_changelist")).context["cl"]
    by_team, *_ = shown.filter_specs
    assert {str(choice["display"]) for choice in by_team.choices(shown)} >= {"Atlantis Sales", "Borneo Marketing"}


@pytest.mark.parametrize("page", ["text2sql_generation", "teams_charge", "feedback_feedback"])
def test_date_hierarchies_know_only_the_leads_own_days(page: str, world: World, mallory: Client) -> None:
    Generation.objects.filter(pk=world.sales.generation.pk).update(created_at="2019-02-03T00:00:00Z")
    Feedback.objects.filter(pk=world.sales.feedback.pk).update(updated_at="2019-02-03T00:00:00Z")
    Charge.objects.filter(team="atlantis").update(charged_at="2019-02-03T00:00:00Z")
    path = reverse(f"admin:{page}_changelist")
    assert "2019" not in text(mallory.get(path))
    assert "2019" in text(world.people.signed_in(world.people.root).get(path))


def test_the_form_of_a_new_key_offers_only_own_teams(world: World, mallory: Client) -> None:
    shown = text(mallory.get(reverse("admin:teams_apikey_add")))
    (select,) = re.findall(r'<select[^>]*name="team".*?</select>', shown, re.DOTALL)
    assert re.findall(r'<option value="(\w+)"', select) == ["borneo"]


def test_a_forged_form_issues_no_key_for_another_team(world: World, mallory: Client) -> None:
    before = set(ApiKey.objects.values_list("pk", flat=True))
    form = {"team": "atlantis", "name": "stolen", "scopes": ["generate", "read"]}
    refused = mallory.post(reverse("admin:teams_apikey_add"), form)
    assert refused.status_code == 200
    assert "team" in refused.context["adminform"].form.errors
    assert set(ApiKey.objects.values_list("pk", flat=True)) == before
    # The same form for the own team is taken, so it was the team that was refused.
    assert mallory.post(reverse("admin:teams_apikey_add"), {**form, "team": "borneo"}).status_code == 200
    assert ApiKey.objects.get(name="stolen").team_id == "borneo"


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("teams_team", {"slug": "new", "name": "New", "time_zone": "UTC", "active": "on"}),
        ("teams_budget", {"team": "atlantis", "period": "day", "limit_usd": "1"}),
        ("auth_user", {"username": "new", "password1": "a long enough one", "password2": "a long enough one"}),
        (
            "text2sql_database",
            {
                "name": "new",
                "url": "sqlite:////tmp/x",
                "row_cap": "1",
                "timeout_seconds": "1",
                "context_tokens": "20000",
            },
        ),
    ],
)
def test_leads_add_nothing_that_is_the_admins_to_add(
    page: str, form: dict[str, str], world: World, mallory: Client
) -> None:
    counts = row_counts()
    assert mallory.post(reverse(f"admin:{page}_add"), form).status_code == 403
    assert row_counts() == counts


def test_a_forged_inline_gives_a_lead_neither_members_nor_databases(world: World, mallory: Client) -> None:
    team_form = {
        "name": "Mine", "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "0", "memberships-0-role": "lead",
        "memberships-0-user": str(world.people.mallory.pk), "budgets-TOTAL_FORMS": "0", "budgets-INITIAL_FORMS": "0",
    }  # fmt: skip
    access_form = {
        "name": "shared_db", "accesses-TOTAL_FORMS": "1", "accesses-INITIAL_FORMS": "0", "accesses-0-team": "borneo",
    }  # fmt: skip
    for team in ("atlantis", "borneo"):
        assert mallory.post(reverse("admin:teams_team_change", args=[team]), team_form).status_code == 403
    for database in (world.sales.database, world.shared):
        path = reverse("admin:text2sql_database_change", args=[database.pk])
        assert mallory.post(path, access_form).status_code == 403
    assert Membership.objects.filter(user=world.people.mallory).count() == 1
    assert not DatabaseAccess.objects.filter(database=world.sales.database, team="borneo").exists()


def test_a_forged_list_action_leaves_another_teams_rows_alone(world: World, mallory: Client) -> None:
    both = [str(world.sales.feedback.pk), str(world.marketing.feedback.pk)]
    for across in ("0", "1"):
        form = {"action": "reject_selected", "_selected_action": both, "select_across": across, "index": "0"}
        mallory.post(reverse("admin:feedback_feedback_changelist"), form)
    world.sales.feedback.refresh_from_db()
    world.marketing.feedback.refresh_from_db()
    assert (world.sales.feedback.state, world.sales.feedback.reviewed_by) == ("new", None)
    assert world.marketing.feedback.state != "new"
    assert not AuditEntry.objects.filter(verb="feedback.reviewed", scope="atlantis").exists()


def test_django_s_own_delete_action_is_no_leads(world: World, mallory: Client) -> None:
    for page in PAGES:
        label = page.replace("_", ".")
        form = {"action": "delete_selected", "_selected_action": [str(world.sales.rows[label].pk)], "post": "yes"}
        mallory.post(reverse(f"admin:{page}_changelist"), form)
        assert world.sales.rows[label].__class__._default_manager.filter(pk=world.sales.rows[label].pk).exists()


@pytest.mark.parametrize(
    ("action", "label"),
    [
        ("teams_apikey_revoke", "teams.apikey"),
        ("feedback_feedback_correct", "feedback.feedback"),
        ("feedback_feedback_reject", "feedback.feedback"),
        ("observability_alert_acknowledge", "observability.alert"),
        ("text2sql_database_sync", "text2sql.database"),
        ("text2sql_database_test", "text2sql.database"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_an_action_on_another_teams_row_by_its_address_is_a_404_and_changes_nothing(
    action: str, label: str, world: World, mallory: Client
) -> None:
    row = world.sales.rows[label]
    before, audited = row.__class__._default_manager.filter(pk=row.pk).values().get(), AuditEntry.objects.count()
    alice, path = world.people.signed_in(world.people.alice), reverse(f"admin:{action}", args=[row.pk])
    # As the dialog of somebody who may would be posted.
    form = dialog_fields(alice, path) | CONFIRMED
    assert mallory.post(path, form).status_code == 404
    assert row.__class__._default_manager.filter(pk=row.pk).values().get() == before
    assert AuditEntry.objects.count() == audited
    assert key_authenticate(world.sales.token).team_id == "atlantis"
    # The lead of the row's team may do the same.
    assert alice.post(path, form).status_code == 302


def test_autocomplete_and_search_find_nothing_of_another_team(world: World, mallory: Client) -> None:
    fields = [
        ("teams", "apikey", "team"),
        ("text2sql", "generation", "database"),
        ("feedback", "feedback", "generation"),
    ]
    for app, model, name in fields:
        query = {"app_label": app, "model_name": model, "field_name": name}
        assert "borneo" in text(mallory.get(reverse("admin:autocomplete"), {**query, "term": "borneo"})).lower()
        for term in ("", "atlantis", "how many"):
            found = text(mallory.get(reverse("admin:autocomplete"), {**query, "term": term}))
            assert "atlantis" not in found.lower()
    for term in ("a", "atlan", "tlant", "db", "alice"):
        for extended in ({}, {"extended": "1"}):
            assert "atlantis" not in text(mallory.get(reverse("admin:search"), {"s": term, **extended}))


@pytest.mark.parametrize("page", PAGES)
def test_the_search_box_finds_nothing_of_another_team(page: str, world: World, mallory: Client) -> None:
    shown = mallory.get(reverse(f"admin:{page}_changelist"), {"q": "tlanti"})
    assert "atlantis" not in text(shown).lower()
    assert world.sales.rows[page.replace("_", ".")] not in list(shown.context["cl"].queryset)


def test_popups_and_other_key_fields_open_nothing(world: World, mallory: Client) -> None:
    for page in PAGES:
        row = world.sales.rows[page.replace("_", ".")]
        lists = mallory.get(reverse(f"admin:{page}_changelist"), {"_popup": "1", "_to_field": row._meta.pk.name})
        assert "atlantis" not in text(lists).lower()
    for page in PAGES:
        row = world.sales.rows[page.replace("_", ".")]
        form = mallory.get(
            reverse(f"admin:{page}_change", args=[row.pk]), {"_popup": "1", "_to_field": row._meta.pk.name}
        )
        assert form.status_code == 302
    for field in ("encrypted_url", "name"):
        assert mallory.get(reverse("admin:text2sql_database_changelist"), {"_to_field": field}).status_code == 400
    assert mallory.get(reverse("admin:teams_apikey_changelist"), {"_to_field": "digest"}).status_code == 400


def test_a_database_open_to_two_teams_shows_each_lead_their_own_access(world: World, mallory: Client) -> None:
    path = reverse("admin:text2sql_database_change", args=[world.shared.pk])
    seen_by_mallory, seen_by_alice = text(mallory.get(path)), text(world.people.signed_in(world.people.alice).get(path))
    assert "Borneo Marketing" in seen_by_mallory
    assert "tlantis" not in seen_by_mallory
    assert "customers.email" not in seen_by_mallory
    assert "customers.email" in seen_by_alice
    assert "orneo" not in seen_by_alice


def test_what_an_admin_did_to_a_shared_row_is_not_told_to_a_lead(world: World, mallory: Client) -> None:
    root = world.people.signed_in(world.people.root)
    access = DatabaseAccess.objects.get(database=world.shared, team="atlantis")
    form = {
        "name": "shared_db", "row_cap": "5", "timeout_seconds": "5", "context_tokens": "20000",
        "accesses-TOTAL_FORMS": "2", "accesses-INITIAL_FORMS": "2", "accesses-0-id": access.pk,
        "accesses-0-team": "atlantis", "accesses-0-database": world.shared.pk, "accesses-0-tables": "orders",
        "accesses-1-team": "borneo",
        "accesses-1-id": DatabaseAccess.objects.get(database=world.shared, team="borneo").pk,
        "accesses-1-database": world.shared.pk,
    }  # fmt: skip
    assert root.post(reverse("admin:text2sql_database_change", args=[world.shared.pk]), form).status_code == 302
    history = reverse("admin:text2sql_database_history", args=[world.shared.pk])
    assert "atlantis" in text(root.get(history))
    assert mallory.get(history).status_code == 403
    audit = reverse("admin:observability_auditentry_changelist")
    assert "database.changed" in text(root.get(audit))
    assert "database.changed" not in text(mallory.get(audit))
