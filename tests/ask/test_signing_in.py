"""Who comes in to the page to ask, and who is put out."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from teams.models import Membership, Team
from tests.ask.conftest import BASE, Browser, Place
from tests.people import People

LOGIN = "/ask/login/"
PASSWORD = "a long enough password"


def sign_in(username: str, path: str = LOGIN, password: str = PASSWORD) -> tuple[Client, Any]:
    """A browser, and what it was answered."""
    client = Client()
    return client, client.post(path, {"username": username, "password": password})


@pytest.mark.parametrize("username", ["bob", "alice", "root"])
def test_members_leads_and_admins_come_in(username: str, people: People) -> None:
    client, answer = sign_in(username)
    assert answer.headers["Location"] == "/ask/"
    assert client.get("/ask/?all").status_code == 200
    assert client.get(LOGIN).headers["Location"] == "/ask/"


def test_whoever_belongs_to_no_team_is_refused_like_a_wrong_password(people: People) -> None:
    client, right = sign_in("charlie")
    _, wrong = sign_in("charlie", password="something else")
    assert right.context["form"].errors == wrong.context["form"].errors != {}
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("change", ["team closed", "person disabled"])
def test_a_closed_team_and_a_disabled_person_stay_out(change: str, people: People) -> None:
    if change == "team closed":
        Team.objects.filter(pk="sales").update(active=False)
    else:
        User.objects.filter(username="bob").update(is_active=False)
    assert "_auth_user_id" not in sign_in("bob")[0].session


def test_signing_in_goes_on_to_where_one_wanted_to_go_but_to_no_other_site(place: Place) -> None:
    wanted = Client().get(BASE + "?session=x").headers["Location"]
    assert sign_in("bob", wanted)[1].headers["Location"] == BASE + "?session=x"
    for elsewhere in ("https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"):
        assert sign_in("bob", f"{LOGIN}?next={elsewhere}")[1].headers["Location"] == "/ask/"


def test_signing_out_takes_a_post_with_the_token(place: Place) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(place.people.bob)
    assert strict.get("/ask/logout/").status_code == 405
    assert strict.post("/ask/logout/").status_code == 403
    page = strict.get(BASE)
    token = page.content.decode().split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    assert strict.post("/ask/logout/", {"csrfmiddlewaretoken": token}).headers["Location"] == LOGIN
    assert strict.get(BASE).headers["Location"].startswith(LOGIN)


def test_who_loses_their_team_is_out_at_the_next_request(place: Place) -> None:
    assert place.bob.get().status_code == 200
    Membership.objects.filter(user=place.people.bob).delete()
    assert place.bob.get().headers["Location"] == f"{LOGIN}?next={BASE}"
    answer = place.bob.post("check", {"sql": "SELECT 1"})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:text2sql:problem:signed-out")


def test_a_person_s_session_opens_no_door_of_the_api_and_a_key_none_of_the_page(place: Place) -> None:
    assert place.bob.get("/api/v1/me").status_code == 401
    stranger = Browser(None)
    answer = stranger.post("check", {"sql": "SELECT 1"}, Authorization="Bearer t2s_ab12cd34_" + "x" * 43)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["questions", "check", "saved"])
def test_what_is_posted_without_the_token_is_refused(path: str, place: Place) -> None:
    answer = place.bob.post(path, {"question": "?", "session_id": "x", "sql": "SELECT 1"}, **{"X-CSRFToken": ""})
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
