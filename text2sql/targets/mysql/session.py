"""MySQL and MariaDB: a pooled connection in a read-only transaction, its session set up anew each time."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pymysql  # type: ignore[import-untyped]  # ships no types
from pymysql.cursors import SSCursor  # type: ignore[import-untyped]  # likewise
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from text2sql.pipeline.schema import Schema
from text2sql.targets.deadlines import CANCEL_PATIENCE, GRACE, Deadline, current_deadline
from text2sql.targets.errors import QueryFailed
from text2sql.targets.mysql.catalog import read_mysql
from text2sql.targets.mysql.failures import UNKNOWN_TIME_ZONE, connect_failure, error_number, statement_failure
from text2sql.targets.mysql.probe import probe_mysql
from text2sql.targets.mysql.values import mysql_column, mysql_reader
from text2sql.targets.pools import pools
from text2sql.targets.session import Answer, Probe

CONNECT_SECONDS = 10.0
LOCK_SECONDS = 5
GROUP_CONCAT_BYTES = 1024 * 1024
# As the guard prints: a backslash escapes, double quotes are a string, || is OR. What the server's own default adds
# for GROUP BY is kept: MySQL knows which columns depend on each other, MariaDB does not and leaves it off.
SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
SESSION_SETTINGS = (
    "SET SESSION sql_mode = %s, SESSION time_zone = %s, SESSION {time_limit} = %s, SESSION lock_wait_timeout = %s,"
    " SESSION innodb_lock_wait_timeout = %s, SESSION group_concat_max_len = %s, SESSION sql_select_limit = DEFAULT"
)

QUERY = re.compile(r"[\s(]*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)
# Strings and quoted names, as the session's sql_mode reads them; a comment is not left out, it may be executable.
QUOTED = re.compile(r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`""", re.DOTALL)
INTO = re.compile(r"\bINTO\b", re.IGNORECASE)


class MysqlSession:
    def __init__(self, connection: Connection, database: str) -> None:
        self._connection = connection
        self._database = database

    @contextmanager
    def run(self, sql: str, *, row_cap: int) -> Iterator[Answer]:
        _require_query(sql)
        driver = _driver(self._connection)
        with driver.cursor() as cursor:
            cursor.execute("SET SESSION sql_select_limit = %s", (row_cap + 1,))
        driver.decoders, decoders = {}, driver.decoders  # values are read from their text
        cursor = driver.cursor(SSCursor)
        try:
            cursor.execute(sql)
            fields = cursor._result.fields  # noqa: SLF001 the description leaves out what tells BLOB from TEXT
            columns = tuple(mysql_column(field) for field in fields)
            yield Answer(columns, [mysql_reader(field) for field in fields], cursor.fetchmany)
        finally:
            driver.decoders = decoders
            _close(cursor, self._connection)

    def plan_cost(self, sql: str) -> float | None:
        _require_query(sql)
        with _driver(self._connection).cursor() as cursor:
            cursor.execute(f"EXPLAIN FORMAT=JSON {sql}")
            return _cost(json.loads(cursor.fetchone()[0])["query_block"])

    def read_schema(self) -> Schema:
        return read_mysql(self._connection, self._database)

    def probe(self) -> Probe:
        return probe_mysql(self._connection)


class MysqlServer:
    errors = pymysql.MySQLError

    def configure(self, engine: Engine) -> None:
        event.listen(engine, "do_connect", _open)

    def begin(self, connection: Connection, deadline: Deadline, zone: ZoneInfo) -> None:
        driver = _driver(connection)
        deadline.watch(connection.info["kill"], descriptor=_descriptor(driver), grace=GRACE)
        try:
            _set_up(connection, deadline, "+00:00" if zone.key == "UTC" else zone.key)
        except DBAPIError as error:
            if error_number(error) != UNKNOWN_TIME_ZONE:
                raise
            # The server has no table of time zones: today's offset is right for today.
            _set_up(connection, deadline, _offset(zone))
        connection.exec_driver_sql("START TRANSACTION READ ONLY")

    def end(self, connection: Connection) -> None:
        connection.rollback()

    connect_failure = staticmethod(connect_failure)
    statement_failure = staticmethod(statement_failure)


