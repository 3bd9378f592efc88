"""Every recorded question gives, on a really loaded database, the values reckoned without SQL."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from tests.text2sql.demo.conftest import DemoServer
from text2sql.demo.data import DATABASE_NAMES, build
from text2sql.demo.data.tables import DemoDatabase
from text2sql.demo.load import load_sqlite
from text2sql.demo.questions import RECORDED, RecordedQuestion, find_recorded

Rows = list[tuple[Any, ...]]
Ask = Callable[[str], Rows]
ALL = [
    pytest.param(name, recorded, id=f"{name}-{recorded.expected.__name__}")
    for name, questions in RECORDED.items()
    for recorded in questions
]
# A leap day, the first of a year, and the last of a month that is longer than the one before it.
AWKWARD_DAYS = (date(2024, 2, 29), date(2025, 1, 1), date(2025, 3, 31))


def _exact(rows: Rows) -> Rows:
    """Numbers as Decimal, whatever type they came in; everything else, flags included, as it is."""
    return [tuple(_exact_value(value) for value in row) for row in rows]


def _exact_value(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    return Decimal(repr(value) if isinstance(value, float) else value)


def _dialect(name: str) -> str:
    return "sqlite" if name == "support_db" else "postgres"


def _printed(name: str, query: str) -> str:
    """The query as it is printed from its syntax tree, which is what the product runs."""
    return sqlglot.parse_one(query, read=_dialect(name)).sql(dialect=_dialect(name))


@pytest.fixture(scope="session")
def asked_today(
    demo_server: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[DemoDatabase, Ask]]]:
    """Gives a database seeded today and a way to ask it; each is loaded when first wanted."""
    loaded: dict[str, tuple[DemoDatabase, Ask]] = {}
    folder = tmp_path_factory.mktemp("demo")

    def open_database(name: str) -> tuple[DemoDatabase, Ask]:
        if name not in loaded:
            database = build(name, datetime.now(UTC).date())
            loaded[name] = database, _load(demo_server, folder / name, database, "today")
        return loaded[name]

    yield open_database
    for name in DATABASE_NAMES:
        demo_server.drop(f"{name}_today")


def _load(server: DemoServer, path: Path, database: DemoDatabase, suffix: str) -> Ask:
    if database.dialect == "sqlite":
        load_sqlite(path, database)

        def ask_file(query: str) -> Rows:
            with closing(sqlite3.connect(path)) as connection:
                return connection.execute(query).fetchall()

        return ask_file
    server.load(database, f"{database.name}_{suffix}")

    def ask_server(query: str) -> Rows:
        with server.read(f"{database.name}_{suffix}") as connection:
            return connection.execute(query.encode()).fetchall()

    return ask_server


@pytest.mark.parametrize(("name", "recorded"), ALL)
def test_the_sql_gives_the_values_reckoned_from_the_rows(
    asked_today: Callable[[str], tuple[DemoDatabase, Ask]], name: str, recorded: RecordedQuestion
) -> None:
    database, ask = asked_today(name)
    [(today,)] = ask("SELECT DATE('now')" if database.dialect == "sqlite" else "SELECT CURRENT_DATE")
    today = date.fromisoformat(str(today))
    answer = _exact(ask(recorded.sql))
    assert answer == _exact(recorded.expected(database, today))
    assert 0 < len(answer) <= 200
    assert _exact(ask(_printed(name, recorded.sql))) == answer


@pytest.mark.parametrize("today", AWKWARD_DAYS, ids=str)
@pytest.mark.parametrize("name", DATABASE_NAMES)
def test_the_answers_hold_on_awkward_days(demo_server: DemoServer, tmp_path: Path, name: str, today: date) -> None:
    database = build(name, today)
    ask = _load(demo_server, tmp_path / name, database, f"{today:%y%m%d}")
    try:
        for recorded in RECORDED[name]:
            query = recorded.sql.replace("CURRENT_DATE", f"DATE '{today}'").replace("'now'", f"'{today}'")
            answer = _exact(ask(query))
            assert answer == _exact(recorded.expected(database, today)), recorded.question
            assert answer, recorded.question
    finally:
        demo_server.drop(f"{name}_{today:%y%m%d}")


@pytest.mark.parametrize(("name", "recorded"), ALL)
def test_the_sql_is_one_select_over_known_tables_and_functions(name: str, recorded: RecordedQuestion) -> None:
    [tree] = sqlglot.parse(recorded.sql, read=_dialect(name))
    assert isinstance(tree, exp.Select)
    assert not list(tree.find_all(exp.Star)), "columns are spelled out"
    assert tree.args.get("order"), "the order is fixed"
    tables = {table.name for table in tree.find_all(exp.Table)}
    views = {view.alias for view in tree.find_all(exp.CTE)}
    known = {table.name for table in build(name, date(2026, 3, 1)).tables}
    assert tables - views <= known
    assert not any(table.db for table in tree.find_all(exp.Table))
    # SQLite's DATE with modifiers is the one function that sqlglot does not know.
    unknown = {str(function.this).upper() for function in tree.find_all(exp.Anonymous)}
    assert unknown <= ({"DATE"} if name == "support_db" else set())


@pytest.mark.parametrize("name", DATABASE_NAMES)
def test_every_database_has_questions_that_all_differ(name: str) -> None:
    assert len(RECORDED[name]) >= 14
    assert len({recorded.question for recorded in RECORDED[name]}) == len(RECORDED[name])
    assert len({recorded.sql for recorded in RECORDED[name]}) == len(RECORDED[name])
    assert all(recorded.explanation.endswith(".") for recorded in RECORDED[name])


@pytest.mark.parametrize(("name", "recorded"), ALL)
def test_a_recorded_question_is_found_however_it_is_typed(name: str, recorded: RecordedQuestion) -> None:
    question = recorded.question
    bare = question.rstrip("?.")
    for typed in (question, question.upper(), f"  {bare.replace(' ', '  ')}\n", f"{bare} ?!", f"{bare}？"):  # noqa: RUF001 - a full-width mark is meant
        assert find_recorded(name, typed) is recorded


def test_the_unicode_form_of_a_question_does_not_matter() -> None:
    wide = "Which customers have never placed an order？".translate(  # noqa: RUF001 - a full-width mark is meant
        {ord(letter): ord(letter) + 0xFEE0 for letter in "abcdefghijklmnopqrstuvwxyz"}
    )
    assert find_recorded("sales_db", wide) is find_recorded("sales_db", "Which customers have never placed an order")


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("sales_db", "Who is the best football player?"),
        ("sales_db", ""),
        ("sales_db", "Which customers never placed an order?"),
        ("support_db", "Which customers have never placed an order?"),
        ("payroll_db", "Which customers have never placed an order?"),
    ],
)
def test_other_questions_and_databases_have_no_record(name: str, question: str) -> None:
    assert find_recorded(name, question) is None


def test_importing_the_questions_builds_no_data_and_needs_no_driver() -> None:
    program = (
        "import random, sys\n"
        "def refuse(*arguments): raise SystemExit('rows were built at import')\n"
        "random.Random = refuse\n"
        "import text2sql.demo.questions\n"
        "sys.exit(','.join({'django', 'psycopg', 'sqlglot'} & set(sys.modules)) or 0)\n"
    )
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
