"""What admins and leads come for, through the real forms: teams, people, keys, databases, budgets, feedback."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from feedback.models import Feedback
from observability.models import AuditEntry
from teams.models import ApiKey, Budget, BudgetWindow, Membership, Team
from teams.services.keys import KeyRefused, key_authenticate
from tests.dialogs import dialog_submit
from tests.permissions.estate import World
from text2sql.models import Database, DatabaseAccess
from text2sql.services.databases import database_url
from text2sql.services.syncing import syncs_run

CONFIRMED = {"_form_submitted": "on"}


@pytest.fixture
def root(world: World) -> Client:
    return world.people.signed_in(world.people.root)


@pytest.fixture
def alice(world: World) -> Client:
    return world.people.signed_in(world.people.alice)


def inline(prefix: str, *forms: dict[str, Any]) -> dict[str, Any]:
    values = {f"{prefix}-TOTAL_FORMS": len(forms), f"{prefix}-INITIAL_FORMS": 0}
    return values | {f"{prefix}-{i}-{name}": value for i, form in enumerate(forms) for name, value in form.items()}


def audited(verb: str, **values: Any) -> AuditEntry:
    return AuditEntry.objects.get(verb=verb, **values)


def test_an_admin_makes_a_person_and_a_team_with_them_as_lead_and_a_daily_budget(root: Client) -> None:
    person = {
        "username": "dora",
        "usable_password": "true",
        "password1": "a fine password",
        "password2": "a fine password",
    }
    assert root.post(reverse("admin:auth_user_add"), person).status_code == 302
    dora = User.objects.get(username="dora")
    team = {
        "slug": "research", "name": "Research", "time_zone": "Europe/Berlin", "active": "on",
        **inline("memberships", {"user": dora.pk, "role": "lead"}),
        **inline("budgets", {"period": "day", "limit_usd": "2.50", "at_limit": "block"}),
    }  # fmt: skip
    assert root.post(reverse("admin:teams_team_add"), team).status_code == 302
    assert Membership.objects.get(user=dora).team_id == "research"
    assert Budget.objects.get(team="research").limit_usd == Decimal("2.50")
    assert audited("user.added", target=str(dora.pk)).actor == "user:root"
    entry = audited("team.added", target="research", scope="research")
    assert (entry.data["was"], entry.data["now"]["name"]) == ({}, "Research")
    membership = audited("membership.added", scope="research").data
    assert (membership["name"], membership["now"]["role"]) == ("dora in research (lead)", "lead")
    assert audited("budget.added", scope="research").data["now"]["limit_usd"] == "2.5"
    assert "a fine password" not in json.dumps(list(AuditEntry.objects.values_list("data", flat=True)))
    client = Client()
    assert client.post("/admin/login/", {"username": "dora", "password": "a fine password"}).status_code == 302
    assert client.get(reverse("admin:teams_team_change", args=["research"])).status_code == 200


def test_a_teams_slug_stays_as_it_is(root: Client, world: World) -> None:
    form = {"slug": "renamed", "name": "Atlantis", "time_zone": "UTC", **inline("memberships"), **inline("budgets")}
    assert root.post(reverse("admin:teams_team_change", args=["atlantis"]), form).status_code == 302
    team = Team.objects.get(pk="atlantis")
    assert (team.name, team.active) == ("Atlantis", False)
    assert not Team.objects.filter(pk="renamed").exists()


def test_an_admin_sets_and_changes_a_budget(root: Client, world: World) -> None:
    path = reverse("admin:teams_budget_change", args=[world.sales.budget.pk])
    assert 'value="10"' in root.get(path).content.decode()
    terms = {"limit_usd": "12.5", "at_limit": "degrade", "degrade_from": "75", "thresholds": "90, 50,50"}
    assert root.post(path, {**terms, "team": "borneo", "period": "week"}).status_code == 302
    budget = Budget.objects.get(pk=world.sales.budget.pk)
    assert (budget.team_id, budget.period, budget.limit_usd) == ("atlantis", "day", Decimal("12.5"))
    assert (budget.at_limit, budget.degrade_from, budget.thresholds) == ("degrade", 75, [50, 90])
    assert audited("budget.changed", scope="atlantis").data == {
        "name": "Atlantis Sales: 12.5 USD a day",
        "was": {"limit_usd": "10", "at_limit": "block", "degrade_from": 90, "thresholds": [50, 80, 100]},
        "now": {"limit_usd": "12.5", "at_limit": "degrade", "degrade_from": 75, "thresholds": [50, 90]},
    }
    for wrong in ("-1", "lots", "1.2345", ""):
        assert "limit_usd" in root.post(path, {**terms, "limit_usd": wrong}).context["adminform"].form.errors
    for name, wrong in [("thresholds", "0"), ("thresholds", "a"), ("degrade_from", "101"), ("at_limit", "ignore")]:
        assert name in root.post(path, {**terms, name: wrong}).context["adminform"].form.errors
    again = {"team": "atlantis", "period": "day", **terms}
    assert root.post(reverse("admin:teams_budget_add"), again).context["adminform"].form.errors


def test_a_budget_can_be_taken_away_with_its_windows_and_top_ups(root: Client, world: World) -> None:
    path = reverse("admin:teams_budget_delete", args=[world.sales.budget.pk])
    assert root.post(path, {"post": "yes"}).status_code == 302
    assert not Budget.objects.filter(team="atlantis").exists()
    assert audited("budget.deleted", scope="atlantis").data["name"] == "Atlantis Sales: 10 USD a day"


def test_the_budget_page_shows_how_much_is_used(alice: Client, root: Client, world: World) -> None:
    for client in (alice, root):
        shown = client.get(reverse("admin:teams_budget_changelist")).content.decode()
        assert "80 % spent, 0 % external, 10 % reserved: nearly spent" in shown
        assert "width:80.0%" in shown
    BudgetWindow.objects.filter(pk=world.sales.window.pk).update(spent_usd=Decimal(25), reserved_usd=Decimal(0))
    shown = alice.get(reverse("admin:teams_budget_change", args=[world.sales.budget.pk])).content.decode()
    assert "250 % spent, 0 % external, 0 % reserved: exhausted" in shown
    assert "width:100.0%" in shown  # the bar ends where its frame does


def issue(client: Client, team: str, **values: Any) -> Any:
    form = {"team": team, "name": "new dashboard", "scopes": ["generate", "read"], **values}
    return client.post(reverse("admin:teams_apikey_add"), form)


@pytest.mark.parametrize("role", ["alice", "root"])
def test_a_key_is_shown_once_and_kept_nowhere(role: str, world: World) -> None:
    client = world.people.signed_in(getattr(world.people, role))
    answer = issue(client, "atlantis")
    (token,) = set(re.findall(r"t2s_\w{8}_\w{40}", answer.content.decode()))
    assert "no-store" in answer.headers["Cache-Control"]
    assert key_authenticate(token).scopes == {"generate", "read"}
    key = ApiKey.objects.get(name="new dashboard")
    assert key.created_by == getattr(world.people, role)
    assert audited("api_key.issued", target=str(key.pk)).scope == "atlantis"
    assert not AuditEntry.objects.filter(verb="apikey.added").exists()
    paths = [
        reverse("admin:index"),
        reverse("admin:teams_apikey_changelist"),
        reverse("admin:teams_apikey_change", args=[key.pk]),
        reverse("admin:observability_auditentry_changelist"),
        reverse("admin:teams_apikey_add"),
    ]
    for path in paths:
        assert token not in client.get(path).content.decode()
    stored = [str(session.get_decoded()) for session in Session.objects.all()]
    assert stored
    assert token not in "".join([*stored, str(ApiKey.objects.filter(pk=key.pk).values()), client.cookies.output()])
    assert token not in str(list(AuditEntry.objects.values()))


def test_a_key_that_would_never_be_valid_is_not_issued(alice: Client) -> None:
    past = {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}
    mistakes: list[dict[str, Any]] = [past, {"scopes": []}, {"scopes": ["everything"]}]
    for wrong in mistakes:
        assert issue(alice, "atlantis", **wrong).context["adminform"].form.errors
    assert not ApiKey.objects.filter(name="new dashboard").exists()


def test_a_lead_revokes_a_key_of_their_team(alice: Client, world: World) -> None:
    assert key_authenticate(world.sales.token).team_id == "atlantis"
    path = reverse("admin:teams_apikey_revoke", args=[world.sales.key.pk])
    assert alice.post(path, CONFIRMED).headers["Location"] == reverse("admin:teams_apikey_changelist")
    with pytest.raises(KeyRefused, match="revoked"):
        key_authenticate(world.sales.token)
    assert audited("api_key.revoked", target=str(world.sales.key.pk)).actor == "user:alice-atlantis"
    assert b"revoked" in alice.get(reverse("admin:teams_apikey_changelist")).content


def test_a_dialog_in_the_browser_is_told_where_to_go(alice: Client, world: World) -> None:
    path = reverse("admin:teams_apikey_revoke", args=[world.sales.key.pk])
    answer = alice.post(path, CONFIRMED, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, reverse("admin:teams_apikey_changelist"))


@pytest.mark.django_db(transaction=True)
def test_an_admin_adds_a_database_opens_it_to_a_team_tests_it_and_has_it_read(
    root: Client, world: World, shop: Path
) -> None:
    url = f"sqlite:///{shop}"
    form = {
        "name": "shop_db", "description": "Orders.", "url": url, "row_cap": "50", "timeout_seconds": "5",
        "context_tokens": "20000",
        **inline("accesses", {"team": "atlantis", "tables": "customers\norders", "hidden_columns": "customers.email"}),
    }  # fmt: skip
    assert root.post(reverse("admin:text2sql_database_add"), form).status_code == 302
    database = Database.objects.get(name="shop_db")
    assert (database.row_cap, database.timeout_seconds, database.dialect) == (50, 5, "sqlite")
    assert database_url(database) == url
    access = DatabaseAccess.objects.get(database=database)
    assert (access.team_id, access.tables, access.hidden_columns) == (
        "atlantis", ["customers", "orders"], ["customers.email"],
    )  # fmt: skip
    assert syncs_run() == 1
    page = reverse("admin:text2sql_database_change", args=[database.pk])
    tested = root.post(reverse("admin:text2sql_database_test", args=[database.pk]), CONFIRMED, follow=True)
    assert b"connected to sqlite" in tested.content
    assert root.post(reverse("admin:text2sql_database_sync", args=[database.pk]), CONFIRMED).headers["Location"] == page
    assert {"database.added", "database.sync_requested"} <= set(AuditEntry.objects.values_list("verb", flat=True))
    assert str(shop) not in str(list(AuditEntry.objects.values()))
    assert str(shop) not in root.get(page).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_change_without_a_url_keeps_the_stored_one(root: Client, world: World, shop: Path, tmp_path: Path) -> None:
    database = world.sales.database
    page = reverse("admin:text2sql_database_change", args=[database.pk])
    form = {
        "name": "atlantis_db",
        "description": "New words.",
        "url": "",
        "row_cap": "7",
        "timeout_seconds": "5",
        "context_tokens": "20000",
    }
    assert root.post(page, {**form, **inline("accesses")}).status_code == 302
    database.refresh_from_db()
    assert (database.description, database.row_cap, database.sync_state) == ("New words.", 7, "done")
    assert database_url(database) == f"sqlite:///{shop}"
    other = tmp_path / "other.sqlite"
    other.touch()
    assert root.post(page, {**form, **inline("accesses"), "url": f"sqlite:///{other}"}).status_code == 302
    database.refresh_from_db()
    assert (database_url(database), database.sync_state) == (f"sqlite:///{other}", "requested")
    assert audited("database.url_changed").target == "atlantis_db"
    assert str(other) not in str(list(AuditEntry.objects.values()))


def test_a_form_with_mistakes_never_sends_the_url_back(root: Client, shop: Path) -> None:
    for name, url in [
        ("Bad Name", f"sqlite:///{shop}"),
        ("x_db", "postgresql://u:geheim@[bad"),
        ("x_db", "oracle://u:geheim@h/d"),
    ]:
        form = {
            "name": name,
            "url": url,
            "row_cap": "1",
            "timeout_seconds": "1",
            "context_tokens": "20000",
            **inline("accesses"),
        }
        answer = root.post(reverse("admin:text2sql_database_add"), form)
        assert answer.context["adminform"].form.errors
        assert "geheim" not in answer.content.decode()
        assert str(shop) not in answer.content.decode()
    without = {
        "name": "x_db",
        "url": "",
        "row_cap": "1",
        "timeout_seconds": "1",
        "context_tokens": "20000",
        **inline("accesses"),
    }
    errors = root.post(reverse("admin:text2sql_database_add"), without).context["adminform"].form.errors
    assert errors["url"] == ["This field is required."]


def test_a_misspelt_hidden_column_is_refused(root: Client, world: World) -> None:
    page = reverse("admin:text2sql_database_change", args=[world.sales.database.pk])
    access = {"team": "borneo", "tables": "", "hidden_columns": "customers.emial"}
    form = {
        "name": "atlantis_db",
        "row_cap": "7",
        "timeout_seconds": "5",
        "context_tokens": "20000",
        **inline("accesses", access),
    }
    assert "Not in this database: customers.emial." in root.post(page, form).content.decode()
    assert not DatabaseAccess.objects.filter(team="borneo", database=world.sales.database).exists()


def test_a_lead_reviews_one_feedback_with_a_note(alice: Client, world: World) -> None:
    path = reverse("admin:feedback_feedback_reject", args=[world.sales.feedback.pk])
    assert dialog_submit(alice, path, note="VAT is in.").status_code == 200
    feedback = Feedback.objects.get(pk=world.sales.feedback.pk)
    assert (feedback.state, feedback.reviewed_by, feedback.review_note) == (
        "rejected",
        world.people.alice,
        "VAT is in.",
    )
    assert feedback.reviewed_at is not None
    entry = audited("feedback.reviewed", target=str(feedback.pk))
    assert (entry.actor, entry.scope) == ("user:alice-atlantis", "atlantis")
    assert entry.data["was"] == {"state": "new", "review_note": ""}
    assert entry.data["now"] == {"state": "rejected", "review_note": "VAT is in."}
    shown = alice.get(reverse("admin:feedback_feedback_change", args=[feedback.pk])).content.decode()
    assert "VAT is in." in shown
    assert "alice-atlantis" in shown


def test_a_lead_rejects_several_from_the_list(alice: Client, world: World) -> None:
    form = {"action": "reject_selected", "_selected_action": [str(world.sales.feedback.pk)], "index": "0"}
    assert alice.post(reverse("admin:feedback_feedback_changelist"), form).status_code == 302
    feedback = Feedback.objects.get(pk=world.sales.feedback.pk)
    assert (feedback.state, feedback.reviewed_by) == ("rejected", world.people.alice)
    assert audited("feedback.reviewed", target=str(feedback.pk)).data["now"] == {"state": "rejected"}


def test_what_people_said_is_edited_by_nobody(alice: Client, root: Client, world: World) -> None:
    path = reverse("admin:feedback_feedback_change", args=[world.sales.feedback.pk])
    for client in (alice, root):
        assert client.post(path, {"comment": "All fine.", "rating": "up"}).status_code == 403
    assert Feedback.objects.get(pk=world.sales.feedback.pk).rating == "down"
