import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django import Settings

from observability.langfuse import client
from observability.services import costs
from observability.services.costs import LangfuseUnavailable, costs_read
from observability.services.traces import trace_record, traces_export
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn

METRICS = "/api/public/v2/metrics"
DAY = datetime(2026, 11, 22, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "PAUSE", 0.01)
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
    assert read.by_user == {"sales": Decimal("0.3"), "hr": Decimal("0.006890000001")}
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


def test_a_passing_failure_is_tried_once_more(langfuse: LangfuseStandIn) -> None:
    langfuse.fail(status=502, path=METRICS)
    assert costs_read(starts_at=DAY, ends_at=NEXT_DAY).total == 0
    assert len(langfuse.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 422, 429])
def test_a_refusal_is_not_tried_again(langfuse: LangfuseStandIn, status: int) -> None:
    langfuse.fail(status=status, path=METRICS, retry_after=60)
    with pytest.raises(LangfuseUnavailable, match=f"HTTP {status}"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert len(langfuse.requests) == 1


def test_a_server_that_stays_broken_is_unavailable_after_two_tries(langfuse: LangfuseStandIn) -> None:
    langfuse.fail(next=None, status=500, path=METRICS)
    with pytest.raises(LangfuseUnavailable, match="HTTP 500"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)
    assert len(langfuse.requests) == 2


def test_a_server_that_is_down_is_unavailable(langfuse: LangfuseStandIn) -> None:
    langfuse.refuse()
    with pytest.raises(LangfuseUnavailable, match="refused"):
        costs_read(starts_at=DAY, ends_at=NEXT_DAY)


def test_a_cut_answer_is_tried_once_more(langfuse: LangfuseStandIn) -> None:
    langfuse.cut_answer(path=METRICS)
    assert costs_read(starts_at=DAY, ends_at=NEXT_DAY).total == 0


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
