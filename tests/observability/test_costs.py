import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from pytest_django import Settings

from observability.langfuse import client
from observability.services import costs
from observability.services.costs import (
    LangfuseUnavailable,
    Questions,
    costs_read,
    questions_per_hour,
    unpriced_read,
)
from observability.services.traces import trace_record, traces_export
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse.answers import Answer
from tests.standins.langfuse.faults import Fault

METRICS = "/api/public/v2/metrics"
DAY = datetime(2026, 11, 22, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "TIMEOUT", 1)


def spend(user: str, cost: str, at: datetime = DAY + timedelta(hours=12), tags: Sequence[str] = ("text2sql",)) -> None:
    start = at - timedelta(milliseconds=5)  # the generation, which has the cost, begins 5 ms after the root
    trace_record(trace_made(f"{user} {cost} {at} {tags}", user_id=user, cost=cost, start=start, tags=list(tags)))


@pytest.mark.django_db
def test_costs_are_summed_by_user_and_in_total(langfuse: LangfuseStandIn) -> None:
    spend("sales", "0.1")
    spend("sales", "0.2")
    spend("hr", "0.006890000001")
    spend("", "0.5")
    traces_export()
    read = costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert read.by_user == {"sales": Decimal("0.3"), "hr": Decimal("0.006890000001"), "": Decimal("0.5")}
    assert read.tokens == {"sales": 8940, "hr": 4470, "": 4470}
    assert read.total == Decimal("0.806890000001")
    assert read.complete


@pytest.mark.django_db
def test_no_spending_is_no_trouble(langfuse: LangfuseStandIn) -> None:
    read = costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert (read.by_user, read.total, read.complete) == ({}, Decimal(0), True)


@pytest.mark.django_db
def test_midnight_belongs_to_the_day_that_begins(langfuse: LangfuseStandIn) -> None:
    spend("sales", "1", at=DAY)
    spend("sales", "2", at=NEXT_DAY - timedelta(milliseconds=1))
    spend("sales", "4", at=NEXT_DAY)
    traces_export()
    assert costs_read(starts_at=DAY, ends_at=NEXT_DAY).by_user == {"sales": 3}
    assert costs_read(starts_at=NEXT_DAY, ends_at=NEXT_DAY + timedelta(days=1)).by_user == {"sales": 4}


@pytest.mark.django_db
def test_a_day_may_begin_in_any_time_zone(langfuse: LangfuseStandIn) -> None:
    kathmandu = datetime.fromisoformat("2026-11-22T00:00:00+05:45")
    spend("sales", "1", at=datetime(2026, 11, 21, 18, 14, 59, tzinfo=UTC))
    spend("sales", "2", at=datetime(2026, 11, 21, 18, 15, tzinfo=UTC))
    traces_export()
    assert costs_read(starts_at=kathmandu, ends_at=kathmandu + timedelta(days=1)).by_user == {"sales": 2}


@pytest.mark.django_db
def test_own_and_external_spending_are_told_apart_by_tag(langfuse: LangfuseStandIn) -> None:
    spend("sales", "1", tags=["text2sql"])
    spend("sales", "2", tags=["text2sql", "cached"])
    spend("sales", "4", tags=["notebook"])
    spend("sales", "8", tags=[])
    traces_export()
    assert costs_read(starts_at=DAY, ends_at=NEXT_DAY, tags=["text2sql"]).by_user == {"sales": 3}
    assert costs_read(starts_at=DAY, ends_at=NEXT_DAY, tags_not=["text2sql"]).by_user == {"sales": 12}
    assert costs_read(starts_at=DAY, ends_at=NEXT_DAY).by_user == {"sales": 15}


@pytest.mark.django_db
def test_a_thousand_rows_may_not_be_all(langfuse: LangfuseStandIn) -> None:
    for number in range(1001):
        spend(f"user-{number:04}", f"{1 + number / 10000:.4f}")
        if number == 998:
            traces_export(limit=2000)
            assert costs_read(starts_at=DAY, ends_at=NEXT_DAY).complete
    traces_export(limit=2000)
    read = costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert not read.complete
    assert len(read.by_user) == 1000
    assert "user-0000" not in read.by_user  # the cheapest is the one left out


@pytest.mark.django_db
def test_users_that_a_full_answer_leaves_out_are_asked_for_by_name(langfuse: LangfuseStandIn) -> None:
    for number in range(1200):
        spend(f"user-{number:04}", f"{1 + number / 10000:.4f}")
    traces_export(limit=2000)
    users = [*(f"user-{number:04}" for number in range(0, 1200, 2)), "nobody-of-them"]
    questions = Questions(left=10)
    read = costs_read(starts_at=DAY, ends_at=NEXT_DAY, users=users, questions=questions)
    assert read.complete
    assert (read.by_user["user-0000"], read.by_user["user-0198"]) == (Decimal(1), Decimal("1.0198"))
    assert read.by_user["nobody-of-them"] == 0
    assert "user-0001" not in read.by_user
    assert read.total == sum((Decimal(1) + Decimal(number) / 10000 for number in range(1200)), Decimal(0))
    asked = [json.loads(request.query["query"][0]) for request in langfuse.requests if request.path == METRICS]
    lists = [one["filters"][0]["value"] for one in asked[2:]]
    assert "dimensions" not in asked[1]
    assert [user for part in lists for user in part] == users
    assert (len(asked), questions.asked, questions.left) == (2 + len(lists), 2 + len(lists), 8 - len(lists))
    assert all(len(quote(request.query["query"][0])) < 8_000 for request in langfuse.requests if request.query)


