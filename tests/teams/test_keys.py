"""API keys: shown once, kept as a digest, refused for every reason there is."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from observability.models import AuditEntry
from teams.access import Scope
from teams.models import ApiKey, Team
from teams.services.keys import KeyRefused, key_authenticate, key_issue, key_revoke
from tests.factories import TeamFactory, make_key

pytestmark = pytest.mark.django_db


def refusal_of(token: str) -> str:
    with pytest.raises(KeyRefused) as raised:
        key_authenticate(token)
    return str(raised.value)


def test_a_key_opens_the_door_to_its_team_with_its_scopes() -> None:
    key, token, principal = make_key(TeamFactory(slug="sales"), scopes=(Scope.READ, Scope.GENERATE))
    assert key_authenticate(token) == principal
    assert (principal.team_id, principal.scopes) == ("sales", frozenset({"read", "generate"}))
    assert (principal.actor, principal.api_key_id) == (f"key:t2s_{key.prefix}", key.pk)
    assert not principal.is_admin
    assert not principal.leads("sales")


def test_the_key_itself_is_kept_nowhere() -> None:
    key, token = key_issue(team=TeamFactory(), name="dashboard", actor="user:anna")
    secret = token.rsplit("_", 1)[1]
    assert re.fullmatch(r"t2s_[0-9A-Za-z]{8}_[0-9A-Za-z]{40}", token)
    row = ApiKey.objects.filter(pk=key.pk).values().get()
    assert secret not in repr(row)
    assert re.fullmatch(r"[0-9a-f]{64}", row["digest"])
    (entry,) = AuditEntry.objects.all()
    assert (entry.verb, entry.actor, entry.target) == ("api_key.issued", "user:anna", str(key.pk))
    assert secret not in repr(entry.data)


def test_no_two_keys_are_alike() -> None:
    team = TeamFactory()
    assert len({key_issue(team=team, name="n", actor="test")[1] for _ in range(20)}) == 20


@pytest.mark.parametrize("change", ["last letter", "prefix of another", "short", "long", "spaced", "empty", "foreign"])
def test_what_is_no_key_of_ours_is_refused(change: str) -> None:
    team = TeamFactory()
    _, token, _ = make_key(team)
    _, other, _ = make_key(team)
    forged = {
        "last letter": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "prefix of another": other[:13] + token[13:],
        "short": token[:-1],
        "long": token + "A",
        "spaced": token[:20] + " " + token[21:],
        "empty": "",
        "foreign": "t2s_" + "٣" * 8 + token[12:],
    }[change]
    assert "key" in refusal_of(forged)


def test_a_revoked_key_is_refused_and_revoking_twice_is_one_event() -> None:
    key, token, _ = make_key(TeamFactory())
    key_revoke(key=key, actor="user:anna")
    revoked_at = ApiKey.objects.get().revoked_at
    key_revoke(key=key, actor="user:anna")
    assert "revoked" in refusal_of(token)
    assert ApiKey.objects.get().revoked_at == revoked_at
    assert AuditEntry.objects.filter(verb="api_key.revoked").count() == 1


def test_an_expired_key_is_refused_and_one_about_to_expire_is_not() -> None:
    team = TeamFactory()
    assert "expired" in refusal_of(make_key(team, expires_at=timezone.now())[1])
    assert key_authenticate(make_key(team, expires_at=timezone.now() + timedelta(minutes=1))[1]).team_id == team.pk


def test_the_keys_of_an_inactive_team_are_refused() -> None:
    team = TeamFactory()
    _, token, _ = make_key(team)
    Team.objects.update(active=False)
    assert "revoked" in refusal_of(token)


def test_a_refused_key_is_not_marked_as_used() -> None:
    key, token, _ = make_key(TeamFactory(), expires_at=timezone.now())
    refusal_of(token)
    assert ApiKey.objects.get(pk=key.pk).last_used_at is None


def test_a_new_secret_key_resigns_the_keys_that_are_used(settings: Settings) -> None:
    key, token, principal = make_key(TeamFactory())
    before = ApiKey.objects.get(pk=key.pk).digest
    old, settings.SECRET_KEY = settings.SECRET_KEY, "a new secret key " + "y" * 40
    assert "unknown" in refusal_of(token)
    settings.SECRET_KEY_FALLBACKS = ["an even older one " + "z" * 40, old]
    assert key_authenticate(token) == principal
    assert ApiKey.objects.get(pk=key.pk).digest != before
    settings.SECRET_KEY_FALLBACKS = []
    assert key_authenticate(token) == principal


def test_the_last_use_is_written_once_a_minute_and_the_hot_path_is_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    key, token, _ = make_key(TeamFactory())
    with django_assert_num_queries(2):
        key_authenticate(token)
    first = ApiKey.objects.get(pk=key.pk).last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        key_authenticate(token)
    assert ApiKey.objects.get(pk=key.pk).last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(seconds=61))
    key_authenticate(token)
    again = ApiKey.objects.get(pk=key.pk).last_used_at
    assert again is not None
    assert again >= first


def test_a_malformed_key_costs_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        refusal_of("t2s_nonsense")
