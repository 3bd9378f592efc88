"""Who comes in, who is put out, and that a foreign site's form does nothing."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from teams.models import ApiKey, Membership, Team
from tests.dialogs import dialog_fields
from tests.permissions.estate import World

PASSWORD = "a long enough password"
LOGIN = "/admin/login/"


def sign_in(client: Client, username: str, path: str = LOGIN) -> Any:
    return client.post(path, {"username": username, "password": PASSWORD})


@pytest.mark.parametrize("username", ["root", "alice-atlantis", "mallory-borneo"])
def test_admins_and_leads_sign_in_and_land_on_the_first_page(username: str, world: World) -> None:
    client = Client()
    assert sign_in(client, username).headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_signing_in_goes_on_to_where_one_wanted_to_go_but_to_no_other_site(world: World) -> None:
    wanted = Client().get("/admin/teams/budget/").headers["Location"]
    assert sign_in(Client(), "root", wanted).headers["Location"] == "/admin/teams/budget/"
    assert "elsewhere" not in sign_in(Client(), "root", f"{LOGIN}?next=https://elsewhere.example/").headers["Location"]


@pytest.mark.parametrize("username", ["bob-atlantis", "charlie"])
def test_whoever_leads_no_team_is_refused_like_a_wrong_password(username: str, world: World) -> None:
    client = Client()
    right = client.post(LOGIN, {"username": username, "password": PASSWORD})
    wrong = client.post(LOGIN, {"username": username, "password": "something else"})
    assert right.status_code == wrong.status_code == 200
    assert right.context["form"].errors == wrong.context["form"].errors
    assert "_auth_user_id" not in client.session


def test_django_s_staff_mark_opens_nothing(world: World) -> None:
    world.people.bob.is_staff = True
    world.people.bob.save()
    assert sign_in(Client(), "bob-atlantis").status_code == 200
    assert world.people.signed_in(world.people.bob).get("/admin/").headers["Location"].startswith(LOGIN)


def test_a_lead_who_is_made_a_member_is_out_at_the_next_request(world: World) -> None:
    alice = world.people.signed_in(world.people.alice)
    assert alice.get("/admin/").status_code == 200
    Membership.objects.filter(user=world.people.alice).update(role=Membership.Role.MEMBER)
    assert alice.get("/admin/").headers["Location"].startswith(LOGIN)
    assert alice.get(reverse("admin:teams_apikey_changelist")).headers["Location"].startswith(LOGIN)
    key = {"team": "atlantis", "name": "late", "scopes": ["read"]}
    assert alice.post(reverse("admin:teams_apikey_add"), key).headers["Location"].startswith(LOGIN)
    assert not ApiKey.objects.filter(name="late").exists()


def test_a_lead_of_two_teams_loses_the_one_at_the_next_request(world: World) -> None:
    Membership.objects.create(user=world.people.alice, team=world.people.marketing, role=Membership.Role.LEAD)
    alice = world.people.signed_in(world.people.alice)
    keys = reverse("admin:teams_apikey_changelist")
    assert b"borneo dashboard" in alice.get(keys).content
    Membership.objects.filter(user=world.people.alice, team="borneo").delete()
    assert b"borneo" not in alice.get(keys).content.lower()


def test_the_lead_of_an_inactive_team_is_out(world: World) -> None:
    alice = world.people.signed_in(world.people.alice)
    Team.objects.filter(pk="atlantis").update(active=False)
    assert alice.get("/admin/").headers["Location"].startswith(LOGIN)
    assert sign_in(Client(), "alice-atlantis").status_code == 200


def test_a_disabled_person_is_out(world: World) -> None:
    for user in (world.people.alice, world.people.root):
        client = world.people.signed_in(user)
        user.is_active = False
        user.save()
        assert client.get("/admin/").headers["Location"].startswith(LOGIN)


ACTIONS = [
    ("teams_apikey_revoke", "teams.apikey"),
    ("feedback_feedback_correct", "feedback.feedback"),
    ("feedback_feedback_reject", "feedback.feedback"),
    ("text2sql_database_sync", "text2sql.database"),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("action", "label"), ACTIONS)
def test_a_get_never_acts(action: str, label: str, world: World) -> None:
    row = world.sales.rows[label]
    rows = row.__class__._default_manager.filter(pk=row.pk)
    before = rows.values().get()
    alice = world.people.signed_in(world.people.alice)
    path = reverse(f"admin:{action}", args=[row.pk])
    form = dialog_fields(alice, path) | {"_form_submitted": "on"}
    assert alice.get(path, form).status_code == 200
    assert alice.head(path).status_code == 200
    assert rows.values().get() == before
    alice.post(path, form)
    assert rows.values().get() != before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("action", "label"), ACTIONS)
def test_an_action_needs_the_csrf_token(action: str, label: str, world: World) -> None:
    row = world.sales.rows[label]
    rows = row.__class__._default_manager.filter(pk=row.pk)
    before = rows.values().get()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.people.alice)
    path = reverse(f"admin:{action}", args=[row.pk])
    form = dialog_fields(world.people.signed_in(world.people.alice), path) | {"_form_submitted": "on"}
    assert strict.post(path, form).status_code == 403
    assert rows.values().get() == before
    strict.get(path)  # the dialog sets the cookie
    token = strict.cookies["csrftoken"].value
    assert strict.post(path, {**form, "csrfmiddlewaretoken": token}).status_code == 302
    assert rows.values().get() != before


def test_forms_and_list_actions_need_the_csrf_token(world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.people.alice)
    key = {"team": "atlantis", "name": "forged", "scopes": ["read"]}
    assert strict.post(reverse("admin:teams_apikey_add"), key).status_code == 403
    listed = {"action": "reject_selected", "_selected_action": str(world.sales.feedback.pk)}
    assert strict.post(reverse("admin:feedback_feedback_changelist"), listed).status_code == 403
    assert strict.post("/admin/logout/").status_code == 403
    world.sales.feedback.refresh_from_db()
    assert world.sales.feedback.state == "new"
    assert not ApiKey.objects.filter(name="forged").exists()
