"""What browsers are told about each kind of page: what it may run, who may frame it, that HTTPS is meant."""

import re

import pytest
from django.conf import settings as project
from django.test import Client
from pytest_django import Settings

from tests.people import make_people
from text2sql.content_security import POLICIES

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
ADMIN = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; font-src 'self'"
)
DOCS = STRICT.replace("img-src 'self'", "img-src 'self' data:")
ADDRESSES = [
    ("/admin/", 200, ADMIN),
    ("/admin/teams/apikey/", 200, ADMIN),
    ("/admin/teams/apikey/add/", 200, ADMIN),
    ("/admin/spending/", 200, ADMIN),
    ("/admin/nothing/", 404, ADMIN),
    ("/ask/", 200, STRICT),
    ("/ask/login/", 302, STRICT),
    ("/ask/nothing/there/", 404, STRICT),
    ("/api/v1/me", 401, STRICT),
    ("/api/v1/nothing", 404, STRICT),
    ("/api/v1/openapi.json", 200, STRICT),
    ("/api/v1/docs", 200, DOCS),
    ("/api/v1/docs?script=", 200, DOCS),
    ("/livez", 200, STRICT),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "status", "policy"), ADDRESSES)
def test_each_kind_of_page_says_what_a_browser_may_run(client: Client, address: str, status: int, policy: str) -> None:
    client.force_login(make_people().root)
    answer = client.get(address)
    assert (answer.status_code, answer.headers["Content-Security-Policy"]) == (status, policy)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "policy"), [("/admin/login/", ADMIN), ("/ask/login/", STRICT)])
def test_signing_in_is_guarded_too(client: Client, address: str, policy: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.headers["Content-Security-Policy"]) == (200, policy)
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_no_policy_allows_an_inline_script_or_another_host() -> None:
    for policy in POLICIES.values():
        assert "'unsafe-inline'" not in policy["script-src"]
        assert not re.search(r"https?:|\*", " ".join(policy.values()))


@pytest.mark.django_db
def test_a_developer_s_page_of_what_went_wrong_keeps_its_looks(client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert "Content-Security-Policy" not in answer.headers


def test_the_page_of_the_api_asks_no_other_host_for_a_badge(client: Client) -> None:
    assert '"validatorUrl": null' in client.get("/api/v1/docs?script=").content.decode()


@pytest.mark.django_db
def test_behind_a_proxy_people_and_clients_are_sent_to_https_and_health_is_told_at_once(
    client: Client, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 3600
    for address in ["/ask/", "/admin/", "/api/v1/me", "/livezz"]:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Location"]) == (301, f"https://testserver{address}")
        assert "Strict-Transport-Security" not in answer.headers
    assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
    assert client.get("/metrics").status_code == 404  # no token is set, and no redirect either
    https = client.get("/api/v1/me", headers={"X-Forwarded-Proto": "https"})
    assert (https.status_code, https.headers["Strict-Transport-Security"]) == (401, "max-age=3600")


def test_scripts_of_a_page_cannot_read_the_session() -> None:
    assert project.SESSION_COOKIE_HTTPONLY
    assert project.SESSION_COOKIE_SAMESITE == "Lax"
