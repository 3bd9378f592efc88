"""Rows as CSV: what is in the file and what its headers tell."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.factories import GenerationFactory
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.models import Database


def fetch(shopper: Shopper, sql: str, accept: str = "text/csv") -> Any:
    generation = GenerationFactory(team=shopper.team, database=shopper.database, sql=sql)
    return shopper.api.post(f"generations/{generation.pk}/execute", HTTP_ACCEPT=accept)


def text_of(response: Any) -> str:
    body: bytes = b"".join(response.streaming_content)
    response.close()
    return body.decode()


def test_rows_come_as_a_file_with_a_line_of_names(shopper: Shopper) -> None:
    response = fetch(shopper, "SELECT name, email, id FROM customers ORDER BY id")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="generation-')
    assert (response.headers["X-Truncated"], response.headers["X-Row-Count"]) == ("false", "2")
    assert response.headers["Cache-Control"] == "no-store"
    assert text_of(response) == "name,email,id\r\nAda,ada@example.com,1\r\nBert,bert@example.com,2\r\n"


def test_a_result_that_was_cut_says_so(shopper: Shopper) -> None:
    Database.objects.update(row_cap=1)
    response = fetch(shopper, "SELECT id FROM customers ORDER BY id")
    assert (response.headers["X-Truncated"], response.headers["X-Row-Count"]) == ("true", "1")
    assert text_of(response) == "id\r\n1\r\n"


def test_many_rows_come_whole(shopper: Shopper, shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.executemany("INSERT INTO orders VALUES (?, 1, 1, NULL)", [(n,) for n in range(10, 1110)])
    lines = text_of(fetch(shopper, "SELECT id FROM orders ORDER BY id")).splitlines()
    assert lines[0] == "id"
    assert lines[-1] == "1109" or len(lines) == 1001  # the database's row cap
    assert len(lines) > 900


def test_problems_stay_json(shopper: Shopper) -> None:
    assert_problem(fetch(shopper, "SELECT name FROM nothing"), 422, "sql-refused")
    failed = GenerationFactory(team=shopper.team, database=shopper.database, status="failed", sql="")
    response = shopper.api.post(f"generations/{failed.pk}/execute", HTTP_ACCEPT="text/csv")
    assert_problem(response, 409, "conflict")


def test_the_client_chooses_between_json_and_csv(shopper: Shopper) -> None:
    for accept in ("*/*", "application/json", "text/csv;q=0.5, application/json"):
        assert fetch(shopper, "SELECT 1 AS one", accept).headers["Content-Type"] == "application/json"
    assert_problem(fetch(shopper, "SELECT 1 AS one", "text/event-stream"), 406, "not-acceptable")
