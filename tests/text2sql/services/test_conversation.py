"""A question carries the turns before it, of its own team, database and person only."""

from uuid import uuid4

import pytest

from tests.text2sql.services.conftest import SQL, Asker, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation

pytestmark = pytest.mark.django_db(transaction=True)


def told(claude: ClaudeStandIn) -> str:
    return str(claude.requests[-1].body["messages"][0]["content"])


def test_a_follow_up_tells_the_turns_before_it(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=2)
    first = asker.ask("Revenue by country?")
    second = asker.ask("Now only Europe", parent_id=first.pk)
    assert second.parent == first
    assert "Revenue by country?" in told(claude)
    assert SQL in told(claude)


def test_a_session_goes_on_where_it_was(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=2)
    first = asker.ask("Revenue by country?", session_id="s")
    assert asker.ask("Now only Europe", session_id="s").parent == first
    assert "Revenue by country?" in told(claude)


def test_at_most_three_turns_are_told(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=5)
    for number in range(5):
        asker.ask(f"Question {number}?", session_id="s")
    assert "Question 0?" not in told(claude)
    assert all(f"Question {number}?" in told(claude) for number in (1, 2, 3))


def test_the_same_words_after_other_turns_are_another_question(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=4)
    one, other = asker.ask("Revenue?"), asker.ask("Customers?")
    assert not asker.ask("Now only Europe", parent_id=one.pk).cached
    assert not asker.ask("Now only Europe", parent_id=other.pk).cached
    assert asker.ask("Now only Europe", parent_id=other.pk).cached


def test_a_question_repeated_in_its_session_is_the_same_question(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude)
    asker.ask("Revenue?", session_id="s")
    assert asker.ask("Revenue?", session_id="s").cached


def test_another_sessions_turns_are_not_told(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=2)
    asker.ask("Revenue by country?", session_id="s")
    assert asker.ask("Now only Europe", session_id="t").parent is None
    assert "Revenue" not in told(claude)


def test_what_is_not_there_or_of_another_database_cannot_be_followed(asker: Asker, claude: ClaudeStandIn) -> None:
    assert asker.problem_of("And now?", parent_id=uuid4()).kind == "not-found"
    assert not Generation.objects.exists()
    assert claude.requests == []
