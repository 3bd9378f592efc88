"""One voice per person, the last word wins, and a thumbs-down takes the answer out of the cache."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from feedback.models import Feedback
from observability.models import Score
from tests.clients import ApiClient
from tests.factories import GenerationFactory, TeamFactory, UserFactory, make_key
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.cache.answers import answer_cache
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import ExampleUse, Generation
from text2sql.models.cache_entries import CacheEntry, CacheRemoval
from text2sql.services.examples import example_publish
from text2sql.services.forgetting import removals_run

SQL = "SELECT name FROM customers"


@pytest.fixture
def answered(shopper: Shopper, claude: ClaudeStandIn) -> Generation:
    claude.play("answer", sql=SQL, explanation="x")
    response = shopper.api.post("generate", {"database": "shop", "question": "Who?"})
    return Generation.objects.get(pk=response.json()["id"])


def give(shopper: Shopper, generation: Generation, **opinion: Any) -> Any:
    return shopper.api.post(f"generations/{generation.pk}/feedback", {"rating": "up", **opinion})


def test_an_opinion_is_recorded_with_its_score(
    shopper: Shopper, answered: Generation, langfuse: LangfuseStandIn
) -> None:
    given = give(shopper, answered, comment="Right.", end_user="nina")
    assert given.status_code == 200
    assert set(given.json()) == {
        "id", "generation_id", "question", "database", "rating", "comment", "corrected_sql", "findings", "author",
        "state", "review_note", "example_id", "created_at", "updated_at",
    }  # fmt: skip
    assert (given.json()["author"], given.json()["state"]) == ("nina", "new")
    assert (given.json()["generation_id"], given.json()["question"]) == (str(answered.pk), "Who?")
    score = Score.objects.get(name="user_feedback")
    assert (score.trace_id, score.name, score.value, score.comment) == (answered.trace_id, "user_feedback", 1, "Right.")
    assert CacheEntry.objects.count() == 1


def test_one_person_has_one_voice_and_the_last_word_wins(
    shopper: Shopper, answered: Generation, langfuse: LangfuseStandIn
) -> None:
    first = give(shopper, answered, end_user="nina", comment="Fine").json()
    Feedback.objects.update(state="approved", review_note="Fine.", reviewed_by=UserFactory(), finding={"code": "x"})
    again = give(shopper, answered, end_user="nina", rating="down", corrected_sql="SELECT 1").json()
    assert again["id"] == first["id"]
    stored = Feedback.objects.get()
    assert (stored.rating, stored.comment, stored.corrected_sql) == ("down", "", "SELECT 1")
    # It waits for review anew.
    assert (stored.state, stored.review_note, stored.reviewed_by, stored.finding) == ("new", "", None, None)
    assert Score.objects.get(name="user_feedback").value == 0
    give(shopper, answered, end_user="otto")
    assert Feedback.objects.count() == Score.objects.filter(name="user_feedback").count() == 2


def test_who_is_not_named_speaks_as_the_asker_or_as_the_key(shopper: Shopper) -> None:
    named = GenerationFactory(team=shopper.team, database=shopper.database, end_user="paula")
    nameless = GenerationFactory(team=shopper.team, database=shopper.database)
    assert give(shopper, named).json()["author"] == "paula"
    assert give(shopper, nameless).json()["author"] == shopper.principal.actor


def test_a_thumbs_down_takes_the_answer_out_of_the_cache_and_a_thumbs_up_does_not(
    shopper: Shopper, answered: Generation, claude: ClaudeStandIn
) -> None:
    ask = {"database": "shop", "question": "Who?"}
    give(shopper, answered)
    cached = shopper.api.post("generate", ask).json()
    assert cached["cached"]
    # Said about the cached answer, it hits the entry that gave it.
    give(shopper, Generation.objects.get(pk=cached["id"]), rating="down")
    assert not CacheEntry.objects.exists()
    claude.play("answer", sql=SQL, explanation="anew")
    assert not shopper.api.post("generate", ask).json()["cached"]


def test_a_thumbs_down_on_what_was_never_cached_leaves_nothing_to_take_out(shopper: Shopper) -> None:
    failed = GenerationFactory(team=shopper.team, database=shopper.database, status="failed", sql="", cache_key="")
    assert give(shopper, failed, rating="down").status_code == 200
    assert not CacheRemoval.objects.filter(done_at=None).exists()


def test_the_examples_that_the_answer_was_shown_are_rated_with_it(shopper: Shopper, answered: Generation) -> None:
    example = example_publish(
        access=shopper.database.accesses.get(), question="Who?", sql=SQL, tables=["customers"], generation=None,
        actor="test",
    )  # fmt: skip
    used = ExampleUse.objects.create(example=example, generation=answered)
    for rating in ("up", "down"):
        give(shopper, answered, rating=rating)
        used.refresh_from_db()
        assert used.rating == rating


@pytest.mark.parametrize("status", ["queued", "running"])
def test_an_unfinished_answer_cannot_be_rated(shopper: Shopper, status: str) -> None:
    generation = GenerationFactory(team=shopper.team, database=shopper.database, status=status, sql="")
    assert_problem(give(shopper, generation), 409, "conflict")
    assert not Feedback.objects.exists()


@pytest.mark.parametrize("status", ["failed", "clarify", "cannot_answer"])
def test_where_there_is_no_sql_there_is_a_rating_and_no_correction(shopper: Shopper, status: str) -> None:
    generation = GenerationFactory(team=shopper.team, database=shopper.database, status=status, sql="")
    assert_problem(give(shopper, generation, rating="down", corrected_sql="SELECT 1"), 409, "conflict")
    assert not Feedback.objects.exists()
    assert give(shopper, generation, rating="down").status_code == 200
    assert Feedback.objects.get().rating == "down"


def break_the_cache(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point the cache at a DynamoDB that nobody is."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    settings.CACHE_TABLE_NAME, settings.DYNAMODB_ENDPOINT_URL = "answers", "http://127.0.0.1:1"
    answer_cache.cache_clear()


def test_with_the_cache_down_the_opinion_is_still_recorded(
    shopper: Shopper, settings: Settings, langfuse: LangfuseStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    break_the_cache(settings, monkeypatch, tmp_path)
    generation = GenerationFactory(team=shopper.team, database=shopper.database, cache_key="0" * 64)
    assert give(shopper, generation, rating="down").status_code == 200
    assert Feedback.objects.get().rating == "down"
    assert Score.objects.get(name="user_feedback").value == 0
    assert CacheRemoval.objects.get().cache_key == generation.cache_key


def test_what_could_not_be_taken_out_of_the_cache_is_taken_out_later(
    shopper: Shopper, answered: Generation, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The store is down during the thumbs-down and up again when the schedule looks."""
    stored = settings.CACHE_TABLE_NAME
    break_the_cache(settings, monkeypatch, tmp_path)
    give(shopper, answered, rating="down")
    assert removals_run() == 0
    settings.CACHE_TABLE_NAME = stored
    answer_cache.cache_clear()
    assert CacheEntry.objects.exists()
    assert removals_run() == 1
    assert not CacheEntry.objects.exists()
    assert not CacheRemoval.objects.filter(done_at=None).exists()


