"""What the static check is worth on statements that nobody here wrote: recorded answers of models, and gold SQL."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.quality.check import shares, verdicts
from tests.quality.llm_sql import FOLDER, MISSING
from tests.text2sql.targets.conftest import temporary_database
from text2sql.pipeline.check import statement_findings
from text2sql.pipeline.guard import guard_statement
from text2sql.targets.introspect import read_schema

SHARED = FOLDER.parent
DEFOG = SHARED / "defog"
SPIDER = SHARED / "spider_exec"


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_refusals_of_the_engine_are_found_before_it_is_asked(dialect: str) -> None:
    if not FOLDER.exists():
        pytest.skip(MISSING)
    found = list(verdicts(dialect))
    caught, false, caught_by_both, false_by_both = shares(found)
    assert len(found) == 1500
    assert caught >= 99
    assert false <= 0.2
    assert caught_by_both >= 99
    assert false_by_both <= 0.5


def test_gold_sql_over_sqlite_raises_no_alarm() -> None:
    if not SPIDER.exists():
        pytest.skip("the Spider databases (../shared/data/spider_exec) are not on this machine")
    questions = json.loads((SPIDER / "questions.json").read_text())
    names = {question["db_id"] for question in questions}
    schemas = {name: read_schema(f"sqlite:///{SPIDER / name}.sqlite", timeout=20) for name in names}
    for question in questions:
        sql, schema = question["query"], schemas[question["db_id"]]
        assert statement_findings(guard_statement(sql, schema=schema).tree, schema, sql=sql) == [], sql


@pytest.mark.parametrize(
    "name", [path.name for path in sorted((DEFOG / "defog-data" / "defog_data").glob("*"))] or [""]
)
def test_gold_sql_over_postgres_raises_no_alarm(name: str) -> None:
    if not name:
        pytest.skip("the defog databases (../shared/data/defog) are not on this machine")
    script = (DEFOG / "defog-data" / "defog_data" / name / f"{name}.sql").read_text()
    with temporary_database(script) as url, psycopg.connect(url, autocommit=True) as connection:
        schema = read_schema(url, timeout=20)
        accepted = [sql for sql in gold(name) if _is_accepted(connection, sql)]
        assert accepted
        for sql in accepted:
            assert statement_findings(guard_statement(sql, schema=schema).tree, schema, sql=sql) == [], sql


def gold(name: str) -> Iterator[str]:
    """The statements, with the smallest and the largest of the column sets that the questions allow."""
    for path in sorted(Path(DEFOG, "sql-eval", "data").glob("*_postgres.csv")):
        for row in csv.DictReader(path.open()):
            if row["db_name"] == name:
                for sql in filter(str.strip, row["query"].split(";")):
                    sets = re.findall(r"\{([^{}]*)\}", sql) or [""]
                    for chosen in {sets[0].split(",")[0], sets[0]}:
                        yield re.sub(r"\{[^{}]*\}", chosen.replace("\\", r"\\"), sql)


def _is_accepted(connection: psycopg.Connection[tuple[object, ...]], sql: str) -> bool:
    return connection.pgconn.prepare(b"", sql.encode()).status == psycopg.pq.ExecStatus.COMMAND_OK
