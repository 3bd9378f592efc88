"""What the guard prints gives the rows of what was written, and the same ones whether hidden columns exist or not."""

import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.text2sql.targets.conftest import admin_dsn, target_url_of, temporary_database
from text2sql.demo.data import DATABASE_NAMES, build
from text2sql.demo.load import load_postgres, load_sqlite
from text2sql.demo.questions import RECORDED
from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.targets.errors import TargetError
from text2sql.targets.introspect import read_schema
from text2sql.targets.run import run_query

SPIDER = Path(__file__).parents[3] / ".." / "shared" / "data" / "spider_exec"


def rows_of(url: str, sql: str) -> list[Any]:
    dialect = "sqlite" if url.startswith("sqlite") else "postgres"
    return run_query(url, sql, dialect=dialect, row_cap=100_000, timeout=20).rows


@pytest.fixture(scope="module", params=DATABASE_NAMES)
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The name of a demo database and the URL of a copy of it."""
    database = build(request.param, datetime.now(UTC).date())
    if database.dialect == "sqlite":
        path = tmp_path_factory.mktemp("demo") / "demo.sqlite"
        load_sqlite(path, database)
        yield request.param, f"sqlite:///{path}"
        return
    dsn, suffix = admin_dsn(), uuid.uuid4().hex[:12]
    named, reader = replace(database, name=f"guard_{suffix}"), f"guard_reader_{suffix}"
    try:
        load_postgres(dsn, named, reader=reader, password="only-for-tests")
        yield request.param, target_url_of(dsn, database=named.name)
    finally:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {named.name} WITH (FORCE)".encode())
            admin.execute(f"DROP ROLE IF EXISTS {reader}".encode())


def test_recorded_questions_pass_and_give_the_same_rows(demo: tuple[str, str]) -> None:
    name, url = demo
    schema = read_schema(url, timeout=20)
    assert RECORDED[name]
    for recorded in RECORDED[name]:
        guarded = guard_statement(recorded.sql, schema=schema)
        assert rows_of(url, guarded.sql) == rows_of(url, recorded.sql), guarded.sql


def test_real_questions_over_real_rows_pass_and_give_the_same_rows() -> None:
    if not SPIDER.exists():
        pytest.skip("the Spider databases are not on this machine")
    questions = json.loads((SPIDER / "questions.json").read_text())
    urls = {question["db_id"]: f"sqlite:///{SPIDER / question['db_id']}.sqlite" for question in questions}
    schemas = {name: read_schema(url, timeout=20) for name, url in urls.items()}
    for question in questions:
        url, sql = urls[question["db_id"]], question["query"]
        guarded = guard_statement(sql, schema=schemas[question["db_id"]])
        assert rows_of(url, guarded.sql) == rows_of(url, sql), guarded.sql


def test_a_printed_statement_never_depends_on_a_hidden_column(tmp_path: Path) -> None:
    """Hides one column at a time; what still passes must give the same rows where the column does not exist."""
    if not SPIDER.exists():
        pytest.skip("the Spider databases are not on this machine")
    questions = [q for q in json.loads((SPIDER / "questions.json").read_text()) if q["db_id"] == "concert_singer"]
    source = SPIDER / "concert_singer.sqlite"
    schema = read_schema(f"sqlite:///{source}", timeout=20)
    passed = refused = 0
    for table in schema.tables:
        for number, column in enumerate(table.columns):
            without = tmp_path / f"{table.name}_{number}.sqlite"
            shutil.copy(source, without)
            without.chmod(0o600)
            with closing(sqlite3.connect(without)) as connection:
                kept = ", ".join(f'"{other.name}"' for other in table.columns if other is not column)
                rebuild = (
                    'CREATE TABLE kept AS SELECT {c} FROM "{t}"; DROP TABLE "{t}"; ALTER TABLE kept RENAME TO "{t}"'
                )
                connection.executescript(rebuild.format(c=kept, t=table.name))
            hidden = frozenset({f"{table.qualified_name}.{column.name}"})
            view = schema.restricted(tables=None, hidden_columns=hidden)
            for question in questions:
                try:
                    guarded = guard_statement(question["query"], schema=view)
                except GuardRefusal:
                    refused += 1
                    continue
                assert rows_of(f"sqlite:///{without}", guarded.sql) == rows_of(f"sqlite:///{source}", guarded.sql)
                passed += 1
    assert passed > 300
    assert refused > 100


TABLES = """
    CREATE TABLE emp (id int, name text, dept_id int{salary});
    CREATE TABLE dept (id int, title text{salary});
    INSERT INTO emp SELECT n, 'name ' || n, n % 3{value} FROM generate_series(1, 9) n;
    INSERT INTO dept SELECT n, 'title ' || n{value} FROM generate_series(0, 2) n;
