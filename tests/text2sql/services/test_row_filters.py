"""A team's row filters hold wherever its SQL runs, and are not in the SQL that people are shown."""

import pytest

from tests.text2sql.services.conftest import Asker, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database, DatabaseAccess
from text2sql.services.executions import execution_run
from text2sql.targets.values import JsonValue

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = "SELECT count(*) AS n FROM customers"


def rows_of(asker: Asker, claude: ClaudeStandIn, sql: str, question: str) -> list[list[JsonValue]]:
    play_sql(claude, sql)
    outcome = execution_run(principal=asker.principal, generation=asker.ask(question))
    assert outcome.result is not None, outcome.problem
    return outcome.result.rows


def test_only_the_rows_that_the_team_may_see_are_counted(asker: Asker, claude: ClaudeStandIn) -> None:
    (every,) = rows_of(asker, claude, COUNT, "All?")[0]
    assert isinstance(every, int)
    DatabaseAccess.objects.update(row_filters={"customers": "id = 1"})
    assert rows_of(asker, claude, COUNT, "Ours?") == [[1]]
    assert every > 1


def test_the_condition_may_look_at_a_column_that_the_team_may_not_see(asker: Asker, claude: ClaudeStandIn) -> None:
    DatabaseAccess.objects.update(row_filters={"customers": "name = 'nobody'"}, hidden_columns=["customers.name"])
    assert rows_of(asker, claude, COUNT, "Ours?") == [[0]]


def test_people_are_shown_the_sql_without_the_condition(asker: Asker, claude: ClaudeStandIn) -> None:
    DatabaseAccess.objects.update(row_filters={"customers": "id = 1"})
    play_sql(claude, COUNT)
    assert "id = 1" not in asker.ask().sql


def test_another_condition_makes_old_answers_another_views(asker: Asker, claude: ClaudeStandIn) -> None:
    play_sql(claude, times=2)
    asker.ask()
    DatabaseAccess.objects.update(row_filters={"customers": "id = 1"})
    assert not asker.ask().cached


def test_a_further_function_is_allowed_where_an_admin_says_so(asker: Asker, claude: ClaudeStandIn) -> None:
    sql = "SELECT my_own(name) AS n FROM customers"
    play_sql(claude, sql, times=3)
    assert asker.problem_of().extras["code"] == "function_not_allowed"
    Database.objects.update(allowed_functions=["my_own"])
    play_sql(claude, sql, times=3)
    assert asker.problem_of().kind == "sql-invalid"  # now only the database does not know it
