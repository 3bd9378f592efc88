"""The list of questions: found by what they are, counted only so far, and told by sessions."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from teams.admin import lists
from tests.factories import FeedbackFactory, GenerationFactory, MembershipFactory
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.admin.generations import GenerationAdmin, list_views
from text2sql.models import Generation

pytestmark = pytest.mark.django_db

LIST = "/admin/text2sql/generation/"
SESSIONS = "/admin/sessions/"
Ask = Callable[..., Generation]


@pytest.fixture
def ask(people: People, shop: Path) -> Ask:
    database = stored_database(shop, people.sales, people.marketing, name="shop")

    def made(question: str = "How many?", **values: Any) -> Generation:
        generation: Generation = GenerationFactory(
            question=question, **{"team": people.sales, "database": database, **values}
        )
        return generation

    return made


@pytest.fixture
def root(people: People) -> Client:
    return people.signed_in(people.root)


def found(client: Client, query: str) -> list[Generation]:
    answer = client.get(f"{LIST}?{query}")
    assert answer.status_code == 200, query
    return list(answer.context["cl"].result_list)


def test_each_filter_finds_its_questions(root: Client, ask: Ask) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    plain = ask(created_at=noon - timedelta(days=3), cost_usd=Decimal("0.001"), latency_ms=100)
    dear = ask(created_at=noon, cost_usd=Decimal("0.5"), latency_ms=9000, session_id="abc", end_user="ada lovelace")
    open_one = ask(created_at=noon - timedelta(days=1), latency_ms=None, model="claude-opus-5-5", status="running")
    for query, expected in {
        "created_at__gte=2026-03-01": [dear],
        "created_at__gte=2026-02-28T13:00%2B01:00&created_at__lt=2026-03-01T12:00": [open_one],
        "session_id=abc": [dear], "session_id=ab": [], "end_user=ada+lovelace": [dear],
        "cost_usd__gte=0.1": [dear], "cost_usd__lte=0.001&latency_ms__lte=100": [plain],
        "latency_ms__gte=100": [dear, plain], "model=claude-opus-5-5": [open_one],
        "status__exact=running": [open_one],
    }.items():  # fmt: skip
        assert found(root, query) == expected, query


def test_feedback_is_a_filter_too(root: Client, ask: Ask) -> None:
    up, down, none = ask(), ask(), ask()
    FeedbackFactory(generation=up, rating="up")
    FeedbackFactory.create_batch(2, generation=down)
    assert set(found(root, "feedback=any")) == {up, down}
    assert found(root, "feedback=up") == [up]
    assert found(root, "feedback=down") == [down]
    assert found(root, "feedback=none") == [none]


@pytest.mark.parametrize(
    "query",
    [
        "cost_usd__gte=much", "cost_usd__gte=NaN", "created_at__gte=2026-13-01", "created_at__lt=soon",
        "created_at__gte=0001-01-01T00:00%2B23:00", "session_id=a%00b",
    ],
)  # fmt: skip
def test_a_filter_that_says_nothing_leads_back_to_the_list(root: Client, query: str) -> None:
    answer = root.get(f"{LIST}?{query}")
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?e=1")


@pytest.mark.parametrize("query", ["api_key__prefix__startswith=t2s", "cache_key=x", "user__password__startswith=p"])
def test_what_is_no_filter_of_the_page_is_refused(root: Client, query: str) -> None:
    assert root.get(f"{LIST}?{query}").status_code == 400


def test_a_form_of_filters_keeps_what_was_asked(root: Client, ask: Ask) -> None:
    ask(cost_usd=Decimal(1))
    html = root.get(f"{LIST}?cost_usd__gte=0.5&created_at__gte=2026-03-01T01:00%2B01:00").content.decode()
    assert 'name="cost_usd__gte" value="0.5"' in html
    assert 'name="created_at__gte" value="2026-03-01T00:00"' in html


def test_words_of_question_and_sql_are_found_wherever_they_stand(root: Client, ask: Ask) -> None:
    by_words = ask("Was kostete Müllers Auftrag C1000?", sql="SELECT sum(o.amount) FROM order_items AS o")
    other = ask("Who bought it?", sql="SELECT name FROM customers")
    for words in ("müllers", "AUFTRAG c1000", "amount", "items sum", "o.amou", "order_items", "c10", "sum(o.am"):
        assert found(root, f"q={words}") == [by_words], words
    for words in ("uftrag", "amou sum", "!!", "' | names", "kostete name"):
        assert found(root, f"q={words}") == [], words
    assert found(root, "q=name:*") == [other]
    assert len(found(root, "q=")) == 2


def test_the_search_is_served_by_its_index(ask: Ask) -> None:
    ask("Anything")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = Generation.objects.order_by().with_words("revenue eur").explain()
    assert "generation_words" in plan


@pytest.mark.parametrize("column", ["rounded_cost", "latency_ms", "created_at"])
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("who", ["root", "alice"])
def test_what_a_list_is_sorted_by_comes_from_an_index(
    people: People, ask: Ask, column: str, sign: str, who: str
) -> None:
    for number in range(3):
        ask(cost_usd=Decimal(number % 2), latency_ms=number % 2)
    client = people.signed_in(getattr(people, who))
    query = f"o={sign}{GenerationAdmin.list_display.index(column)}"
    rows = client.get(f"{LIST}?{query}").context["cl"].queryset
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
    assert "Sort" not in rows.select_related(None)[:30].explain()


def test_a_long_list_is_not_counted_to_its_end(
    root: Client, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    for number in range(4):
        ask(f"Question {number}?")
    monkeypatch.setattr(lists, "COUNTED", 3)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        html = root.get(LIST).content.decode()
    assert "more than 3" in html
    counts = [query["sql"] for query in queries if "COUNT(*)" in query["sql"] and "text2sql_generation" in query["sql"]]
    assert counts
    assert all("LIMIT 4" in sql for sql in counts)
    Generation.objects.all()[0].delete()
    assert "more than" not in root.get(LIST).content.decode()


def test_the_list_asks_as_much_of_the_database_for_many_rows_as_for_few(root: Client, ask: Ask) -> None:
    ask()
    with CaptureQueriesContext(connection) as few:
        root.get(LIST)
    for _ in range(10):
        ask()
    with CaptureQueriesContext(connection) as many:
        root.get(LIST)
    assert len(many) == len(few)


def test_the_tabs_lead_to_what_they_say(root: Client, ask: Ask) -> None:
    cheap = ask(cost_usd=Decimal("0.1"), latency_ms=9000)
    dear = ask(cost_usd=Decimal(1), latency_ms=10)
    failed = ask(status="failed", problem_detail="Claude is away.", latency_ms=500, cost_usd=Decimal(0))
    ask(status="running", latency_ms=None, cost_usd=Decimal(0))
    answer = root.get(LIST)
    tabs = {view["title"]: view["link"] for view in list_views(answer.wsgi_request)}
    for title, expected in {"Most expensive": dear, "Slowest": cheap, "Failed": failed}.items():
        page = root.get(tabs[title])
        assert page.context["cl"].result_list[0] == expected, title
        assert [view["title"] for view in page.context["list_views"] if view["active"]] == [title]
    assert "Claude is away." in root.get(tabs["Failed"]).content.decode()
    assert tabs["Sessions"] == SESSIONS


def test_a_trace_is_linked_where_langfuse_is_configured(root: Client, ask: Ask, settings: Settings) -> None:
    generation = ask()
    link = f"https://traces.example.com/trace/{generation.trace_id}"
    pages = (LIST, f"{LIST}{generation.pk}/change/")
    assert all(f"/trace/{generation.trace_id}" not in root.get(page).content.decode() for page in pages)
    settings.LANGFUSE_PUBLIC_KEY, settings.LANGFUSE_SECRET_KEY = "pk-lf-1", "sk-lf-1"
    settings.LANGFUSE_BASE_URL = "https://traces.example.com/"
    assert all(link in root.get(page).content.decode() for page in pages)


def sessions(client: Client, query: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(f"{SESSIONS}?{query}").context["rows"]
    return rows


def test_sessions_are_summed_and_the_latest_comes_first(people: People, ask: Ask, root: Client) -> None:
    now = timezone.now()
    for minutes, session in ((50, "one"), (40, "two"), (30, "one"), (20, "")):
        ask(session_id=session, created_at=now - timedelta(minutes=minutes), cost_usd=Decimal("0.25"))
    ask(session_id="one", team=people.marketing, created_at=now - timedelta(minutes=45), cost_usd=Decimal(3))
    rows = sessions(root)
    assert [(row["session_id"], row["team_id"], row["questions"], row["cost"]) for row in rows] == [
        ("one", "sales", 2, "$0.5000"),
        ("two", "sales", 1, "$0.2500"),
        ("one", "marketing", 1, "$3.0000"),
    ]
    assert (rows[0]["first"], rows[0]["last"]) == (now - timedelta(minutes=50), now - timedelta(minutes=30))
    assert [row.created_at for row in root.get(rows[0]["link"]).context["cl"].result_list] == [
        now - timedelta(minutes=30),
        now - timedelta(minutes=50),
    ]


def test_a_lead_sees_the_sessions_of_the_own_team(people: People, ask: Ask) -> None:
    ask(session_id="ours")
    ask(session_id="ours", team=people.marketing)
    ask(session_id="theirs", team=people.marketing)
    assert [(row["session_id"], row["team_id"]) for row in sessions(people.signed_in(people.alice))] == [
        ("ours", "sales")
    ]
    assert people.signed_in(people.alice).get(f"{SESSIONS}?team=marketing").status_code == 404


def test_a_lead_of_two_teams_may_look_at_one_of_them(people: People, ask: Ask) -> None:
    MembershipFactory(team=people.marketing, user=people.alice, role="lead")
    ask(session_id="a")
    ask(session_id="b", team=people.marketing)
    alice = people.signed_in(people.alice)
    assert len(sessions(alice)) == 2
    assert [row["session_id"] for row in sessions(alice, "team=marketing")] == ["b"]


def test_older_sessions_are_on_the_next_page_each_once(root: Client, ask: Ask) -> None:
    now = timezone.now()
    for number in range(35):
        for turn in range(2):
            ask(session_id=f"s{number}", created_at=now - timedelta(minutes=number, seconds=turn))
    first = root.get(SESSIONS)
    second = root.get(f"{SESSIONS}?{first.context['older']}")
    names = [row["session_id"] for page in (first, second) for row in page.context["rows"]]
    assert names == [f"s{number}" for number in range(35)]
    assert second.context["older"] == ""
    assert len(sessions(root, "before=nonsense")) == len(sessions(root, "before=2026-99-99T00:00")) == 30
