"""Asking, following up, checking edited SQL, running it, keeping the rows and the question."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from feedback.models import Feedback
from tests.ask.conftest import SQL, Place
from tests.events import events_of
from tests.factories import BudgetFactory
from text2sql.api.parsers import BODY_BYTES
from text2sql.ask.saved_questions import MOST_SAVED
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import DatabaseAccess, Execution, Generation, SavedQuestion

ASK = {"question": "Who are the customers?", "session_id": "sitting"}
STREAM = {"Accept": "text/event-stream"}


def kind(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def test_a_question_is_streamed_and_is_the_person_s_own(place: Place, claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="All of them.")
    answer = place.bob.post("questions", ASK, **STREAM)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    told = events_of(answer)
    assert [event.name for event in told][:2] == ["context", "attempt"]
    assert [event.name for event in told][-2:] == ["result", "done"]
    generation = Generation.objects.get()
    assert (generation.user, generation.team, generation.api_key) == (place.people.bob, place.people.sales, None)
    assert (generation.session_id, generation.end_user, generation.sql) == ("sitting", "", SQL)


def test_a_follow_up_follows_the_answer_on_the_screen(place: Place, claude: ClaudeStandIn) -> None:
    first = place.generation(place.people.bob)
    claude.play("answer", sql=SQL, explanation="x")
    events_of(place.bob.post("questions", {**ASK, "question": "Only the north?", "parent_id": str(first.pk)}, **STREAM))
    assert Generation.objects.exclude(pk=first.pk).get().parent == first


def test_nobody_follows_what_a_colleague_or_nobody_asked(place: Place) -> None:
    hers = place.generation(place.people.alice)
    for parent in (hers.pk, uuid4()):
        answer = place.bob.post("questions", {**ASK, "parent_id": str(parent)}, **STREAM)
        assert kind(answer) == (404, "not-found")


def test_a_spent_budget_is_a_problem_of_its_own_status(place: Place, claude: ClaudeStandIn) -> None:
    BudgetFactory(team=place.people.sales, limit_usd=Decimal("0.000001"))
    answer = place.bob.post("questions", ASK, **STREAM)
    assert kind(answer) == (402, "request-too-expensive")
    assert claude.requests == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", (400, "bad-request")),
        (b"\xff\xfe", (400, "bad-request")),
        ({"question": "", "session_id": "x"}, (400, "invalid-request")),
        ({"question": "x" * 2001, "session_id": "x"}, (400, "invalid-request")),
        ({"question": "x", "session_id": "x" * 65}, (400, "invalid-request")),
        ({"question": "x", "session_id": "\0"}, (400, "invalid-request")),
        ({**ASK, "parent_id": "no"}, (400, "invalid-request")),
        (["x"], (400, "invalid-request")),
        ("[" * 100_000, (400, "bad-request")),
        ({"question": "x" * BODY_BYTES}, (413, "too-large")),
    ],
    ids=range(10),
)
def test_what_cannot_be_asked_is_said(body: Any, problem: tuple[int, str], place: Place) -> None:
    assert kind(place.bob.post("questions", body, **STREAM)) == problem


def test_edited_sql_is_checked_without_being_run(place: Place) -> None:
    good = place.bob.post("check", {"sql": SQL}).json()
    assert good == {"ok": True, "refused": False, "finding": None}
    misspelt = place.bob.post("check", {"sql": "SELECT nam FROM customers"}).json()
    assert (misspelt["ok"], misspelt["finding"]["closest"]) == (False, ["customers.name"])
    refused = place.bob.post("check", {"sql": "DELETE FROM customers"}).json()
    assert (refused["ok"], refused["refused"]) == (False, True)
    assert refused["finding"]["message"]
    assert not Execution.objects.exists()


def test_what_the_team_may_not_see_is_refused_at_the_check_and_at_the_run(place: Place) -> None:
    generation = place.generation(place.people.bob)
    DatabaseAccess.objects.update(hidden_columns=["customers.email"])
    sql = {"sql": "SELECT email FROM customers"}
    assert place.bob.post("check", sql).json()["refused"]
    assert kind(place.bob.post(f"generations/{generation.pk}/execute", sql)) == (422, "sql-refused")


def test_sql_is_run_as_answered_and_as_edited(place: Place) -> None:
    generation = place.generation(place.people.bob)
    path = f"generations/{generation.pk}/execute"
    answer = place.bob.post(path)
    assert answer.json()["rows"] == [["Ada"], ["Bert"]]
    assert answer.headers["Cache-Control"] == "no-store"
    assert place.bob.post(path, {"sql": "SELECT region FROM customers"}).json()["rows"] == [["north"], ["south"]]
    edited = Execution.objects.latest("executed_at")
    assert (edited.actor, edited.sql) == ("user:bob", "SELECT region FROM customers")


def test_rows_are_fetched_as_a_file_that_a_spreadsheet_does_not_compute(place: Place) -> None:
    generation = place.generation(place.people.bob, sql="SELECT '=1+1' AS \"=cmd\", -5 AS less, 'Ä' AS letter")
    answer = place.bob.post(f"generations/{generation.pk}/execute", Accept="text/csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="shop-{str(generation.pk)[:8]}.csv"'
    text = b"".join(answer.streaming_content).decode()
    assert text == "\ufeff'=cmd,less,letter\r\n'=1+1,-5,Ä\r\n"


@pytest.mark.parametrize("path", ["execute", "feedback"])
def test_a_colleague_s_answer_is_like_none(path: str, place: Place) -> None:
    hers = place.generation(place.people.alice)
    answers = [place.bob.post(f"generations/{id_}/{path}", {"rating": "up"}) for id_ in (hers.pk, uuid4())]
    assert [kind(answer) for answer in answers] == [(404, "not-found")] * 2
    assert answers[0].json() == answers[1].json()


def test_a_person_rates_in_their_own_name_only(place: Place) -> None:
    generation = place.generation(place.people.bob)
    path = f"generations/{generation.pk}/feedback"
    place.bob.post(path, {"rating": "up", "end_user": "alice"})
    given = {"rating": "down", "comment": "Not these.", "corrected_sql": "SELECT nam FROM customers"}
    answer = place.bob.post(path, given)
    feedback = Feedback.objects.get()
    assert (feedback.author, feedback.rating, feedback.comment) == ("user:bob", "down", "Not these.")
    assert "nam" in answer.json()["findings"][0]["message"]


def test_questions_are_saved_once_and_removed(place: Place) -> None:
    place.bob.post("saved", {"question": "Who <buys> most?"})
    answer = place.bob.post("saved", {"question": "Who <buys> most?"})
    assert answer.content.count(b"Who &lt;buys&gt; most?") == 3  # the text, what is asked, and the button's name
    saved = SavedQuestion.objects.get()
    assert place.alice.delete(f"saved/{saved.pk}").status_code == 404
    assert b"Who" not in place.alice.get().content.split(b'id="saved"')[1].split(b'id="history"')[0]
    assert b"None yet" in place.bob.delete(f"saved/{saved.pk}").content
    assert kind(place.bob.delete(f"saved/{saved.pk}")) == (404, "not-found")


def test_saved_questions_have_an_end(place: Place) -> None:
    access = DatabaseAccess.objects.get()
    rows = [SavedQuestion(user=place.people.bob, access=access, question=f"{n}?") for n in range(MOST_SAVED)]
    SavedQuestion.objects.bulk_create(rows)
    assert kind(place.bob.post("saved", {"question": "One more?"})) == (409, "conflict")
