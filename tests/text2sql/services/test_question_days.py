"""Sums of days are exact against the questions, whenever they are counted."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.factories import GenerationFactory, TeamFactory
from text2sql.models import Database, Generation, QuestionDay
from text2sql.services.question_days import days_count, overview_sum, percentile

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_counts_and_money_are_those_of_the_questions() -> None:
    dice = random.Random(20261124)
    teams = [TeamFactory(time_zone=ZoneInfo(zone)) for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles")]
    databases = {
        team.pk: Database.objects.create(name=f"shop_{number}", dialect="sqlite") for number, team in enumerate(teams)
    }
    for _ in range(120):
        team = dice.choice(teams)
        GenerationFactory(
            team=team, database=databases[team.pk], cache_key="k",
            status=dice.choice(["succeeded", "failed", "clarify"]), cached=dice.random() < 0.3,
            cost_usd=Decimal(dice.randint(0, 10**9)).scaleb(-12), latency_ms=dice.randint(1, 9000),
            created_at=NOON - timedelta(minutes=dice.randint(0, 5 * 24 * 60)),
        )  # fmt: skip
    days_count(NOON)
    assert QuestionDay.objects.count() > 12
    for row in QuestionDay.objects.select_related("team"):
        mine = [
            asked
            for asked in Generation.objects.filter(team=row.team, database=row.database_id)
            if asked.created_at.astimezone(row.team.time_zone).date() == row.day
        ]
        assert row.questions == len(mine) == sum(row.latencies.values())
        assert row.answered == sum(asked.status == "succeeded" for asked in mine)
        assert row.failed == sum(asked.status == "failed" for asked in mine)
        assert row.cached == sum(asked.cached for asked in mine)
        assert row.cost_usd == sum(asked.cost_usd for asked in mine)
    total = overview_sum(QuestionDay.objects.all(), first=date(2026, 11, 18), last=date(2026, 11, 25)).total
    assert (total.questions, total.cost_usd) == (120, sum(Generation.objects.values_list("cost_usd", flat=True)))


def test_a_question_that_ends_later_is_counted_and_none_twice() -> None:
    team = TeamFactory()
    database = Database.objects.create(name="shop", dialect="sqlite")
    running = GenerationFactory(team=team, database=database, cache_key="k", status="running", created_at=NOON)
    GenerationFactory(team=team, database=database, cache_key="k", created_at=NOON - timedelta(days=9))
    for _ in range(2):
        days_count(NOON)
    assert list(QuestionDay.objects.values_list("day", "questions")) == [(date(2026, 11, 15), 1)]
    Generation.objects.filter(pk=running.pk).update(status="succeeded")
    days_count(NOON + timedelta(hours=3))
    assert list(QuestionDay.objects.values_list("day", "questions")) == [
        (date(2026, 11, 24), 1),
        (date(2026, 11, 15), 1),
    ]


def test_days_stay_when_their_questions_are_pruned_and_evaluations_do_not_count() -> None:
    team = TeamFactory()
    database = Database.objects.create(name="shop", dialect="sqlite")
    old = GenerationFactory(team=team, database=database, cache_key="k", created_at=NOON - timedelta(days=40))
    GenerationFactory(team=team, database=database, cache_key="k", created_at=NOON)
    GenerationFactory(team=team, database=database, cache_key="", created_at=NOON)
    days_count(NOON)
    old.delete()
    days_count(NOON)
    assert [row.questions for row in QuestionDay.objects.all()] == [1, 1]


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_told_within_five_percent(share: float) -> None:
    dice = random.Random(7)
    team = TeamFactory()
    database = Database.objects.create(name="shop", dialect="sqlite")
    latencies = [round(dice.lognormvariate(7, 1.2)) + 1 for _ in range(200)]
    for latency in latencies:
        GenerationFactory(team=team, database=database, cache_key="k", created_at=NOON, latency_ms=latency)
    days_count(NOON)
    true = sorted(latencies)[math.ceil(share * 200) - 1]
    told = overview_sum(QuestionDay.objects.all(), first=NOON.date(), last=NOON.date()).total.latency_ms(share)
    assert told == pytest.approx(true, rel=0.05)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None