@pytest.mark.django_db
def test_where_the_list_takes_more_questions_than_are_left_nothing_is_believed(langfuse: LangfuseStandIn) -> None:
    for number in range(1000):
        spend(f"user-{number:04}", "1")
    traces_export(limit=2000)
    users = [f"user-{number:04}" for number in range(1000)]
    with pytest.raises(LangfuseUnavailable, match="more users than Langfuse names"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY, users=users, questions=Questions(left=3))
    assert len([request for request in langfuse.requests if request.path == METRICS]) == 1


def test_no_question_is_put_that_may_not_be(langfuse: LangfuseStandIn) -> None:
    with pytest.raises(LangfuseUnavailable, match="no further question"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY, questions=Questions(left=0))
    assert langfuse.requests == []


@pytest.mark.django_db
def test_tokens_of_models_without_a_price_are_told_by_user(langfuse: LangfuseStandIn) -> None:
    for user, model, count, cost in [
        ("sales", "a-model-of-ours", 500, "0"),
        ("sales", "claude-sonnet-5", 30, "0.4"),
        ("hr", "claude-sonnet-5", 7, "1"),
    ]:
        record = trace_made(f"{user} {model}", user_id=user, cost=cost, start=DAY, tags=["notebook"])
        root, generation = record.observations
        trace_record(replace(record, observations=(root, replace(generation, model=model, usage={"input": count}))))
    traces_export()
    questions = Questions(left=2)
    unpriced = unpriced_read(starts_at=DAY, ends_at=NEXT_DAY, tags_not=["text2sql"], questions=questions)
    assert unpriced == {"sales": 500}
    assert questions.left == 0


@pytest.mark.parametrize(
    ("url", "told", "allowed"),
    [
        ("https://cloud.langfuse.com", None, 4),
        ("https://us.cloud.langfuse.com", 0, None),
        ("https://cloud.langfuse.com", 2400, 100),
        ("https://langfuse.example.com", None, None),
        ("https://langfuse.example.com", 48, 2),
        ("https://langfuse.example.com", 5, 1),
    ],
)
def test_langfuse_cloud_allows_a_few_questions_an_hour(
    settings: Settings, url: str, told: int | None, allowed: int | None
) -> None:
    settings.LANGFUSE_BASE_URL, settings.LANGFUSE_METRICS_PER_DAY = url, told
    assert questions_per_hour() == allowed


@pytest.mark.django_db
def test_numbers_may_come_as_texts(langfuse: LangfuseStandIn) -> None:
    langfuse._api.quote_64_bit = True
    spend("sales", "2")
    traces_export()
    assert costs_read(starts_at=DAY, ends_at=NEXT_DAY).by_user == {"sales": Decimal(2)}


@pytest.mark.django_db
def test_one_question_is_one_request(langfuse: LangfuseStandIn) -> None:
    costs_read(starts_at=DAY, ends_at=NEXT_DAY, tags=["text2sql"])
    (request,) = langfuse.requests
    query = json.loads(request.query["query"][0])
    assert query["toTimestamp"] == "2026-11-22T23:59:59.999Z"
    assert query["config"] == {"row_limit": 1000}


@pytest.mark.parametrize("status", [400, 401, 403, 422, 429, 500, 502, 503])
def test_a_refusal_is_unavailable_and_not_asked_again(langfuse: LangfuseStandIn, status: int) -> None:
    langfuse.fail(status=status, path=METRICS, retry_after=60)
    with pytest.raises(LangfuseUnavailable, match=f"HTTP {status}"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert len(langfuse.requests) == 1


def test_a_server_that_is_down_is_unavailable(langfuse: LangfuseStandIn) -> None:
    langfuse.refuse()
    with pytest.raises(LangfuseUnavailable, match="refused"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)


def test_a_cut_answer_is_unavailable(langfuse: LangfuseStandIn) -> None:
    langfuse.cut_answer(path=METRICS)
    with pytest.raises(LangfuseUnavailable, match="disconnected"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert len(langfuse.requests) == 1


@pytest.mark.parametrize("kind", ["html", "broken", "shape", "type", "binary"])
def test_rubbish_is_unavailable(langfuse: LangfuseStandIn, kind: Any) -> None:
    langfuse.garbage(kind, path=METRICS)
    with pytest.raises(LangfuseUnavailable):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)


@pytest.mark.parametrize("figure", ['"nan"', '"much"', "1e300", "NaN", "[]", "100000000"])
def test_a_figure_that_is_no_cost_is_unavailable(langfuse: LangfuseStandIn, figure: str) -> None:
    body = f'{{"data": [{{"userId": "sales", "sum_totalCost": {figure}, "sum_totalTokens": 1}}]}}'
    answer = Answer(200, body.encode(), {"Content-Type": "application/json"})
    langfuse._faults.add(Fault("fail", METRICS, 1, answer=answer))
    if figure == "[]":
        assert costs_read(starts_at=DAY, ends_at=NEXT_DAY).total == 0
        return
    with pytest.raises(LangfuseUnavailable, match="not an answer of Langfuse"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)


def test_a_stalling_server_is_unavailable_after_the_timeout(langfuse: LangfuseStandIn) -> None:
    langfuse.stall(path=METRICS)
    with pytest.raises(LangfuseUnavailable, match="Timeout"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert len(langfuse.requests) == 1


def test_wrong_keys_are_unavailable(langfuse: LangfuseStandIn, settings: Settings) -> None:
    settings.LANGFUSE_SECRET_KEY = "sk-lf-wrong"
    client._clients_forget()
    with pytest.raises(LangfuseUnavailable, match="HTTP 401"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)
