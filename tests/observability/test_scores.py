from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from observability.models import Channel, Score
from observability.services.deliveries import LEASE, ExportOutcome, drain
from observability.services.scores import score_record, scores_export
from observability.services.traces import trace_id_for
from tests.observability.conftest import langfuse_use
from tests.standins.langfuse import LangfuseStandIn

SCORES = "/api/public/scores"
FIRST = datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.fixture(params=["langfuse", "old_langfuse"])
def either(request: pytest.FixtureRequest) -> LangfuseStandIn:
    lf: LangfuseStandIn = request.getfixturevalue(request.param)
    return lf


def score(score_id: str = "feedback-1", **changes: Any) -> Score | None:
    given: dict[str, Any] = {
        "score_id": score_id,
        "trace_id": trace_id_for(score_id),
        "name": "user_feedback",
        "value": 1,
        "data_type": "BOOLEAN",
        "comment": "",
        "timestamp": FIRST,
    }
    return score_record(**given | changes)


def due_now() -> None:
    Channel.objects.update(closed_until=None)
    Score.objects.exclude(state="delivered").update(next_try_at=timezone.now())


def values(lf: LangfuseStandIn) -> dict[str, float | str]:
    return {one.id: one.value for one in lf.scores()}


@pytest.mark.django_db
def test_without_langfuse_no_score_is_written(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY = settings.LANGFUSE_SECRET_KEY = ""
    assert score() is None
    assert not Score.objects.exists()
    assert scores_export() == ExportOutcome()


@pytest.mark.django_db
def test_a_score_arrives_as_it_was_given(either: LangfuseStandIn) -> None:
    score(comment="wrong join, très mal", value=0)
    assert scores_export() == ExportOutcome(claimed=1, delivered=1)
    (stored,) = either.scores()
    assert (stored.id, stored.name, stored.value, stored.data_type) == ("feedback-1", "user_feedback", 0, "BOOLEAN")
    assert stored.trace_id == trace_id_for("feedback-1")
    assert stored.comment == "wrong join, très mal"
    assert stored.timestamp == FIRST
    assert stored.environment == "staging"


@pytest.mark.django_db
def test_numbers_and_categories_arrive_too(either: LangfuseStandIn) -> None:
    score("n", name="rows", value=12.5, data_type="NUMERIC")
    score("c", name="verdict", value="partly", data_type="CATEGORICAL")
    assert scores_export().delivered == 2
    assert values(either) == {"n": 12.5, "c": "partly"}


@pytest.mark.django_db
def test_many_scores_go_as_lists_to_a_new_server(langfuse: LangfuseStandIn) -> None:
    for number in range(31):
        score(f"feedback-{number}")
    assert drain(scores_export).delivered == 31
    assert [len(request.body) for request in langfuse.requests] == [15, 15, 1]


@pytest.mark.django_db
def test_an_old_server_gets_one_object_at_a_time_and_is_remembered(old_langfuse: LangfuseStandIn) -> None:
    for number in range(3):
        score(f"feedback-{number}")
    assert scores_export().delivered == 3
    score("feedback-3")
    assert scores_export().delivered == 1
    shapes = [type(request.body) for request in old_langfuse.requests]
    assert shapes == [list, dict, dict, dict, dict]
    assert len(old_langfuse.scores()) == 4


@pytest.mark.django_db
def test_a_server_that_is_upgraded_under_us_is_noticed(old_langfuse: LangfuseStandIn, settings: Settings) -> None:
    score("before")
    scores_export()
    old_langfuse._api.version = "cloud"  # the same address, now a server that takes only lists
    score("after-1")
    assert scores_export().delivered == 1
    score("after-2")
    score("after-3")
    assert scores_export().delivered == 2
    assert isinstance(old_langfuse.requests[-1].body, list)
    assert len(old_langfuse.requests[-1].body) == 2
    assert set(values(old_langfuse)) == {"before", "after-1", "after-2", "after-3"}


@pytest.mark.django_db
def test_a_bad_score_fails_alone(either: LangfuseStandIn) -> None:
    score("good-1")
    score("bad", value=2)  # BOOLEAN knows 0 and 1
    score("good-2")
    outcome = scores_export()
    assert (outcome.delivered, outcome.failed, outcome.postponed) == (2, 1, 0)
    assert set(values(either)) == {"good-1", "good-2"}
    failed = Score.objects.get(pk="bad")
    assert failed.state == Score.State.FAILED
    assert failed.last_error
    due_now()
    assert scores_export() == ExportOutcome()


@pytest.mark.django_db
def test_scoring_again_replaces_value_and_comment_only(either: LangfuseStandIn) -> None:
    score(comment="good")
    scores_export()
    score(value=0, comment="on second thoughts", timestamp=FIRST + timedelta(days=1), name="other")
    assert Score.objects.get().state == Score.State.PENDING
    assert scores_export().delivered == 1
    (stored,) = either.scores()
    assert (stored.value, stored.comment, stored.name, stored.timestamp) == (
        0,
        "on second thoughts",
        "user_feedback",
        FIRST,
    )


@pytest.mark.django_db
def test_a_failed_score_given_anew_is_sent_again(langfuse: LangfuseStandIn) -> None:
    score(value=2)
    assert scores_export().failed == 1
    score(value=1)
    assert scores_export().delivered == 1


@pytest.mark.django_db
def test_a_value_given_while_the_old_one_is_on_its_way_arrives_last(langfuse: LangfuseStandIn) -> None:
    score(value=1)
    claimed = Score.objects.claim(limit=1, lease=LEASE)
    score(value=0)
    assert scores_export() == ExportOutcome()  # the old one may still be on its way
    Score.objects.note_delivered(claimed)
    row = Score.objects.get()
    assert (row.state, row.value) == (Score.State.PENDING, 0)
    assert row.next_try_at == claimed[0].claimed_until
    due_now()
    assert scores_export().delivered == 1
    assert values(langfuse) == {"feedback-1": 0}


@pytest.mark.django_db
@pytest.mark.parametrize("fault", ["refused", "stalled", "cut", "500", "503", "429", "401"])
def test_a_score_outlives_any_outage(either: LangfuseStandIn, settings: Settings, fault: str) -> None:
    for number in range(20):
        score(f"feedback-{number}")
    right = settings.LANGFUSE_SECRET_KEY
    match fault:
        case "refused":
            either.refuse()
        case "stalled":
            either.stall(path=SCORES)
        case "cut":
            either.cut_answer(next=None, path=SCORES)
        case "401":
            settings.LANGFUSE_SECRET_KEY = "sk-lf-wrong"
        case status:
            either.fail(next=None, status=int(status), path=SCORES)
    outcome = drain(scores_export)
    assert (outcome.delivered, outcome.failed, outcome.postponed) == (0, 0, 20)
    assert outcome.error
    assert len(either.requests) <= 1  # a server in trouble is asked once per run
    settings.LANGFUSE_SECRET_KEY = right
    either.clear()
    either.accept()
    due_now()
    assert drain(scores_export).delivered == 20
    assert len(either.scores()) == 20


@pytest.mark.django_db
def test_trouble_half_way_through_an_old_servers_list_keeps_the_rest(old_langfuse: LangfuseStandIn) -> None:
    score("known")
    scores_export()
    for number in range(4):
        score(f"feedback-{number}")
    old_langfuse.cut_answer(path=SCORES)
    outcome = scores_export()
    assert (outcome.delivered, outcome.postponed) == (0, 4)
    due_now()
    assert scores_export().delivered == 4
    assert len(old_langfuse.scores()) == 5


@pytest.mark.django_db
def test_each_address_has_its_own_memory(old_langfuse: LangfuseStandIn, settings: Settings) -> None:
    score("old")
    scores_export()
    with LangfuseStandIn(version="cloud") as new:
        langfuse_use(settings, new)
        score("new-1")
        score("new-2")
        assert scores_export().delivered == 2
        assert [type(request.body) for request in new.requests] == [list]


@pytest.mark.django_db(transaction=True)
def test_two_exporters_at_once_send_no_score_twice(langfuse: LangfuseStandIn) -> None:
    for number in range(90):
        score(f"feedback-{number}")

    def export(_: int) -> ExportOutcome:
        try:
            return drain(lambda: scores_export(limit=15))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(export, range(3)))
    assert sum(outcome.delivered for outcome in outcomes) == 90
    assert sum(len(request.body) for request in langfuse.requests) == 90


@pytest.mark.django_db(transaction=True)
def test_the_same_score_given_by_many_at_once_is_one_row(langfuse: LangfuseStandIn) -> None:
    def give(value: Any) -> None:
        try:
            score(value=value % 2)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(give, range(12)))
    assert Score.objects.count() == 1
    assert scores_export().delivered == 1
