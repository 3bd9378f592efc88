"""Defog's eleven databases and the verified SQL of their questions, read from outside the project."""

import csv
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL

from text2sql.pipeline.comparison import ResultSet
from text2sql.targets.run import run_query

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "defog"
MISSING = "Defog's data is not on this machine (../shared/data/defog)"
FILES = ("questions_gen_postgres.csv", "instruct_basic_postgres.csv", "instruct_advanced_postgres.csv")
ROWS = 10_000
SECONDS = 10.0


@dataclass(frozen=True)
class Question:
    text: str
    sql: str
    """In Defog's format: several statements, sets of columns."""


@dataclass(frozen=True)
class Defog:
    """One of the databases, loaded."""

    name: str
    url: str

    def run(self, sql: str) -> ResultSet:
        """Raises `TargetError`s."""
        result = run_query(self.url, sql, dialect="postgres", row_cap=ROWS, timeout=SECONDS)
        return ResultSet(tuple(column.type for column in result.columns), result.rows, result.truncated)


def database_names() -> list[str]:
    return sorted(path.name for path in (FOLDER / "defog-data" / "defog_data").iterdir() if path.is_dir())


def questions(database: str) -> list[Question]:
    found = []
    for name in FILES:
        with (FOLDER / "sql-eval" / "data" / name).open(newline="") as file:
            found += [Question(r["question"], r["query"]) for r in csv.DictReader(file) if r["db_name"] == database]
    return found


@contextmanager
def database_loaded(dsn: str, name: str) -> Iterator[Defog]:
    """The database on the server of `dsn`, under a name of its own; dropped at the end."""
    own = f"defog_{name}_{uuid.uuid4().hex[:8]}"
    script = (FOLDER / "defog-data" / "defog_data" / name / f"{name}.sql").read_bytes()
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(SQL("CREATE DATABASE {}").format(Identifier(own)))
        try:
            with psycopg.connect(dsn, dbname=own, autocommit=True) as target:
                target.execute(script)
            yield Defog(name, _url(dsn, own))
        finally:
            admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(own)))


def _url(dsn: str, database: str) -> str:
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    host = parts.get("host", "")
    is_socket = host.startswith("/")
    return URL.create(
        "postgresql",
        username=parts.get("user"),
        password=parts.get("password"),
        host=None if is_socket else host or None,
        port=int(parts["port"]) if "port" in parts else None,
        database=database,
        query={"host": host} if is_socket else {},
    ).render_as_string(hide_password=False)
