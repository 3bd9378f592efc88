"""Running a generation's SQL: read-only, capped, checked against what the team sees now."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from teams.models import Team
from tests.factories import GenerationFactory, TeamFactory, make_key
from tests.text2sql.services.conftest import Asker
from text2sql.models import Database, DatabaseAccess, Execution, Generation
from text2sql.problems import Problem
from text2sql.services.executions import ExecutionOutcome, execution_run


def generation_of(asker: Asker, sql: str = "SELECT name FROM customers ORDER BY name") -> Generation:
    return GenerationFactory(team=asker.team, database=asker.database, sql=sql)


def run(asker: Asker, sql: str = "SELECT name FROM customers ORDER BY name") -> ExecutionOutcome:
    return execution_run(principal=asker.principal, generation=generation_of(asker, sql))


def problem_of(outcome: ExecutionOutcome) -> Problem:
    assert outcome.problem is not None
    assert outcome.result is None
    stored = Execution.objects.get(pk=outcome.execution.pk)
    assert (stored.status, stored.problem, stored.row_count) == ("failed", outcome.problem.kind, None)
    assert stored.problem_detail == outcome.problem.detail
    return outcome.problem


def test_the_rows_come_back_and_are_kept_nowhere(asker: Asker) -> None:
    outcome = run(asker)
    assert outcome.problem is None
    assert outcome.result is not None
    assert outcome.result.rows == [["Ada"], ["Bert"]]
    stored = Execution.objects.get()
    assert (stored.status, stored.row_count, stored.truncated) == ("succeeded", 2, False)
    assert stored.actor == asker.principal.actor
    assert "Ada" not in repr(Execution.objects.values().get())


def test_no_more_rows_come_than_the_database_allows(asker: Asker) -> None:
    Database.objects.update(row_cap=1)
    outcome = run(asker)
    assert outcome.result is not None
    assert outcome.result.rows == [["Ada"]]
    assert outcome.result.truncated
    assert Execution.objects.get().truncated


@pytest.mark.parametrize("change", ["column", "table"])
def test_what_the_team_may_not_see_any_more_is_refused(asker: Asker, change: str) -> None:
    generation = generation_of(asker)
    if change == "column":
        DatabaseAccess.objects.update(hidden_columns=["customers.name"])
    else:
        DatabaseAccess.objects.update(tables=["orders"])
    problem = problem_of(execution_run(principal=asker.principal, generation=generation))
    assert (problem.kind, problem.type.status) == ("sql-refused", 422)
    assert "Ada" not in problem.detail


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM customers",
        "UPDATE customers SET name = 'x'",
        "INSERT INTO customers (id, name) VALUES (3, 'x')",
        "DROP TABLE customers",
        "SELECT 1; DELETE FROM customers",
        "PRAGMA writable_schema = 1",
        "ATTACH DATABASE '/tmp/other' AS other",
        "SELECT load_extension('x')",
        "VACUUM",
    ],
)
def test_no_statement_writes_though_it_stands_in_a_generation(asker: Asker, shop: Path, sql: str) -> None:
    before = hashlib.sha256(shop.read_bytes()).hexdigest()
    problem = problem_of(run(asker, sql))
    assert (problem.kind, problem.type.status) == ("sql-refused", 422)
    assert hashlib.sha256(shop.read_bytes()).hexdigest() == before


def test_a_statement_the_database_cannot_run_says_what_the_database_said(asker: Asker, shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("ALTER TABLE customers RENAME COLUMN name TO title")
    problem = problem_of(run(asker))
    assert (problem.kind, problem.type.status) == ("execution-failed", 422)


def test_a_database_that_is_gone_is_a_problem_of_the_service(asker: Asker, shop: Path) -> None:
    shop.unlink()
    problem = problem_of(run(asker))
    assert (problem.kind, problem.type.status) == ("target-unreachable", 503)
    assert str(shop.parent) not in problem.detail


def test_a_query_that_takes_too_long_is_cut(asker: Asker) -> None:
    Database.objects.update(timeout_seconds=1)
    counting = "SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000"
    endless = f"WITH RECURSIVE n AS ({counting}) SELECT count(*) AS c FROM n"  # noqa: S608  # no input is in it
    problem = problem_of(run(asker, endless))
    assert (problem.kind, problem.type.status) == ("execution-timeout", 504)


def test_an_address_that_no_key_opens_is_a_problem_and_no_crash(asker: Asker, settings: Settings) -> None:
    generation = generation_of(asker)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    problem = problem_of(execution_run(principal=asker.principal, generation=generation))
    assert (problem.kind, problem.type.status) == ("target-unreachable", 503)
    assert "ENCRYPTION_KEYS" in problem.detail


def test_a_file_outside_the_allowed_folders_is_not_opened_any_more(asker: Asker, settings: Settings) -> None:
    generation = generation_of(asker)
    settings.FILE_FOLDERS = ["/nowhere"]
    problem = problem_of(execution_run(principal=asker.principal, generation=generation))
    assert problem.kind == "target-unreachable"


def test_a_dialect_that_was_disabled_is_not_used_any_more(asker: Asker, settings: Settings) -> None:
    settings.TARGET_DIALECTS = ["postgres"]
    assert problem_of(run(asker)).kind == "target-unreachable"


@pytest.mark.parametrize("status", ["running", "failed", "cannot_answer"])
def test_a_generation_without_sql_cannot_be_run(asker: Asker, status: str) -> None:
    generation = GenerationFactory(team=asker.team, database=asker.database, status=status, sql="")
    with pytest.raises(Problem, match="conflict"):
        execution_run(principal=asker.principal, generation=generation)
    assert not Execution.objects.exists()


def test_a_team_that_lost_the_database_runs_nothing(asker: Asker) -> None:
    generation = generation_of(asker)
    DatabaseAccess.objects.all().delete()
    with pytest.raises(Problem, match="not-found"):
        execution_run(principal=asker.principal, generation=generation)


def test_another_teams_principal_runs_nothing(asker: Asker) -> None:
    other: Team = TeamFactory(slug="marketing")
    DatabaseAccess.objects.create(team=other, database=asker.database)
    with pytest.raises(Problem, match="not-found"):
        execution_run(principal=make_key(other)[2], generation=generation_of(asker))