@contextmanager
def open_mysql(url: URL, deadline: Deadline, zone: ZoneInfo) -> Iterator[MysqlSession]:
    with pools.session(url, MysqlServer(), deadline, zone) as connection:
        yield MysqlSession(connection, url.database or "")


def _offset(zone: ZoneInfo) -> str:
    digits = datetime.now(zone).strftime("%z")
    return f"{digits[:3]}:{digits[3:5]}"


def _set_up(connection: Connection, deadline: Deadline, zone: str) -> None:
    is_mariadb = "mariadb" in _driver(connection).get_server_info().lower()
    limit = deadline.seconds if is_mariadb else max(int(deadline.seconds * 1000), 1)
    mode = SQL_MODE if is_mariadb else f"{SQL_MODE},ONLY_FULL_GROUP_BY"
    lock = max(min(LOCK_SECONDS, int(deadline.seconds)), 1)
    settings = SESSION_SETTINGS.format(time_limit="max_statement_time" if is_mariadb else "max_execution_time")
    connection.exec_driver_sql(settings, (mode, zone, limit, lock, lock, GROUP_CONCAT_BYTES))


def _open(_dialect: object, record: Any, _arguments: list[Any], parameters: dict[str, Any]) -> Any:
    deadline = current_deadline()
    # What the driver takes from a URL is limited in urls.py; this holds whatever it says.
    fixed = {
        **parameters,
        "client_flag": 0,  # no several statements
        "local_infile": False,
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_SECONDS,
        "defer_connect": True,
        "program_name": "text2sql",
    }
    connection = pymysql.connect(**fixed)
    line = _dial(connection, min(CONNECT_SECONDS, deadline.seconds))
    # The driver waits for the server's greeting without a limit, so the deadline's thread stands by from here on.
    deadline.watch(lambda: None, descriptor=line.fileno())
    connection.connect(line)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")  # also after a COMMIT that nothing should let through
    record.info["kill"] = partial(_kill, fixed, connection.thread_id())
    return connection


def _dial(connection: Any, seconds: float) -> socket.socket:
    try:
        if connection.unix_socket:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            line.settimeout(seconds)
            line.connect(connection.unix_socket)
        else:
            line = socket.create_connection((connection.host, connection.port), seconds)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError as error:
        raise pymysql.OperationalError(2003, f"Can't connect ({error})") from error
    return line


def _kill(parameters: dict[str, Any], thread: int) -> None:
    patience = {"connect_timeout": CANCEL_PATIENCE, "read_timeout": CANCEL_PATIENCE, "write_timeout": CANCEL_PATIENCE}
    with suppress(pymysql.MySQLError, OSError):
        connection = pymysql.connect(**{**parameters, **patience, "defer_connect": False})
        with connection, connection.cursor() as cursor:
            cursor.execute("KILL QUERY %s", (thread,))


def _close(cursor: Any, connection: Connection) -> None:
    if cursor._result is not None and cursor._result.unbuffered_active:  # noqa: SLF001 the driver would read all the rest
        cursor._result.unbuffered_active = False  # noqa: SLF001 there is no public way to leave rows behind
        cursor.connection = None
        connection.invalidate()
    else:
        cursor.close()


def _require_query(sql: str) -> None:
    # The protocol takes one statement only, and the transaction none that writes. SET, COMMIT and INTO OUTFILE are
    # none of these, and a role may be allowed them.
    if not QUERY.match(sql) or INTO.search(QUOTED.sub("''", sql)):
        raise QueryFailed("The statement is not a query. Only queries can be run.")


def _cost(block: dict[str, Any]) -> float | None:
    told = block.get("cost_info", {}).get("query_cost") or block.get("cost")
    if told is not None:
        return float(told)
    product = 1.0
    for rows in _row_estimates(block):
        product *= max(rows, 1.0)
    return product


def _row_estimates(node: Any) -> Iterator[float]:
    if isinstance(node, dict):
        if "table_name" in node and "rows" in node:
            yield float(node["rows"])
        for key, child in node.items():
            if key != "materialized":
                yield from _row_estimates(child)
    elif isinstance(node, list):
        for child in node:
            yield from _row_estimates(child)


def _descriptor(driver: Any) -> int:
    return int(driver._sock.fileno())  # noqa: SLF001 the driver publishes no descriptor


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
