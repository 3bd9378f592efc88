"""What three language models answered to the questions of BIRD mini-dev, and what the databases say to it.

The engines judge each statement on an empty database made from the schema: SQLite in memory, PostgreSQL on the server
of DATABASE_URL.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from tests.text2sql.targets.conftest import temporary_database
from text2sql.pipeline.fence import sql_unwrap
from text2sql.pipeline.schema import Column, Schema, Table

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "llm_sql"
MISSING = "the recorded answers (../shared/data/llm_sql) are not on this machine"
MARK = "\t----- bird -----\t"
FILES = {"sqlite": "sqlite", "postgres": "postgresql"}

Refuse = Callable[[str, str], str | None]
"""From a database's name and a statement to the engine's words of refusal; None where it accepts."""


@dataclass(frozen=True)
class Answer:
    model: str
    database: str
    sql: str


def answers(dialect: str) -> Iterator[Answer]:
    for path in sorted(FOLDER.glob(f"predict_mini_dev_*_{FILES[dialect]}.json")):
        model = path.stem.removeprefix("predict_mini_dev_").rpartition("_")[0]
        for text in json.loads(path.read_text()).values():
            sql, _, database = text.rpartition(MARK)
            yield Answer(model, database, sql_unwrap(sql))


@cache
def schemas(dialect: str) -> dict[str, Schema]:
    if dialect == "sqlite":
        found = json.loads((FOLDER / "bird_mini_dev_sqlite-schema-original.json").read_text())
        return {each["db_id"]: Schema("sqlite", tuple(_sqlite_tables(each)), "main") for each in found}
    found = json.loads((FOLDER / "bird_mini_dev_postgres-schema.json").read_text())
    return {name: Schema("postgres", tuple(_postgres_tables(each)), "public") for name, each in found.items()}


@contextmanager
def engine(dialect: str) -> Iterator[Refuse]:
    """Skips the running test where there is no PostgreSQL server."""
    if dialect == "sqlite":
        databases = {name: _sqlite_database(schema) for name, schema in schemas(dialect).items()}
        yield lambda database, sql: _refused_by_sqlite(databases[database], sql)
        for each in databases.values():
            each.close()
        return
    script = "".join(_script(name, schema) for name, schema in schemas(dialect).items())
    with temporary_database(script) as url, psycopg.connect(url, autocommit=True) as connection:
        yield lambda database, sql: _refused_by_postgres(connection, database, sql)


def _sqlite_tables(found: dict[str, Any]) -> Iterator[Table]:
    columns: dict[int, list[Column]] = defaultdict(list)
    for (table, name), kind in zip(found["column_names_original"], found["column_types"], strict=True):
        columns[table].append(Column(name, kind))
    return (Table(name, tuple(columns[place])) for place, name in enumerate(found["table_names_original"]))


def _postgres_tables(found: dict[str, Any]) -> Iterator[Table]:
    for table in found["tables"].values():
        key = tuple(column["name"] for column in table["columns"] if column["primary_key"])
        columns = tuple(Column(column["name"], column["type"]) for column in table["columns"])
        yield Table(table["name"], columns, primary_key=key)


def _create(table: Table, place: str = "") -> str:
    columns = [f"{_quote(column.name)} {column.type}" for column in table.columns]
    if table.primary_key:
        columns.append(f"PRIMARY KEY ({', '.join(map(_quote, table.primary_key))})")
    return f"CREATE TABLE {place}{_quote(table.name)} ({', '.join(columns)});"


def _quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _sqlite_database(schema: Schema) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.executescript("".join(map(_create, schema.tables)))
    return database


def _refused_by_sqlite(database: sqlite3.Connection, sql: str) -> str | None:
    try:
        with closing(database.execute(f"EXPLAIN {sql}")):
            return None
    except (sqlite3.Error, sqlite3.Warning) as error:
        return str(error)


def _script(name: str, schema: Schema) -> str:
    place = f"{_quote(name)}."
    return f"CREATE SCHEMA {_quote(name)};" + "".join(_create(table, place) for table in schema.tables)


def _refused_by_postgres(connection: psycopg.Connection[Any], database: str, sql: str) -> str | None:
    connection.execute(f"SET search_path = {_quote(database)}".encode())
    prepared = connection.pgconn.prepare(b"", sql.encode())
    if prepared.status != psycopg.pq.ExecStatus.COMMAND_OK:
        return prepared.error_message.decode().partition("\n")[0]
    explained = connection.pgconn.exec_params(b"EXPLAIN " + sql.encode(), [])
    accepts = explained.status == psycopg.pq.ExecStatus.TUPLES_OK
    return None if accepts else explained.error_message.decode().partition("\n")[0]
