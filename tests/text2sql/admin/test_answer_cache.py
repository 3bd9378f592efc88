"""The page Answer cache, as a lead and an admin meet it."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from teams.models import Team
from tests.factories import GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database
from tests.text2sql.cache.stand_ins import closed_port_url
from text2sql.models import Database, Generation
from text2sql.services import cache_figures as figures
from text2sql.services.cache_figures import NOT_KEPT, NOT_TOLD, Percentile, questions_asked, questions_ranked
from text2sql.services.question_days import days_count

LIST = "/admin/answer-cache/"
PAGE = "/admin/answer-cache/sales/"


@pytest.fixture
def shop_db(people: People, shop: Path) -> Database:
    return stored_database(shop, people.sales, people.marketing, name="shop")


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def asked(database: Database, team: Team, question: str = "Who?", **values: Any) -> Generation:
    values = {"cache_key": "a" * 64, "latency_ms": 2000, "cost_usd": Decimal("0.01")} | values
    return GenerationFactory(team=team, database=database, question=question, **values)


def hit(database: Database, team: Team, question: str = "Who?", **values: Any) -> Generation:
    values = {"latency_ms": 10, "cost_usd": Decimal("0.0000000625"), "saved_usd": Decimal("0.01")} | values
    return asked(database, team, question, cached=True, **values)


def looked(client: Client, page: str, days: dict[str, str] | None = None) -> str:
    """A page as it is once the worker has counted."""
    days_count(timezone.now())
    return text(client.get(page, days or {}))


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def cells(shown: str, region: str) -> list[list[str]]:
    """The rows of a table of the page, each as the texts of its cells."""
    (table,) = re.findall(rf'aria-label="{region}">.*?<tbody>(.*?)</tbody>', shown, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
    ]


@pytest.mark.django_db
def test_the_page_counts_questions_hits_money_and_time_from_the_rows(
    alice: Client, people: People, shop_db: Database
) -> None:
    asked(shop_db, people.sales, latency_ms=1000)
    asked(shop_db, people.sales, latency_ms=3000)
    for _ in range(5):
        hit(shop_db, people.sales)
    asked(shop_db, people.sales, status="failed", latency_ms=90_000)
    asked(shop_db, people.sales, status="running", latency_ms=None)
    asked(shop_db, people.sales, "Of an evaluation", cache_key="")
    asked(shop_db, people.marketing, "Mallory's")
    shown = looked(alice, PAGE)
    # 0.05 less five times the store's price; five times 2 s less 10 ms; what failed is a question without a hit.
    assert cells(shown, "By database") == [["shop", "8", "5", "62.5 %", "$0.0500", "9.9 s"]]
    assert cells(shown, "Cached beside uncached") == [
        ["from the cache", "5", "10 ms", "10 ms", "$0.0000000625", "$0.0000003125"],
        ["by Claude", "2", "2,000 ms", "2,900 ms", "$0.01", "$0.02"],
    ]
    ((question, times, hits, saved, _),) = cells(shown, "Most asked")
    assert (question, times, hits, saved) == ("Who?", "8", "5", "$0.0500")
    assert "Mallory" not in shown.partition("<main")[2]
    assert "Of an evaluation" not in shown
    rows = cells(looked(alice, LIST), "By team and database")
    assert rows == [["Sales", "shop", "8", "5", "62.5 %", "$0.0500", "9.9 s"]]
    both = cells(looked(people.signed_in(people.root), LIST), "By team and database")
    assert both == [["Marketing", "shop", "1", "0", "0.0 %", "$0.0000", "0.0 s"], *rows]


@pytest.mark.django_db
def test_only_hits_tell_no_time_saved(alice: Client, people: People, shop_db: Database) -> None:
    hit(shop_db, people.sales)
    shown = looked(alice, PAGE)
    assert cells(shown, "By database")[0][-1] == "–"
    assert [row[0] for row in cells(shown, "Cached beside uncached")] == ["from the cache"]


@pytest.mark.django_db
def test_a_team_that_asked_nothing_is_told_so(alice: Client, people: People) -> None:
    shown = looked(alice, PAGE)
    assert "Nothing was asked in these days." in shown
    assert "Nothing was answered in these days." in shown
    assert "Nothing was asked in these days." in looked(alice, LIST)


@pytest.mark.django_db
def test_one_database_is_shown_by_itself(alice: Client, people: People, shop: Path, shop_db: Database) -> None:
    twin = stored_database(shop, people.sales, name="twin")
    asked(shop_db, people.sales, "Of the shop")
    asked(twin, people.sales, "Of the twin")
    shown = looked(alice, PAGE, {"database": "twin"})
    assert [row[0] for row in cells(shown, "Most asked")] == ["Of the twin"]
    assert [row[0] for row in cells(shown, "By database")] == ["shop", "twin"]
    for nothing in ("nowhere", "nul\0", "'"):
        shown = looked(alice, PAGE, {"database": nothing})
        assert {row[0] for row in cells(shown, "Most asked")} == {"Of the shop", "Of the twin"}


@pytest.mark.django_db
def test_the_days_are_the_last_thirty_of_the_teams_clock_unless_told(
    alice: Client, people: People, shop_db: Database
) -> None:
    Team.objects.filter(pk="sales").update(time_zone="Pacific/Auckland")
    zone = ZoneInfo("Pacific/Auckland")
    today = timezone.now().astimezone(zone).date()
    shown = looked(alice, PAGE)
    assert f'name="from" value="{today - timedelta(days=29)}"' in shown
    assert f'name="to" value="{today}"' in shown
    midnight = datetime(2026, 11, 22, 11, tzinfo=UTC)  # of the 23rd in Auckland
    asked(shop_db, people.sales, "Before", created_at=midnight - timedelta(seconds=1))
    asked(shop_db, people.sales, "First", created_at=midnight)
    asked(shop_db, people.sales, "Last", created_at=midnight + timedelta(hours=24, seconds=-1))
    asked(shop_db, people.sales, "After", created_at=midnight + timedelta(hours=24))
    days = {"from": "2026-11-23", "to": "2026-11-23"}
    assert {row[0] for row in cells(looked(alice, PAGE, days), "Most asked")} == {"First", "Last"}
    assert cells(looked(alice, LIST, days), "By team and database")[0][2] == "2"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "days",
    [
        ("yesterday", "today"), ("2026-11-30", "2026-11-01"), ("2026-08-30", "2026-11-30"), ("0001-01-01", ""),
        ("", "0001-01-01"), ("9999-12-31", "9999-12-31"), ("2026-13-01", ""),
    ],
)  # fmt: skip
def test_days_that_cannot_be_shown_are_told_and_the_usual_ones_are_shown(
    days: tuple[str, str], alice: Client, people: People
) -> None:
    for page in (LIST, PAGE):
        shown = looked(alice, page, {"from": days[0], "to": days[1]})
        assert 'role="alert"' in shown
        assert f'name="to" value="{timezone.now():%Y-%m-%d}"' in shown


@pytest.mark.django_db
def test_ninety_two_days_are_shown(alice: Client, people: People) -> None:
    assert 'role="alert"' not in looked(alice, PAGE, {"from": "2026-08-31", "to": "2026-11-30"})


@pytest.mark.django_db
def test_the_same_question_in_other_letters_is_counted_as_one(people: People, shop_db: Database) -> None:
    now = timezone.now()
    for number, question in enumerate(("Wie groß?", "WIE GROSS", " wie  groß ?")):
        asked(shop_db, people.sales, question, cache_key=f"{number}" * 64, created_at=now - timedelta(hours=number))
    hit(shop_db, people.sales, "wie gross!")
    for _ in range(2):
        asked(shop_db, people.sales, "Who?")
    most, stale = questions_ranked(days_of(people.sales))
    assert [(one.asked, one.hits) for one in most] == [(4, 1), (2, 0)]
    assert most[0].saved_usd == Decimal("0.01") - Decimal("0.0000000625")
    assert stale == []


def days_of(team: Team) -> Any:
    today = timezone.now().date()
    return questions_asked(team, first_day=today - timedelta(days=1), last_day=today)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema_version": "b" * 16}, "the tables changed"),
        ({"glossary_number": 7}, "the glossary changed"),
        ({"prompt_version": "another"}, "the rules changed"),
        ({"model": "claude-haiku-5-5"}, "another model was asked"),
        ({"answered_by": "claude"}, "the stand-in or Claude took the other's place"),
        ({}, NOT_TOLD),
        ({"model": "claude-opus-5-5", "rung": "repair"}, NOT_TOLD),
        ({"cache_key": "a" * 64}, NOT_KEPT),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_question_always_missed_is_stale_for_a_reason(
    change: dict[str, Any], why: str, people: People, shop_db: Database
) -> None:
    for _ in range(2):
        asked(shop_db, people.sales, "Who?")
    asked(shop_db, people.sales, "who", **({"cache_key": "b" * 64} | change))
    _, (stale,) = questions_ranked(days_of(people.sales))
    assert (stale.asked, stale.cost_usd, stale.why) == (3, Decimal("0.03"), (why,))


@pytest.mark.django_db
def test_what_is_stale_is_on_the_page(alice: Client, people: People, shop_db: Database) -> None:
    for number in range(3):
        key = f"{number}" * 64
        asked(shop_db, people.sales, "Who <b>buys</b>?", cache_key=key, schema_version=key[:16], glossary_number=number)
    ((question, times, cost, _, why),) = cells(looked(alice, PAGE), "Stale questions")
    assert (question, times, cost) == ("Who &lt;b&gt;buys&lt;/b&gt;?", "3", "$0.0300")
    assert why == "the tables changed; the glossary changed"


@pytest.mark.django_db
def test_follow_ups_failures_and_rare_questions_are_not_stale(people: People, shop_db: Database) -> None:
    first = asked(shop_db, people.sales, "Who buys?")
    for number in range(3):
        asked(shop_db, people.sales, "And by month?", parent=first, cache_key=f"{number}" * 64)
        asked(shop_db, people.sales, "What fails?", status="failed", cache_key=f"{number}" * 64)
    asked(shop_db, people.sales, "Who buys?", cache_key="c" * 64)
    assert questions_ranked(days_of(people.sales))[1] == []


@pytest.mark.django_db
def test_the_page_costs_as_many_queries_for_many_rows_as_for_one(
    people: People, alice: Client, shop: Path, shop_db: Database
) -> None:
    asked(shop_db, people.sales)
    pages = (PAGE, LIST)

    def counted() -> list[int]:
        found = []
        for page in pages:
            with CaptureQueriesContext(connection) as queries:
                looked(alice, page)
            found.append(len(queries))
        return found

    counted()
    few = counted()
    for number in range(4):
        other = stored_database(shop, people.sales, name=f"other_{number}")
        for place in range(5):
            asked(other, people.sales, f"Question {place}?", cache_key=f"{place}" * 64)
    assert counted() == few


@pytest.mark.django_db
def test_no_more_texts_are_read_than_agreed(people: People, shop_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "TEXTS_READ", 2)
    for number, question in enumerate(("Once?", "Twice?", "Thrice?")):
        for _ in range(number + 1):
            asked(shop_db, people.sales, question)
    most, _ = questions_ranked(days_of(people.sales))
    assert [one.question for one in most] == ["Thrice?", "Twice?"]


@pytest.mark.django_db
def test_percentiles_are_those_of_the_database_server(people: People, shop_db: Database) -> None:
    for milliseconds in (1, 2, 3, 4, 100):
        asked(shop_db, people.sales, latency_ms=milliseconds)
    found = Generation.objects.aggregate(p=Percentile("latency_ms", fraction=0.25))
    assert found["p"] == 2.0


@pytest.mark.django_db
def test_another_teams_page_is_like_one_that_does_not_exist(people: People) -> None:
    mallory = people.signed_in(people.mallory)
    assert mallory.get(PAGE).status_code == mallory.get(f"{LIST}nobody/").status_code == 404


@pytest.mark.django_db
def test_an_admin_is_told_where_the_cache_is(people: People, alice: Client, settings: Settings) -> None:
    root = people.signed_in(people.root)
    assert "PostgreSQL. A hit costs nothing." in looked(root, LIST)
    assert "PostgreSQL" not in looked(alice, LIST)
    settings.ENABLE_CACHE = False
    assert "switched off" in looked(alice, LIST)


@pytest.mark.django_db(transaction=True)
def test_a_store_that_is_down_is_told_and_the_figures_are_shown(
    people: People, alice: Client, shop_db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    settings.CACHE_TABLE_NAME, settings.AWS_REGION = "answers", "eu-central-1"
    settings.DYNAMODB_ENDPOINT_URL = closed_port_url()
    hit(shop_db, people.sales)
    shown = looked(people.signed_in(people.root), LIST)
    assert "DynamoDB, table answers. A hit of up to 4 KB costs $0.0000000625." in shown
    assert "DynamoDB cannot be reached" in shown
    assert cells(shown, "By team and database")[0][:3] == ["Sales", "shop", "1"]
    shown = looked(alice, LIST)
    assert "The store does not answer" in shown
    assert settings.DYNAMODB_ENDPOINT_URL not in shown
