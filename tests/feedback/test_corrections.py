"""What people say would have been right: looked at as an answer is, and kept whatever is found."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from feedback.models import Feedback
from tests.factories import GenerationFactory
from tests.text2sql.api.conftest import Shopper
from text2sql.models import DatabaseAccess


def correct(shopper: Shopper, sql: str) -> Any:
    generation = GenerationFactory(team=shopper.team, database=shopper.database)
    body = {"rating": "down", "corrected_sql": sql}
    answer = shopper.api.post(f"generations/{generation.pk}/feedback", body)
    assert answer.status_code == 200
    stored = Feedback.objects.get(generation=generation)
    assert stored.corrected_sql == answer.json()["corrected_sql"] == sql
    assert answer.json()["findings"] == ([stored.finding] if stored.finding else [])
    return answer.json()["findings"]


def test_a_correction_that_runs_has_no_findings(shopper: Shopper) -> None:
    assert correct(shopper, "SELECT name FROM customers WHERE region = 'north'") == []


def test_a_misspelt_column_is_found_with_the_names_that_may_have_been_meant(shopper: Shopper) -> None:
    (finding,) = correct(shopper, "SELECT nmae FROM customers")
    assert set(finding) == {"severity", "code", "message", "closest"}
    assert finding["severity"] == "error"
    assert "nmae" in finding["message"]
    assert "name" in " ".join(finding["closest"])


@pytest.mark.parametrize("sql", ["DELETE FROM customers", "SELECT 1; SELECT 2", "nonsense (", "SELECT * FROM secrets"])
def test_a_correction_that_may_not_run_is_kept_with_why(shopper: Shopper, sql: str) -> None:
    (finding,) = correct(shopper, sql)
    assert finding["message"]


def test_what_the_team_may_not_see_now_is_found(shopper: Shopper) -> None:
    sql = "SELECT email FROM customers"
    assert correct(shopper, sql) == []
    DatabaseAccess.objects.update(hidden_columns=["customers.email"])
    assert len(correct(shopper, sql)) == 1


def test_the_databases_own_planner_is_asked_and_one_that_is_down_says_nothing(shopper: Shopper, shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("DROP TABLE orders")  # the catalog does not know yet
    sql = "SELECT amount FROM orders"
    (finding,) = correct(shopper, sql)
    assert finding["code"] == "not_plannable"
    shop.unlink()
    assert correct(shopper, sql) == []


def test_a_correction_for_a_database_that_the_team_has_lost_is_kept_with_why(shopper: Shopper) -> None:
    DatabaseAccess.objects.all().delete()
    (finding,) = correct(shopper, "SELECT name FROM customers")
    assert finding["code"] == "not_found"
