"""Spending by the team's days, beside Langfuse's figures, and its file for charge-back."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from teams.models import Team
from teams.services.windows import window_open
from tests.factories import BudgetFactory, GenerationFactory, TeamFactory, make_key
from tests.permissions.estate import stored_database
from tests.teams.ledgers import charged, langfuse_day
from text2sql.models import Attempt
from text2sql.services.spending import CHARGE_COLUMNS, Span, charge_rows, month_costs, spending_sum, windows_past

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOVEMBER = (date(2026, 11, 1), date(2026, 11, 30))


def span_of(team: Team, first: date = NOVEMBER[0], last: date = NOVEMBER[1]) -> Span:
    return Span(team, first, last)


def test_sums_are_by_database_model_key_and_end_user_with_the_dearest_first() -> None:
    team, other = TeamFactory(), TeamFactory()
    key, _, _ = make_key(team)
    question = uuid4()
    charged(team, "1", NOON, generation_id=question, api_key_id=key.pk, end_user="ada", output_tokens=10)
    charged(team, "2", NOON, generation_id=question, api_key_id=key.pk, end_user="ada", input_tokens=7)
    charged(team, "4", NOON, database="crm", model="claude-haiku-5-5", end_user="bert", estimated=True)
    charged(team, "0.5", NOON, cached=True, cache_read_tokens=3)
    charged(other, "99", NOON)
    found = spending_sum(span_of(team))
    assert (found.total["cost"], found.total["questions"], found.total["calls"]) == (Decimal("7.5"), 3, 3)
    assert (found.total["cached"], found.total["estimated"], found.total["output_tokens"]) == (1, 1, 10)
    assert [(row["name"], row["cost"]) for row in found.groups["database"]] == [("crm", 4), ("shop", Decimal("3.5"))]
    assert [row["name"] for row in found.groups["model"]] == ["claude-haiku-5-5", "claude-sonnet-5-5"]
    assert [(row["name"], row["cost"]) for row in found.groups["api_key_id"]] == [
        ("", Decimal("4.5")), (f"test (t2s_{key.prefix})", 3),
    ]  # fmt: skip
    assert [(row["name"], row["questions"]) for row in found.groups["end_user"]] == [("bert", 1), ("ada", 1), ("", 1)]


def test_a_charge_counts_for_the_day_of_the_teams_clock_on_which_its_call_began() -> None:
    team = TeamFactory(time_zone=ZoneInfo("Pacific/Auckland"))
    charged(team, "1", datetime(2026, 10, 31, 11, tzinfo=UTC), charged_at=NOON)  # midnight there
    charged(team, "2", datetime(2026, 10, 31, 10, 59, tzinfo=UTC), charged_at=NOON)
    charged(team, "4", datetime(2026, 11, 30, 10, 59, tzinfo=UTC))
    charged(team, "8", datetime(2026, 11, 30, 11, tzinfo=UTC))
    found = spending_sum(span_of(team))
    assert found.total["cost"] == 5
    assert {day.day: day.cost for day in found.by_day if day.cost} == {NOVEMBER[0]: 1, NOVEMBER[1]: 4}
    assert len(found.by_day) == 30


def test_a_day_of_twenty_five_hours_is_one_day() -> None:
    team = TeamFactory(time_zone=ZoneInfo("America/New_York"))
    charged(team, "1", datetime(2026, 11, 1, 4, tzinfo=UTC))
    charged(team, "2", datetime(2026, 11, 2, 4, 59, tzinfo=UTC))
    charged(team, "4", datetime(2026, 11, 2, 5, tzinfo=UTC))
    assert spending_sum(span_of(team, date(2026, 11, 1), date(2026, 11, 1))).total["cost"] == 3


def test_langfuse_stands_beside_our_ledger_once_for_each_moment() -> None:
    team = TeamFactory()
    charged(team, "1", NOON)
    langfuse_day(
        team, NOON, ours_usd=Decimal("1.1"), external_usd=Decimal(3), drift_usd=Decimal("0.1"), unpriced_tokens=7
    )
    before = Team(slug=team.pk, time_zone=ZoneInfo("Asia/Kathmandu"))
    langfuse_day(before, NOON, ours_usd=Decimal(9))  # by the clock that the team had before; began earlier
    days = {day.day: day for day in spending_sum(span_of(team)).by_day}
    figures = days[NOON.date()].langfuse
    assert figures is not None
    assert figures.ours_usd == 9
    assert figures.external_usd == figures.drift_usd == figures.unpriced_tokens == 0
    assert days[NOON.date() - timedelta(days=1)].langfuse is None


def test_answers_that_money_cut_short_are_counted(shop: Path) -> None:
    team, other = TeamFactory(), TeamFactory()
    database = stored_database(shop, team, other, name="shop")
    for owner, stop, shrunk in [
        (team, "max_tokens", True), (team, "end_turn", True), (team, "max_tokens", False), (other, "max_tokens", True),
    ]:  # fmt: skip
        Attempt.objects.create(
            generation=GenerationFactory(team=owner, database=database), number=1, model="m", max_tokens=1024,
            stop_reason=stop, is_shrunk=shrunk, started_at=NOON,
        )  # fmt: skip
    found = spending_sum(span_of(team))
    assert (found.shrunk, found.cut) == (2, 1)
    assert spending_sum(span_of(team, date(2026, 12, 1), date(2026, 12, 2))).shrunk == 0


def test_only_the_dearest_end_users_are_on_the_page() -> None:
    team = TeamFactory()
    for number in range(25):
        charged(team, str(number + 1), NOON, end_user=f"user{number}")
    names = [row["name"] for row in spending_sum(span_of(team)).groups["end_user"]]
    assert names == [f"user{number}" for number in range(24, 4, -1)]


def test_the_file_has_a_row_for_each_day_database_model_key_and_end_user() -> None:
    team = TeamFactory(slug="sales", time_zone=ZoneInfo("America/New_York"))
    key, _, _ = make_key(team)
    tokens = {
        "input_tokens": 1, "cache_write_5m_tokens": 2, "cache_write_1h_tokens": 3, "cache_read_tokens": 4,
        "output_tokens": 5,
    }  # fmt: skip
    gone = uuid4()
    for cost in ("0.000000000001", "0.1"):
        charged(team, cost, datetime(2026, 11, 2, 4, 30, tzinfo=UTC), api_key_id=key.pk, end_user="ada", **tokens)
    charged(team, "2", datetime(2026, 11, 2, 12, tzinfo=UTC), api_key_id=gone, cached=True)
    charged(team, "3", datetime(2026, 11, 2, 12, tzinfo=UTC), estimated=True)
    rows = [dict(zip(CHARGE_COLUMNS, row, strict=True)) for row in charge_rows(span_of(team))]
    first = {
        "team": "sales", "time_zone": "America/New_York", "day": "2026-11-01",
        "day_starts_at": "2026-11-01T00:00:00-04:00", "database": "shop", "model": "claude-sonnet-5-5",
        "api_key": f"test (t2s_{key.prefix})", "end_user": "ada", "questions": 2, "calls": 2, "cached": 0,
        "estimated": 0, **{name: 2 * count for name, count in tokens.items()}, "cost_usd": "0.100000000001",
    }  # fmt: skip
    assert rows[0] == first
    rest = {row["api_key"]: row for row in rows[1:]}
    assert set(rest) == {str(gone), ""}
    assert (rest[str(gone)]["cached"], rest[str(gone)]["calls"], rest[""]["estimated"]) == (1, 0, 1)
    assert rest[""]["day_starts_at"] == "2026-11-02T00:00:00-05:00"
    assert sum(Decimal(row["cost_usd"]) for row in rows) == spending_sum(span_of(team)).total["cost"]


def test_past_windows_are_the_teams_newest_first_with_their_top_ups() -> None:
    team, now = TeamFactory(), NOON
    budget = BudgetFactory(team=team)
    for back in range(40):
        window_open(budget=budget, at=now - timedelta(days=back))
    window_open(budget=BudgetFactory(), at=now - timedelta(days=1))
    past = windows_past(team, now=now)
    assert len(past) == 31
    assert past[0].starts_at == datetime(2026, 11, 24, tzinfo=UTC)
    assert {window.budget_id for window in past} == {budget.pk}


def test_the_months_costs_go_by_each_teams_clock() -> None:
    auckland = TeamFactory(time_zone=ZoneInfo("Pacific/Auckland"))
    here, idle = TeamFactory(), TeamFactory()
    for team in (auckland, here):
        charged(team, "1", datetime(2026, 10, 31, 11, 30, tzinfo=UTC))
        charged(team, "2", NOON)
    assert month_costs([auckland, here, idle], now=NOON) == {auckland.pk: 3, here.pk: 2}
