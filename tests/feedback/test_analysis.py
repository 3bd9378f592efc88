"""The page Feedback analysis and the menu's count, as leads and admins meet them."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from feedback.admin.badge import feedback_waiting
from feedback.models import Feedback
from teams.models import Team
from tests.factories import FeedbackFactory, GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import Database

pytestmark = pytest.mark.django_db

PAGE, LIST = "/admin/feedback-analysis/", "/admin/feedback/feedback/"


@pytest.fixture
def shops(people: People, shop: Path) -> dict[str, Database]:
    """A database for each team."""
    return {team.pk: stored_database(shop, team, name=f"{team.pk}_db") for team in (people.sales, people.marketing)}


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def said(shops: dict[str, Database], rating: str, team: str = "sales", **values: Any) -> Feedback:
    feedback = {name: values.pop(name) for name in ("updated_at", "comment", "state") if name in values}
    generation = GenerationFactory(team=Team.objects.get(pk=team), database=shops[team], **values)
    return FeedbackFactory(generation=generation, rating=rating, **{"comment": "", **feedback})


def figures(client: Client, query: str = "") -> Any:
    answer = client.get(PAGE + query)
    assert answer.status_code == 200
    return answer.context


def named(rows: list[dict[str, Any]]) -> dict[str, tuple[str, str, str]]:
    return {row["name"]: (row["ups"], row["downs"], row["share"]) for row in rows}


def groups(context: Any) -> dict[str, Any]:
    return {group["title"]: named(group["rows"]) for group in context["groups"]}


def test_satisfaction_by_team_database_model_prompt_and_week(people: People, shops: dict[str, Database]) -> None:
    # Sunday is the last day of a week.
    monday = datetime(2026, 11, 16, 0, 0, tzinfo=UTC)
    said(shops, "up", model="opus", prompt_version="v1", updated_at=monday)
    said(shops, "up", model="opus", prompt_version="v2", updated_at=monday - timedelta(seconds=1))
    said(shops, "down", model="sonnet", prompt_version="v2", updated_at=monday + timedelta(days=6))
    said(shops, "down", "marketing", model="sonnet", prompt_version="v2", updated_at=monday)
    found = figures(people.signed_in(people.root), "?from=2026-11-09&to=2026-11-22")
    assert (found["total"]["ups"], found["total"]["downs"], found["total"]["share"]) == ("2", "2", "50 %")
    assert groups(found) == {
        "Team": {"Sales": ("2", "1", "67 %"), "Marketing": ("0", "1", "0 %")},
        "Database": {"sales_db": ("2", "1", "67 %"), "marketing_db": ("0", "1", "0 %")},
        "Model": {"opus": ("2", "0", "100 %"), "sonnet": ("0", "2", "0 %")},
        "Prompt version": {"v1": ("1", "0", "100 %"), "v2": ("1", "2", "33 %")},
    }
    assert named(found["weeks"]) == {"2026-11-16": ("1", "2", "33 %"), "2026-11-09": ("1", "0", "100 %")}


def test_a_lead_sees_the_own_teams_only(alice: Client, shops: dict[str, Database]) -> None:
    said(shops, "up", model="opus")
    for _ in range(2):
        said(shops, "down", "marketing", question="How much for Borneo?", model="secret", comment="Borneo is wrong.")
    answer = alice.get(PAGE)
    assert answer.context["total"]["downs"] == "0"
    for text in ("Marketing", "marketing_db", "Borneo", "secret"):
        assert text not in answer.content.decode()
    assert "opus" in answer.content.decode()


def test_without_any_feedback_the_page_says_so(alice: Client, people: People) -> None:
    answer = alice.get(PAGE)
    assert answer.context["total"]["share"] == "–"
    assert "Nothing was rated in these days." in answer.content.decode()


def test_the_last_90_days_are_shown_unless_others_are_asked_for(alice: Client, shops: dict[str, Database]) -> None:
    now = timezone.now()
    said(shops, "up", updated_at=now - timedelta(days=89))
    said(shops, "down", updated_at=now - timedelta(days=91))
    assert figures(alice)["total"]["downs"] == "0"
    assert figures(alice)["total"]["ups"] == "1"
    assert figures(alice, f"?from={now - timedelta(days=92):%Y-%m-%d}")["total"]["downs"] == "1"
    assert figures(alice, f"?to={now - timedelta(days=90):%Y-%m-%d}")["total"]["ups"] == "0"


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday", "from=2026-11-30&to=2026-11-01", "from=0001-01-01&to=0001-01-02", "to=0001-01-01",
        "from=2020-01-01&to=2026-01-01", "from=9999-12-31&to=9999-12-31", "to=2026-13-01", "from=%00",
    ],
)  # fmt: skip
def test_a_span_that_makes_no_sense_is_told_and_the_last_90_days_are_shown(query: str, alice: Client) -> None:
    found = figures(alice, f"?{query}")
    assert "These are the last 90 days." in found["error"]
    assert (found["span"].last_day - found["span"].first_day).days == 89


def test_repeated_thumbs_down_are_one_question_in_other_letters(alice: Client, shops: dict[str, Database]) -> None:
    now = timezone.now()
    said(shops, "down", question="what is our revenue", updated_at=now - timedelta(hours=2))
    said(shops, "down", question="What is  our REVENUE?", updated_at=now - timedelta(hours=1))
    said(shops, "up", question="What is our revenue?")
    said(shops, "down", question="Who left?")
    (repeated,) = figures(alice)["repeated"]
    assert (repeated["row"].question, repeated["row"].downs) == ("What is  our REVENUE?", 2)
    # The link leads to just these.
    listed = alice.get(repeated["link"]).context["cl"].queryset
    assert {row.generation.question for row in listed} == {"what is our revenue", "What is  our REVENUE?"}
    assert {row.rating for row in listed} == {"down"}


def test_the_same_question_to_two_databases_is_two_questions(people: People, shops: dict[str, Database]) -> None:
    said(shops, "down", question="Who?")
    said(shops, "down", "marketing", question="Who?")
    assert figures(people.signed_in(people.root))["repeated"] == []


@pytest.mark.parametrize("question", ['What is "net" & <gross>?', "it's 100%?", "x" * 900, "tab\there"])
def test_the_link_finds_questions_with_odd_characters(alice: Client, shops: dict[str, Database], question: str) -> None:
    for _ in range(2):
        said(shops, "down", question=question)
    said(shops, "down", question="Another one?")
    answer = alice.get(PAGE)
    (repeated,) = answer.context["repeated"]
    (link,) = [unescape(link) for link in re.findall(r'href="([^"]+rating__exact[^"]+)"', answer.content.decode())]
    assert link == repeated["link"]
    assert len(alice.get(link).context["cl"].queryset) == 2


def test_the_newest_comments_lead_to_their_feedback(alice: Client, shops: dict[str, Database]) -> None:
    now = timezone.now()
    older = said(shops, "down", comment="Older <b>words</b>.", updated_at=now - timedelta(hours=1))
    newer = said(shops, "up", comment="Newer words.", updated_at=now)
    said(shops, "up")
    answer = alice.get(PAGE)
    assert answer.context["comments"] == [newer, older]
    assert f"{LIST}{older.pk}/change/" in answer.content.decode()
    assert "<b>words</b>" not in answer.content.decode()


def test_much_feedback_takes_no_more_queries_than_little(
    alice: Client, shops: dict[str, Database], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def more(count: int) -> None:
        for number in range(count):
            said(shops, "down", question=f"Question {number % 5}?", model=f"m{number}", comment="No.")

    more(2)
    with django_assert_max_num_queries(20) as few:
        alice.get(PAGE)
    more(30)
    with django_assert_max_num_queries(len(few)):
        assert len(alice.get(PAGE).context["comments"]) == 20


def badge(client: Client) -> str:
    shown = client.get(LIST).content.decode()
    links = re.findall(rf'<a href="{LIST}"[^>]*>(.*?)</a>', shown, re.DOTALL)
    (item,) = {re.sub(r"<[^>]+>", " ", link) for link in links if "rate_review" in link}
    assert "Feedback" in item
    return str(item.split()[-1])


def test_the_menu_counts_what_waits_for_this_person(people: People, shops: dict[str, Database]) -> None:
    for _ in range(2):
        said(shops, "down")
    said(shops, "down", state="approved")
    said(shops, "down", "marketing")
    assert badge(people.signed_in(people.alice)) == "2"
    assert badge(people.signed_in(people.mallory)) == "1"
    assert badge(people.signed_in(people.root)) == "3"
    Feedback.objects.update(state="rejected")
    assert badge(people.signed_in(people.alice)) == "0"


def test_the_menu_counts_no_further_than_99(
    alice: Client, people: People, shops: dict[str, Database], rf: Any,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    one = said(shops, "down")
    rows = [
        Feedback(generation=one.generation, author=f"a{n}", rating="up", updated_at=timezone.now()) for n in range(98)
    ]
    Feedback.objects.bulk_create(rows)
    assert badge(alice) == "99"
    said(shops, "down")
    assert badge(alice) == "99+"
    request = rf.get("/")
    request.user = people.alice
    with django_assert_max_num_queries(2) as asked:  # who it is, and the count
        assert feedback_waiting(request) == "99+"
    assert "LIMIT 100" in asked.captured_queries[-1]["sql"]


def test_the_analysis_is_in_the_menu(alice: Client) -> None:
    assert f'href="{PAGE}"' in alice.get("/admin/").content.decode()
