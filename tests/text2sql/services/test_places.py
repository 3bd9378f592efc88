"""Of the questions under way at once there are only so many, so that whoever needs no Claude is served."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tests.factories import TeamFactory, make_key
from tests.text2sql.services.conftest import Asker, play_sql
from tests.text2sql.services.crowds import Gate, asked_at_once, claude, gate, gone_through, parted
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, Generation
from text2sql.problems import Problem
from text2sql.services.generation import Question, generation_create, generation_queue, generation_resume

__all__ = ["claude", "gate"]


def asked_over_http(token: str, question: str, **headers: str) -> Any:
    body = json.dumps({"database": "shop", "question": question})
    return Client().post(
        "/api/v1/generate",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", **headers},
    )


def test_one_too_many_of_a_team_is_told_to_come_back_at_once(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    settings.QUESTIONS_IN_FLIGHT_PER_TEAM = 1
    play_sql(claude, times=3)
    other = TeamFactory(slug="other")
    DatabaseAccess.objects.create(team=other, database=asker.database)
    token, theirs = make_key(asker.team)[1], make_key(other)[2]
    question = Question(other.pk, asker.database.name, "Who are the clients?")
    with asked_at_once(claude, lambda: asker.ask("Who are the customers?")) as mine:
        refused = asked_over_http(token, "Who are the buyers?", **{"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:text2sql:problem:questions-busy")
        assert refused.headers["Retry-After"] == "2"
        assert not Generation.objects.filter(question="Who are the buyers?").exists()
        with asked_at_once(claude, lambda: generation_create(principal=theirs, question=question)) as others:
            gate.opened.set()
    assert len(gone_through(mine + others)) == 2
    again = asked_over_http(token, "Who are the buyers?", **{"Idempotency-Key": "k"})
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (200, False)


def test_the_process_has_a_limit_of_its_own(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    settings.QUESTIONS_IN_FLIGHT = 1
    play_sql(claude)
    other = TeamFactory(slug="other")
    DatabaseAccess.objects.create(team=other, database=asker.database)
    token = make_key(other)[1]
    with asked_at_once(claude, asker.ask):
        assert asked_over_http(token, "Who are the buyers?").status_code == 503
        gate.opened.set()


def test_an_answer_from_the_cache_needs_no_place(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    gate.opened.set()
    play_sql(claude, times=2)
    known = asker.ask("Who are the customers?")
    gate.opened.clear()
    settings.QUESTIONS_IN_FLIGHT = 1
    with asked_at_once(claude, lambda: asker.ask("Who are the buyers?")):
        again = asker.ask("Who are the customers?")
        assert (again.cached, again.origin_id) == (True, known.pk)
        gate.opened.set()


def test_whoever_waits_for_the_same_answer_has_a_place_too(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    settings.QUESTIONS_IN_FLIGHT = 3
    play_sql(claude)
    with asked_at_once(claude, *[asker.ask] * 3) as asked:
        with pytest.raises(Problem) as refused:
            asker.ask()
        assert refused.value.kind == "questions-busy"
        gate.opened.set()
    assert len(parted(asked)[1]) == 2


def test_a_question_that_fails_gives_its_place_back(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    gate.opened.set()
    settings.QUESTIONS_IN_FLIGHT = settings.QUESTIONS_IN_FLIGHT_PER_TEAM = 1
    for _ in range(2):
        claude.play("refusal")
        with pytest.raises(Problem) as refused:
            asker.ask()
        assert refused.value.kind == "claude-refused"


def test_what_was_queued_is_the_workers_and_is_not_limited(
    asker: Asker, claude: ClaudeStandIn, gate: Gate, settings: Settings
) -> None:
    settings.QUESTIONS_IN_FLIGHT = 1
    play_sql(claude, times=2)
    question = Question(asker.team.pk, asker.database.name, "Who are the buyers?")
    queued = generation_queue(principal=asker.principal, question=question)
    Generation.objects.filter(pk=queued.pk).update(status="running")
    queued.refresh_from_db()
    with (
        asked_at_once(claude, asker.ask) as one,
        asked_at_once(claude, lambda: generation_resume(principal=asker.principal, generation=queued)) as other,
    ):
        gate.opened.set()
    assert len(gone_through(one + other)) == 2
