"""The page Where to save, as a lead and an admin meet it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from observability.models import Price
from observability.services.prices import TokenUsage, cost_of_usage, prices_forget
from teams.models import Charge, Team
from tests.factories import GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database
from tests.processes import database_url
from text2sql.models import Attempt, Database, Generation, QuestionDay
from text2sql.services import savings
from text2sql.services.savings import (
    QUESTIONS_COUNTED,
    Cause,
    Group,
    Grouping,
    Order,
    Span,
    first_counted,
    groups_ranked,
)

PAGE = "/admin/savings/"
MODEL = "claude-sonnet-5-5"


@pytest.fixture(autouse=True)
def _prices_as_they_are() -> Iterator[None]:
    prices_forget()
    yield
    prices_forget()


@pytest.fixture
def shop_db(people: People, shop: Path) -> Database:
    return stored_database(shop, people.sales, people.marketing, name="shop")


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def asked(database: Database, team: Team, question: str = "Who?", *calls: dict[str, Any], **values: Any) -> Generation:
    """A question with its calls, each given as its tokens and, if need be, `kind`, `model`, `geo`, `at`; priced."""
    generation = GenerationFactory(
        team=team, database=database, question=question, **{"cache_key": uuid4().hex, "latency_ms": 1000} | values
    )
    for number, call in enumerate(calls, 1):
        call_add(generation, number, **call)
    return generation


def call_add(
    generation: Generation, number: int, *, kind: str = "first", model: str = MODEL, geo: str = "",
    at: datetime | None = None, estimated: bool = False, **tokens: int,
) -> None:  # fmt: skip
    at = at or generation.created_at
    cost = cost_of_usage(model=model, usage=TokenUsage(**tokens), at=at, geo=geo)
    attempt = Attempt.objects.create(
        generation=generation, number=number, model=model, max_tokens=4096, kind=kind, inference_geo=geo, started_at=at,
        status="succeeded",
    )  # fmt: skip
    counts = {name if name.endswith("_tokens") else f"{name}_tokens": count for name, count in tokens.items()}
    Charge.objects.create(
        attempt_id=attempt.pk, generation_id=generation.pk, team=generation.team, database="shop", model=model,
        cost_usd=cost, started_at=at, charged_at=at, estimated=estimated, **counts,
    )  # fmt: skip
    for name, count in counts.items():
        setattr(generation, name, getattr(generation, name) + count)
    generation.cost_usd += cost
    generation.attempt_count = number
    generation.save()


def ranked(team: Team, grouping: Grouping, order: Order = Order.MONEY) -> tuple[Group, ...]:
    now = timezone.now()
    return groups_ranked(Span([team.pk], now - timedelta(days=29), now + timedelta(days=1)), order)[grouping].groups


def levers(group: Group) -> dict[Cause, tuple[int, Decimal, Decimal]]:
    return {lever.cause: (lever.count, lever.paid_usd, lever.needed_usd) for lever in group.levers}


def price(model: str = MODEL, tokens: int = 0) -> Price:
    return Price.objects.filter(model=model, above_tokens=tokens).latest("effective_from")


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def cells(shown: str, region: str) -> list[list[str]]:
    """The rows of a table of the page, each as the texts of its cells."""
    found = re.findall(rf'aria-label="{region}">.*?<tbody>(.*?)</tbody>', shown, re.DOTALL)
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
        for table in found for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
    ]  # fmt: skip


@pytest.mark.django_db
def test_the_figures_are_those_of_the_rows(people: People, alice: Client, shop_db: Database) -> None:
    asked(shop_db, people.sales, "Who?", {"input": 100, "cache_read": 300, "output": 10}, latency_ms=1000)
    asked(
        shop_db, people.sales, "What?", {"input": 200, "output": 10}, {"input": 200, "output": 10, "kind": "repair"},
        latency_ms=3000,
    )  # fmt: skip
    asked(shop_db, people.sales, "How?", {"input": 400, "output": 5}, status="failed", latency_ms=2000)
    asked(shop_db, people.sales, "Who?", cached=True, latency_ms=10)
    asked(shop_db, people.sales, "Of an evaluation", {"input": 9000}, cache_key="")
    asked(shop_db, people.sales, "Not done", status="running", latency_ms=None)
    asked(shop_db, people.marketing, "Mallory's", {"input": 9000})
    total = sum((one.cost_usd for one in Generation.objects.filter(team="sales").exclude(cache_key="")), Decimal(0))
    (group,) = ranked(people.sales, Grouping.DATABASES)
    assert (group.key, group.questions, group.cost_usd) == ((str(shop_db.pk), ""), 4, total)
    assert group.p50_ms == 1500
    assert group.p95_ms == pytest.approx(2850)
    assert (group.tokens_per_question, group.cache_read_share) == (400.0, 0.25)
    assert (group.hit_rate, group.repair_rate, group.failure_rate) == (0.25, 0.25, 0.25)
    (row,) = cells(text(alice.get(PAGE)), "Databases")
    assert row[:2] == ["shop", "4"]
    assert row[4] == "1.5 s"
    assert row[6:] == ["400", "25.0 %", "25.0 %", "25.0 %", "25.0 %"]


@pytest.mark.django_db
def test_each_charge_counts_for_one_lever_and_the_sum_is_theirs(people: People, shop_db: Database) -> None:
    asked(
        shop_db, people.sales, "What?", {"input": 1000, "cache_write_5m": 2000, "cache_write_1h": 3000, "output": 50},
        {"input": 500, "output": 20, "kind": "repair"},
    )  # fmt: skip
    failed = asked(shop_db, people.sales, "How?", {"input": 700, "output": 9}, {"input": 700, "kind": "repair"})
    Generation.objects.filter(pk=failed.pk).update(status="failed")
    now, paid = timezone.now(), price()
    fresh = cost_of_usage(model=MODEL, usage=TokenUsage(1000, 2000, 3000), at=now)
    expected = {
        Cause.FAILURES: (1, failed.cost_usd, Decimal(0)),
        Cause.REPAIRS: (1, cost_of_usage(model=MODEL, usage=TokenUsage(500, output=20), at=now), Decimal(0)),
        Cause.CACHE_READS: (6000, fresh, 6000 * paid.cache_read / 1_000_000),
    }
    for grouping in (Grouping.ALL, Grouping.DATABASES, Grouping.PROMPTS, Grouping.MODELS):
        (group,) = ranked(people.sales, grouping)
        assert levers(group) == expected, grouping
        assert group.saving_usd == sum(given - needed for _, given, needed in expected.values())
        assert group.saving_usd < group.cost_usd
        savings = [lever.saving_usd for lever in group.levers]
        assert savings == sorted(savings, reverse=True)


@pytest.mark.django_db
def test_input_is_priced_by_its_day_its_size_its_model_and_its_place(people: People, shop_db: Database) -> None:
    now = timezone.now()
    cheap, tiered = price(), price("claude-sonnet-4-5")
    change = now - timedelta(days=5)
    Price.objects.create(**{
        field.name: getattr(cheap, field.name) for field in Price._meta.fields if field.name != "id"
    } | {"effective_from": change, "input": 2 * cheap.input, "cache_read": 3 * cheap.cache_read})  # fmt: skip
    Price.objects.create(**{
        field.name: getattr(tiered, field.name) for field in Price._meta.fields if field.name != "id"
    } | {"above_tokens": 5000, "input": 7 * tiered.input})  # fmt: skip
    calls: list[dict[str, Any]] = [
        {"input": 1000, "at": change - timedelta(seconds=1)}, {"input": 1000, "at": change},
        {"input": 1000, "geo": "us", "at": now}, {"input": 5000, "model": tiered.model},
        {"input": 4000, "cache_read": 1001, "model": tiered.model},
        {"input": 9999, "estimated": True},
    ]  # fmt: skip
    for call in calls:
        asked(shop_db, people.sales, "Who?", call, created_at=now - timedelta(days=6))
    (group,) = ranked(people.sales, Grouping.ALL)
    times = cheap.geo_us_multiplier or Decimal(1)
    assert times > 1
    paid = 1000 * cheap.input * (1 + 2 + 2 * times) + (5000 + 7 * 4000) * tiered.input
    needed = 1000 * cheap.cache_read * (1 + 3 + 3 * times) + 9000 * tiered.cache_read
    assert levers(group)[Cause.CACHE_READS] == (12_000, paid / 1_000_000, needed / 1_000_000)


@pytest.mark.django_db
def test_a_model_whose_price_was_taken_away_has_no_lever(people: People, shop_db: Database) -> None:
    asked(shop_db, people.sales, "Who?", {"input": 1000})
    Price.objects.filter(model=MODEL).delete()
    prices_forget()
    (group,) = ranked(people.sales, Grouping.MODELS)
    assert group.levers == ()


@pytest.mark.django_db
def test_repeated_questions_cost_all_but_the_first_answer(people: People, alice: Client, shop_db: Database) -> None:
    now = timezone.now()
    for number, question in enumerate(("Who buys?", "WHO BUYS", " who buys!")):
        at = now - timedelta(hours=9 - number)
        asked(shop_db, people.sales, question, {"input": 1000 * (number + 1)}, created_at=at)
    asked(shop_db, people.sales, "Who buys?", cached=True, latency_ms=10)
    failed = asked(shop_db, people.sales, "Who buys?", {"input": 100}, status="failed")
    asked(shop_db, people.sales, "Once?", {"input": 90_000})
    first = asked(shop_db, people.sales, "Before", {"input": 100})
    for _ in range(2):
        asked(shop_db, people.sales, "And by month?", {"input": 100}, parent=first)
    each = price().input / 1_000_000
    (group,) = ranked(people.sales, Grouping.QUESTIONS)
    assert (group.key, group.questions, group.asked) == ((str(shop_db.pk), "who buys"), 5, 4)
    assert levers(group) == {
        Cause.REPEATS: (3, 6000 * each, 1000 * each), Cause.FAILURES: (1, failed.cost_usd, Decimal(0)),
    }  # fmt: skip
    shown = text(alice.get(PAGE))
    assert (
        f"1 question was asked more than once; had the answer cache kept each first answer, ${5000 * each:.4f}" in shown
    )
    assert f"answers (3) cost ${6000 * each:.4f}, the first of them ${1000 * each:.4f}" in shown


@pytest.mark.django_db
def test_the_order_is_by_money_or_by_latency(people: People, alice: Client, shop_db: Database) -> None:
    asked(shop_db, people.sales, "Dear?", {"input": 9000}, prompt_version="dear", latency_ms=10)
    asked(shop_db, people.sales, "Slow?", {"input": 10}, prompt_version="slow", latency_ms=9000)
    for by, first in (("", "dear"), ("money", "dear"), ("latency", "slow"), ("nul\0", "dear")):
        rows = cells(text(alice.get(PAGE, {"by": by})), "Prompt versions")
        assert [row[0] for row in rows] == [first, "dear" if first == "slow" else "slow"]


@pytest.mark.django_db
def test_where_little_can_be_saved_another_model_is_named_without_a_figure(
    people: People, alice: Client, shop_db: Database
) -> None:
    asked(shop_db, people.sales, "Who?", {"cache_read": 9000, "output": 500})
    shown = text(alice.get(PAGE))
    assert cells(shown, "Models")[0][3] == "$0.0000"
    assert "a lower effort or a cheaper one" in shown
    Generation.objects.update(status="failed")
    shown = text(alice.get(PAGE))
    assert re.search(r"questions that failed \(1\) cost (\$0\.\d{4})\. Saving \1\.", shown)
    assert "a lower effort or a cheaper one" not in shown


@pytest.mark.django_db
def test_leads_see_their_teams_and_admins_all(people: People, alice: Client, shop_db: Database) -> None:
    asked(shop_db, people.sales, "Ours?", {"input": 10}, session_id="evening", prompt_version="ours")
    asked(shop_db, people.marketing, "Theirs?", {"input": 10}, session_id="evening", prompt_version="theirs")
    assert [row[0] for row in cells(text(alice.get(PAGE)), "Prompt versions")] == ["ours"]
    assert [row[0] for row in cells(text(alice.get(PAGE)), "Sessions")] == ["evening"]
    root = people.signed_in(people.root)
    both = cells(text(root.get(PAGE)), "Sessions")
    assert [row[0] for row in both] == ["marketing: evening", "sales: evening"]
    assert [row[0] for row in cells(text(root.get(PAGE, {"team": "marketing"})), "Prompt versions")] == ["theirs"]
    for nothing in ("marketing", "nobody", "nul\0"):
        assert alice.get(PAGE, {"team": nothing}).status_code == 404


@pytest.mark.django_db
def test_each_row_leads_to_the_questions_behind_it(
    people: People, alice: Client, shop: Path, shop_db: Database
) -> None:
    twin = stored_database(shop, people.sales, name="twin")
    odd = 'Who "buys" at C:\\Temp & why'
    for _ in range(2):
        asked(shop_db, people.sales, odd, {"input": 9000}, session_id="a b&c", prompt_version="v 1&2", model="m-1")
    asked(twin, people.sales, "Something else", {"input": 10}, session_id="other", prompt_version="v2", model="m-2")
    asked(shop_db, people.sales, "Earlier", created_at=timezone.now() - timedelta(days=40))
    shown = text(alice.get(PAGE))
    for region in ("Databases", "Prompt versions", "Models", "Sessions", "Repeated questions"):
        (table,) = re.findall(rf'aria-label="{region}">.*?<tbody>(.*?)</tbody>', shown, re.DOTALL)
        link = unescape(re.findall(r'<a class="text-link" href="([^"]+)"', table)[0])
        answer = alice.get(link)
        assert answer.status_code == 200, (region, link)
        questions = [row.question for row in answer.context["cl"].result_list]
        assert questions == [odd, odd], region
    whole = unescape(re.findall(r'href="([^"]+)">All questions', shown)[0])
    assert set(parse_qs(urlsplit(whole).query)) == {"created_at__gte", "created_at__lt"}
    assert alice.get(whole).context["cl"].result_count == 3


@pytest.mark.django_db
def test_the_days_are_thirty_by_the_teams_clock_unless_told(people: People, alice: Client, shop_db: Database) -> None:
    Team.objects.filter(pk="sales").update(time_zone="Pacific/Auckland")
    midnight = datetime(2026, 11, 22, 11, tzinfo=UTC)  # of the 23rd in Auckland
    for name, at in (
        ("before", midnight - timedelta(seconds=1)), ("first", midnight),
        ("last", midnight + timedelta(hours=24, seconds=-1)), ("after", midnight + timedelta(hours=24)),
    ):  # fmt: skip
        asked(shop_db, people.sales, created_at=at, prompt_version=name)
    shown = text(alice.get(PAGE, {"from": "2026-11-23", "to": "2026-11-23"}))
    assert {row[0] for row in cells(shown, "Prompt versions")} == {"first", "last"}
    assert "Days of Pacific/Auckland." in shown
    assert 'role="alert"' in text(alice.get(PAGE, {"from": "2026-08-30", "to": "2026-11-30"}))
    assert 'role="alert"' not in text(alice.get(PAGE, {"from": "2026-08-31", "to": "2026-11-30"}))


@pytest.mark.django_db
def test_nothing_asked_is_told(people: People, alice: Client) -> None:
    assert "Nothing was asked in these days." in text(alice.get(PAGE))


@pytest.mark.django_db
def test_the_page_costs_as_many_queries_for_many_rows_as_for_one(
    people: People, alice: Client, shop: Path, shop_db: Database
) -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            text(alice.get(PAGE))
        return len(queries)

    for _ in range(2):
        asked(shop_db, people.sales, "Who?", {"input": 10}, session_id="one")
    counted()
    few = counted()
    for number in range(12):
        other = stored_database(shop, people.sales, name=f"other_{number}")
        for _ in range(2):
            asked(
                other, people.sales, f"Question {number}?", {"input": 10}, {"input": 5, "kind": "repair"},
                session_id=f"session-{number}", prompt_version=f"v{number}",
            )  # fmt: skip
    assert counted() == few
    shown = text(alice.get(PAGE))
    assert len(cells(shown, "Databases")) == 10
    assert shown.count("10 of 13.") == 4  # all but the models


def counted(database: Database, team: Team, **days: int) -> None:
    """So many questions, by how many days ago."""
    today = timezone.now().date()
    for name, questions in days.items():
        day = today - timedelta(days=int(name.removeprefix("ago_")))
        QuestionDay.objects.create(team=team, database=database, day=day, questions=questions)


@pytest.mark.django_db
def test_of_very_many_questions_the_newest_days_are_counted_unless_all_are_asked_for(
    people: People, alice: Client, shop_db: Database
) -> None:
    now = timezone.now()
    asked(shop_db, people.sales, "Today?")
    asked(shop_db, people.sales, "Long ago?", created_at=now - timedelta(days=9))
    assert "are counted, about" not in text(alice.get(PAGE))
    counted(shop_db, people.sales, ago_0=5, ago_1=QUESTIONS_COUNTED - 5, ago_2=1, ago_9=1)
    shown = text(alice.get(PAGE))
    assert f"Only the days since {now.date() - timedelta(days=1)} are counted" in shown
    assert cells(shown, "All questions")[0][1] == "1"
    (link,) = re.findall(r'href="(\?[^"]*all=1[^"]*)"', shown)
    whole = text(alice.get(PAGE + unescape(link)))
    assert cells(whole, "All questions")[0][1] == "2"
    assert "are counted, about" not in whole


@pytest.mark.django_db
def test_the_first_day_counted_holds_at_least_the_newest_questions(people: People, shop_db: Database) -> None:
    today, days = timezone.now().date(), QuestionDay.objects.filter(team=people.sales)
    first = today - timedelta(days=29)
    assert first_counted(days, first, today, most=10) == first
    counted(shop_db, people.sales, ago_1=11, ago_3=1)
    assert first_counted(days, first, today, most=12) == first
    assert first_counted(days, first, today, most=11) == today - timedelta(days=1)
    assert first_counted(days, first, today, most=10) == today - timedelta(days=1)


@pytest.mark.django_db(transaction=True)
def test_what_takes_too_long_is_given_up_and_told(
    people: People, alice: Client, shop_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(shop_db, people.sales, "Who?")
    monkeypatch.setattr(savings, "SECONDS", 0.2)
    with psycopg.connect(database_url()) as other:
        other.execute("LOCK TABLE text2sql_attempt IN ACCESS EXCLUSIVE MODE")
        shown = text(alice.get(PAGE))
    assert "cannot be counted while you wait" in shown
    assert "Nothing was asked" not in shown
