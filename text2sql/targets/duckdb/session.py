"""DuckDB: a file attached read-only to an instance of its own, for one session, without any way out of it.

The driver is used directly: duckdb_engine, the SQLAlchemy dialect, has had no release since DuckDB 1.2. An instance
lives in this process, so a bug in DuckDB that crashes takes the worker down with it.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from sqlalchemy.engine import URL

from text2sql.pipeline.schema import Schema
from text2sql.targets.deadlines import Deadline
from text2sql.targets.duckdb.catalog import read_duckdb
from text2sql.targets.duckdb.values import duckdb_field
from text2sql.targets.errors import QueryFailed, TargetError, TargetTimeout, TargetUnreachable, query_failed
from text2sql.targets.session import EMPTINESS, Answer, Probe, ResultColumn
from text2sql.targets.urls import file_path

MEMORY_LIMIT = "1GB"
THREADS = 2
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": MEMORY_LIMIT,
    "threads": THREADS,
    "temp_directory": "",  # what does not fit into the memory fails: nothing is written anywhere
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,  # no variable of ours is a table
}
TAKEN_NAMES = frozenset({"memory", "system", "temp"})


class DuckdbSession:
    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @contextmanager
    def run(self, sql: str, *, row_cap: int) -> Iterator[Answer]:
        _require_query(sql)
        described = self._connection.execute(f"DESCRIBE {sql}").fetchall()
        fields = [duckdb_field(kind, place) for place, (_, kind, *_) in enumerate(described)]
        aliases = ", ".join(field.alias for field in fields)
        # The values that Python cannot hold exactly come as DuckDB's own text, or as its JSON where they are nested.
        shown = ", ".join(field.expression for field in fields)
        result = self._connection.execute(f"SELECT {shown} FROM (\n{sql}\n) AS answer({aliases})")  # noqa: S608 one query, checked above
        columns = tuple(ResultColumn(name, kind.strip('"')) for name, kind, *_ in described)
        yield Answer(columns, [field.read for field in fields], result.fetchmany)

    def plan_cost(self, sql: str) -> float | None:
        _require_query(sql)
        plans = self._connection.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()
        rows = [rows for _, plan in plans for step in json.loads(plan) for rows in _estimates(step)]
        return sum(rows) if rows else None

    def read_schema(self) -> Schema:
        return read_duckdb(self._connection)

    def probe(self) -> Probe:
        tables, version = self._connection.execute(
            "SELECT (SELECT count(*) FROM duckdb_tables() WHERE NOT internal)"
            " + (SELECT count(*) FROM duckdb_views() WHERE NOT internal), version()"
        ).fetchall()[0]
        warnings = () if tables else (EMPTINESS,)
        return Probe("duckdb", str(version).removeprefix("v"), self._path.name, "", read_only=True, warnings=warnings)


@contextmanager
def open_duckdb(url: URL, deadline: Deadline, zone: ZoneInfo) -> Iterator[DuckdbSession]:
    path = file_path(url).absolute()
    if not path.is_file():
        raise TargetUnreachable(f"There is no DuckDB file {path.name} at the path of this database.")
    try:
        # An instance of its own and not one of the file: those are shared within a process, settings included.
        with closing(duckdb.connect(":memory:", config=CONFIG)) as connection:
            _attach(connection, path, zone)
            deadline.restart()
            deadline.watch(lambda: _interrupt(connection))
            try:
                yield DuckdbSession(connection, path)
            finally:
                deadline.close()
    except duckdb.Error as error:
        raise _failure(error, deadline) from error


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, zone: ZoneInfo) -> None:
    name = f"{path.stem}_file" if path.stem.lower() in TAKEN_NAMES else path.stem
    place = str(path).replace("'", "''")
    connection.execute("SET TimeZone = ?", [zone.key])
    try:
        connection.execute(f"ATTACH '{place}' AS {_quoted(name)} (TYPE duckdb, READ_ONLY)")
    except duckdb.IOException as error:
        raise _file_failure(error) from error
    connection.execute(f"USE {_quoted(name)}")
    for statement in _CLOSING:
        connection.execute(statement)


_CLOSING = (
    "DETACH memory",
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",  # an unknown table's name could mean a variable of this program
    "SET lock_configuration = true",
)


def _require_query(sql: str) -> None:
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QueryFailed("The statement is not one query. Only queries can be run.")


def _interrupt(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):
        connection.interrupt()


def _estimates(step: dict[str, Any]) -> Iterator[float]:
    estimate = step.get("extra_info", {}).get("Estimated Cardinality")
    if estimate is not None:
        yield float(str(estimate).lstrip("~"))
    for child in step.get("children", []):
        yield from _estimates(child)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _file_failure(error: duckdb.Error) -> TargetError:
    words = str(error)
    if "lock" in words:
        return TargetTimeout("The DuckDB file is open for writing somewhere else. Try again in a moment.")
    if "not a valid" in words or "serialization" in words.lower():
        return TargetUnreachable("The file is no database that this version of DuckDB reads. Check the path.")
    return TargetUnreachable("The DuckDB file cannot be opened. Check the path and the rights on the file.")


def _failure(error: duckdb.Error, deadline: Deadline) -> TargetError:
    if deadline.is_cut or isinstance(error, duckdb.InterruptException):
        return deadline.failure()
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryFailed(f"The query needs more than {MEMORY_LIMIT} of memory, the limit here. Ask for less.")
    # The lines after the first name columns and tables that the team must not see.
    return query_failed(str(error).partition("\n")[0])
