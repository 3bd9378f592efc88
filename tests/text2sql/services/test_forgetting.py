"""Answers taken out of the cache on somebody's word, by the admin's pages."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from observability.models import AuditEntry
from teams.models import Membership
from tests.factories import GenerationFactory, MembershipFactory, TeamFactory, UserFactory, make_database, make_key
from tests.text2sql.cache.stand_ins import closed_port_url
from tests.text2sql.services.conftest import SQL, Asker, play_sql
from text2sql.cache.answers import answer_cache
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import CacheEntry, CacheRemoval, Database, DatabaseAccess, Generation
from text2sql.services.forgetting import removals_run
from text2sql.services.generation import Question, generation_create

pytestmark = pytest.mark.django_db(transaction=True)

CONFIRMED = {"_form_submitted": "on"}
DELAY = 2.0


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root(asker: Asker) -> Client:
    return signed_in(UserFactory(username="root", is_superuser=True, is_staff=True))


@pytest.fixture
def alice(asker: Asker) -> Client:
    lead = UserFactory(username="alice")
    MembershipFactory(team=asker.team, user=lead, role=Membership.Role.LEAD)
    return signed_in(lead)


def forget(client: Client, row: Database | Generation) -> Any:
    return client.post(f"/admin/text2sql/{row._meta.model_name}/{row.pk}/forget/", CONFIRMED)


def said(client: Client, row: Database | Generation) -> str:
    page = reverse(f"admin:text2sql_{row._meta.model_name}_change", args=[row.pk])
    return str(client.get(page).content.decode())


def test_after_all_answers_about_a_database_are_forgotten_each_question_goes_to_claude_again(
    asker: Asker, claude: ClaudeStandIn, root: Client, shop: Path
) -> None:
    make_database(shop, asker.team, name="twin")
    twin = TeamFactory(slug="twin")
    DatabaseAccess.objects.create(team=twin, database=asker.database)
    play_sql(claude, times=3)
    asker.ask()
    asker.ask(database="twin")
    assert forget(root, asker.database).status_code == 302
    assert "No answer about shop that was cached until now" in said(root, asker.database)
    assert [str(entry.database.name) for entry in entries()] == ["twin"]
    theirs = Question(twin.pk, "shop", "Who are the customers?")
    again = generation_create(principal=make_key(twin)[2], question=theirs)
    assert (again.cached, again.sql) == (False, SQL)
    assert asker.ask().cached
    assert asker.ask(database="twin").cached
    assert len(claude.requests) == 3
    entry = AuditEntry.objects.get(verb="answers.forgotten")
    assert (entry.actor, entry.target) == ("user:root", "shop")


def entries() -> list[Any]:
    found: list[Any] = list(CacheEntry.objects.all())
    for entry in found:
        entry.database = Database.objects.get(pk=entry.database_id)
    return found


@pytest.fixture
def slow_claude(settings: Settings) -> Iterator[ClaudeStandIn]:
    with ClaudeStandIn(delay=DELAY) as stand_in:
        settings.CLAUDE_STAND_IN_URL = stand_in.base_url
        yield stand_in


def test_an_answer_under_way_when_they_were_forgotten_is_given_to_nobody_who_asks_later(
    asker: Asker, slow_claude: ClaudeStandIn, root: Client
) -> None:
    play_sql(slow_claude)
    play_sql(slow_claude, "SELECT id FROM customers")

    def ask() -> Generation:
        try:
            return asker.ask()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        under_way = threads.submit(ask)
        while not slow_claude.requests:
            time.sleep(0.02)
        assert forget(root, asker.database).status_code == 302
        assert not under_way.done()
        # Asked while the other is still being answered, and not answered with it.
        later = threads.submit(ask).result()
        first = under_way.result()
    assert [(one.status, one.cached, one.sql) for one in (first, later)] == [
        ("succeeded", False, SQL), ("succeeded", False, "SELECT id FROM customers"),
    ]  # fmt: skip
    assert CacheEntry.objects.filter(pk=first.cache_key).exists()  # it came back, where nobody looks any more
    assert (asker.ask().cached, asker.ask().sql) == (True, "SELECT id FROM customers")
    assert len(slow_claude.requests) == 2


def test_a_lead_does_not_forget_what_others_share(asker: Asker, claude: ClaudeStandIn, alice: Client) -> None:
    play_sql(claude)
    asker.ask()
    assert forget(alice, asker.database).status_code == 403
    assert "/forget/" not in said(alice, asker.database)
    assert asker.ask().cached


def test_a_lead_has_one_answer_forgotten(asker: Asker, claude: ClaudeStandIn, alice: Client) -> None:
    play_sql(claude, times=3)
    asker.ask()
    other = asker.ask("How many customers are there?")
    given = asker.ask()
    assert "/forget/" in said(alice, given)
    assert forget(alice, given).status_code == 302
    assert "The cache does not hold this answer any more." in said(alice, given)
    assert not asker.ask().cached
    assert asker.ask("How many customers are there?").sql == other.sql
    assert len(claude.requests) == 3
    entry = AuditEntry.objects.get(verb="answer.forgotten")
    assert (entry.actor, entry.target, entry.scope) == ("user:alice", str(given.pk), "sales")
    assert not CacheRemoval.objects.filter(done_at=None).exists()


def test_another_teams_answer_is_not_there_for_a_lead(asker: Asker, claude: ClaudeStandIn, alice: Client) -> None:
    other = GenerationFactory(team=TeamFactory(slug="other"), database=asker.database, cache_key="a" * 64)
    assert forget(alice, other).status_code == 404
    assert not AuditEntry.objects.filter(verb="answer.forgotten").exists()


def test_what_was_never_cached_is_said_to_be_so(asker: Asker, alice: Client) -> None:
    judged = GenerationFactory(team=asker.team, database=asker.database)
    forget(alice, judged)
    assert "This answer was never in the cache." in said(alice, judged)
    assert not CacheRemoval.objects.filter(done_at=None).exists()


def test_an_answer_that_a_store_which_is_down_may_hold_is_taken_out_later(
    asker: Asker, claude: ClaudeStandIn, alice: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    play_sql(claude)
    given = asker.ask()
    settings.CACHE_TABLE_NAME, settings.AWS_REGION = "answers", "eu-central-1"
    settings.DYNAMODB_ENDPOINT_URL = closed_port_url()
    answer_cache.cache_clear()
    forget(alice, given)
    assert "The cache does not answer" in said(alice, given)
    assert CacheRemoval.objects.get().pk == given.cache_key
    settings.CACHE_TABLE_NAME = ""
    answer_cache.cache_clear()
    assert removals_run() == 1
    assert not CacheEntry.objects.exists()
