"""Printing, a row filter that matches all rows and a row limit leave every result as it was, executed."""

import csv
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.text2sql.targets.conftest import temporary_database
from text2sql.pipeline.guard import guard_statement
from text2sql.pipeline.schema import Schema
from text2sql.targets.introspect import read_schema

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
SPIDER = DATA / "spider_exec"
DEFOG = DATA / "defog"
ALTERNATIVES = re.compile(r"\{([^{}]+)\}")
MANY = 1_000_000


def filters_of(schema: Schema, form: str) -> dict[str, str]:
    """A condition per table that names a column of it and always holds."""
    quoted = {table.qualified_name: '"' + table.columns[0].name.replace('"', '""') + '"' for table in schema.tables}
    return {name: form.format(f"{column} IS NULL OR {column} IS NOT NULL") for name, column in quoted.items()}


FORMS = {"beside the table": "{}", "with a query of its own": "({}) AND EXISTS (SELECT 1)"}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_question_over_the_spider_databases_keeps_its_rows(form: str) -> None:
    if not SPIDER.exists():
        pytest.skip("the databases of ../shared/data/spider_exec are not on this machine")
    questions = defaultdict(list)
    for question in json.loads((SPIDER / "questions.json").read_text()):
        questions[question["db_id"]].append(question["query"])
    seen = 0
    for name, statements in questions.items():
        schema = read_schema(f"sqlite:///{SPIDER / name}.sqlite", timeout=20)
        filters = filters_of(schema, form)
        with closing(sqlite3.connect(f"file:{SPIDER / name}.sqlite?mode=ro", uri=True)) as connection:
            connection.text_factory = bytes
            for sql in statements:
                guarded = guard_statement(sql, schema=schema, row_filters=filters, row_limit=MANY).sql
                assert connection.execute(guarded).fetchall() == connection.execute(sql).fetchall(), guarded
                seen += 1
    assert seen > 400


def defog_statements() -> Iterator[tuple[str, str]]:
    """Database and SQL. `{a, b}` lists columns of which any will do: all are taken; `;` parts alternatives."""
    for path in sorted((DEFOG / "sql-eval" / "data").glob("*_postgres.csv")):
        with path.open() as file:
            for row in csv.DictReader(file):
                for statement in filter(None, map(str.strip, row["query"].split(";"))):
                    columns = ALTERNATIVES.search(statement)
                    whole = columns[1] if columns else ""
                    yield row["db_name"], ALTERNATIVES.sub(whole, statement).replace("{}", whole)


def rows_of(connection: psycopg.Connection[Any], sql: str) -> list[str]:
    """Without their order: where ORDER BY leaves ties, it changes from plan to plan."""
    return sorted(map(repr, connection.execute(sql.encode()).fetchall()))


@pytest.mark.slow
def test_every_gold_statement_of_defog_keeps_its_rows() -> None:
    if not DEFOG.exists():
        pytest.skip("the databases of ../shared/data/defog are not on this machine")
    statements = defaultdict(list)
    for name, sql in defog_statements():
        statements[name].append(sql)
    assert len(statements) == 11
    seen = 0
    for name, group in statements.items():
        script = (DEFOG / "defog-data" / "defog_data" / name / f"{name}.sql").read_text()
        with temporary_database(script) as url, psycopg.connect(url, autocommit=True) as connection:
            schema = read_schema(url, timeout=20)
            for sql in group:
                expected = rows_of(connection, sql)
                for form in FORMS.values():
                    filters = filters_of(schema, form)
                    guarded = guard_statement(sql, schema=schema, row_filters=filters, row_limit=MANY).sql
                    assert rows_of(connection, guarded) == expected, guarded
                seen += 1
    assert seen > 300
