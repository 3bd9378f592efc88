"""Batches that are lost or stored twice, rubbish with a 200, and chance."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse.faults import GARBAGE
from tests.standins.langfuse_sender import post, score, send, text2sql_trace

PROJECTS = "/api/public/projects"


@pytest.fixture
def lf() -> Iterator[LangfuseStandIn]:
    with LangfuseStandIn() as stand_in:
        yield stand_in


def statuses(lf: LangfuseStandIn, count: int) -> list[int | str]:
    found: list[int | str] = []
    for _ in range(count):
        try:
            answer = httpx.get(lf.base_url + PROJECTS, auth=(lf.public_key, lf.secret_key))
        except httpx.HTTPError as error:
            found.append(type(error).__name__)
        else:
            found.append(answer.status_code)
    return found


def test_a_lost_batch_is_answered_as_usual_and_not_stored(lf: LangfuseStandIn) -> None:
    lf.lose_batch(next=2)
    assert send(lf, text2sql_trace("q"))
    post(lf, score("a", 1))
    assert (lf.observations(), lf.scores()) == ([], [])
    assert send(lf, text2sql_trace("q"))
    assert len(lf.observations()) == len(text2sql_trace("q"))


def test_a_batch_stored_twice_counts_twice_until_it_is_merged(lf: LangfuseStandIn) -> None:
    lf.store_twice()
    assert send(lf, text2sql_trace("q"))
    once = len(text2sql_trace("q"))
    assert len(lf.observations()) == 2 * once
    lf.merge()
    assert len(lf.observations()) == once


def test_losing_what_is_asked_for_makes_no_sense_and_is_not_done(lf: LangfuseStandIn) -> None:
    send(lf, text2sql_trace("q"))
    lf.lose_batch(next=None)
    answer = httpx.get(lf.base_url + "/api/public/v2/observations", auth=(lf.public_key, lf.secret_key))
    assert answer.json()["data"]


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_no_answer_and_nothing_is_stored(lf: LangfuseStandIn, kind: Any) -> None:
    lf.garbage(kind)
    answer = httpx.post(lf.base_url + "/api/public/scores", auth=(lf.public_key, lf.secret_key), json=[])
    content_type, body = GARBAGE[kind]
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, content_type, body)
    assert lf.scores() == []


def test_the_same_seed_is_the_same_chaos(lf: LangfuseStandIn) -> None:
    lf.chaos(7, down=0.4, lose_answer=0.2)
    first = statuses(lf, 40)
    lf.chaos(7, down=0.4, lose_answer=0.2)
    assert statuses(lf, 40) == first
    chaos = lf.chaos(8, down=0.4, lose_answer=0.2)
    assert statuses(lf, 40) != first
    assert set(chaos.counts) == {"down", "cut", "none"}
    assert {"RemoteProtocolError", 200, 401, 500} <= set(first)
    lf.clear()
    assert statuses(lf, 20) == [200] * 20


def test_chance_cannot_choose_more_than_everything(lf: LangfuseStandIn) -> None:
    with pytest.raises(ValueError, match="more faults than requests"):
        lf.chaos(1, down=0.8, twice=0.3)


def test_what_lags_is_shown_when_time_has_passed(lf: LangfuseStandIn) -> None:
    lf.chaos(1, down=0.0, lag=60.0)
    assert send(lf, text2sql_trace("q"))
    assert lf.observations()
    assert lf.store.visible_rows() == []
    lf.store.grow_older(60)
    assert len(lf.store.visible_rows()) == len(text2sql_trace("q"))