"""
TEMPTING = [
    "SELECT * FROM emp ORDER BY id",
    "SELECT emp.*, dept.* FROM emp JOIN dept ON dept.id = dept_id ORDER BY emp.id",
    "SELECT * FROM emp NATURAL JOIN dept ORDER BY id",
    "SELECT * FROM emp FULL JOIN dept USING (id) ORDER BY id",
    "SELECT * FROM (emp JOIN dept ON dept.id = emp.dept_id) ORDER BY emp.id",
    "SELECT (SELECT salary FROM emp LIMIT 1) FROM (SELECT 1 AS salary) o",
    "SELECT (SELECT max(salary) FROM emp) FROM (SELECT 1 AS salary) o",
    "SELECT 1 FROM (SELECT 5 AS salary) o WHERE EXISTS (SELECT 1 FROM emp WHERE salary = 5)",
    "SELECT o.id, x FROM emp o, LATERAL (SELECT salary AS x FROM dept, (SELECT 1 AS salary) s) l ORDER BY 1, 2",
    "SELECT salary FROM emp, (SELECT 1 AS salary) o",
    "SELECT salary FROM emp CROSS JOIN generate_series(1, 2) salary ORDER BY 1",
    "SELECT s.salary FROM emp, jsonb_to_recordset('[{\"salary\": 1}]') AS s(salary int)",
    "SELECT lower(name) AS salary, count(*) FROM emp GROUP BY salary ORDER BY 1",
    "SELECT 'x' AS salary, count(*) FROM emp GROUP BY salary",
    "SELECT id % 2 AS salary, count(*) FROM emp GROUP BY ROLLUP (salary) ORDER BY 1, 2",
    "SELECT name AS salary FROM emp ORDER BY salary DESC",
    "SELECT DISTINCT ON (salary) id % 2 AS salary FROM emp ORDER BY salary",
    "SELECT count(*) FROM emp GROUP BY dept_id ORDER BY count",
    "SELECT abs(-id) FROM emp ORDER BY abs DESC",
    "SELECT json_agg(salary) FROM (SELECT name FROM emp ORDER BY id) salary",
    "SELECT salary FROM emp, (SELECT 1 AS a) salary",
    "SELECT row_to_json(salary) FROM emp, (SELECT 1 AS a) salary",
    "SELECT salary.a FROM emp, (SELECT 1 AS a) salary",
    "WITH emp AS (SELECT 7 AS salary) SELECT salary FROM emp",
    "WITH x(salary) AS (SELECT id FROM emp) SELECT salary FROM x ORDER BY salary",
    "WITH x AS (SELECT * FROM emp) SELECT * FROM x ORDER BY id",
    "SELECT name FROM emp WHERE (id, name) IN (SELECT * FROM (SELECT id, name FROM emp) q) ORDER BY id",
    "SELECT * FROM emp UNION ALL SELECT *, 1 FROM dept ORDER BY id, name",
    "SELECT count(*) FROM (TABLE emp) t",
    "SELECT name FROM emp e WHERE dept_id = (SELECT id FROM dept WHERE title = 'title 1') ORDER BY e.name",
    "SELECT string_agg(title, ',' ORDER BY title) OVER () FROM dept",
    "SELECT salary FROM emp, (SELECT abs(1))",
    "SELECT (SELECT salary FROM (SELECT abs(1)) o) FROM emp",
    "SELECT (SELECT o.salary FROM (SELECT abs(1)) o) FROM emp",
]


def test_nothing_that_passes_can_tell_whether_a_hidden_column_exists() -> None:
    """Every statement is refused or answered alike by a database with the column and by one without."""
    with (
        temporary_database(TABLES.format(salary=", salary int", value=", n * 100")) as full,
        temporary_database(TABLES.format(salary="", value="")) as bare,
    ):
        schema = read_schema(full, timeout=10)
        view = schema.restricted(tables=None, hidden_columns=frozenset({"emp.salary", "dept.salary"}))
        assert view.version == read_schema(bare, timeout=10).version
        answered = 0
        for sql in TEMPTING:
            try:
                guarded = guard_statement(sql, schema=view).sql
            except GuardRefusal:
                continue
            assert answer(full, guarded) == answer(bare, guarded), guarded
            answered += 1
        assert answered > len(TEMPTING) * 0.8


def answer(url: str, sql: str) -> object:
    try:
        return rows_of(url, sql)
    except TargetError as error:
        return str(error)