def test_a_question_is_answered_though_the_cache_is_down(
    shopper: Shopper, claude: ClaudeStandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    break_the_cache(settings, monkeypatch, tmp_path)
    claude.play("answer", sql=SQL, explanation="x")
    answer = shopper.api.post("generate", {"database": "shop", "question": "Who?"})
    assert (answer.status_code, answer.json()["sql"]) == (200, SQL)


@pytest.mark.parametrize(
    ("opinion", "field"),
    [
        ({"rating": "sideways"}, "rating"),
        ({"rating": None}, "rating"),
        ({"comment": "x" * 2001}, "comment"),
        ({"corrected_sql": "x" * 20_001}, "corrected_sql"),
        ({"end_user": "x" * 201}, "end_user"),
        ({"rating": "u\0p"}, "rating"),
        ({"comment": "nul \0"}, "comment"),
        ({"corrected_sql": "SELECT '\0'"}, "corrected_sql"),
        ({"end_user": "nina\0"}, "end_user"),
    ],
)
def test_what_is_not_valid_is_not_recorded(shopper: Shopper, opinion: dict[str, Any], field: str) -> None:
    generation = GenerationFactory(team=shopper.team, database=shopper.database)
    document = assert_problem(give(shopper, generation, **opinion), 400, "invalid-request")
    assert [error["field"] for error in document["errors"]] == [field]
    assert not Feedback.objects.exists()


def test_another_teams_answer_cannot_be_rated(shopper: Shopper) -> None:
    generation = GenerationFactory(team=shopper.team, database=shopper.database)
    other = ApiClient(make_key(TeamFactory(slug="marketing"))[1])
    theirs = other.post(f"generations/{generation.pk}/feedback", {"rating": "down"})
    missing = other.post(f"generations/{uuid4()}/feedback", {"rating": "down"})
    assert_problem(theirs, 404, "not-found")
    assert theirs.content == missing.content
    assert not Feedback.objects.exists()
