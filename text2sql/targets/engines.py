"""Sessions with target databases: read-only, limited in time, always rolled back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from zoneinfo import ZoneInfo

from sqlalchemy.engine import URL

from text2sql.targets.deadlines import Deadline, open_deadline
from text2sql.targets.duckdb.session import open_duckdb
from text2sql.targets.mysql.session import open_mysql
from text2sql.targets.postgres.session import open_postgres
from text2sql.targets.session import Session
from text2sql.targets.sqlite.session import open_sqlite
from text2sql.targets.urls import Dialect, target_dialect, target_url

OPENERS: dict[Dialect, Callable[[URL, Deadline, ZoneInfo], AbstractContextManager[Session]]] = {
    "postgres": open_postgres,
    "sqlite": open_sqlite,
    "mysql": open_mysql,
    "duckdb": open_duckdb,
}


@contextmanager
def open_target(
    url: str, *, timeout: float, time_zone: str = "UTC", is_cancelled: Callable[[], bool] | None = None
) -> Iterator[Session]:
    """A session inside a read-only transaction that is rolled back at the end.

    `timeout` is seconds for everything done with it; connecting has a limit of its own. `time_zone` is the one in
    which the database tells today and the time; SQLite knows UTC only. `is_cancelled` is asked a few times a second,
    by another thread too. Raises only `TargetError`s, for what the body does with the session too; and `KeyError` for a
    time zone that does not exist.
    """
    zone = ZoneInfo(time_zone)
    with (
        open_deadline(timeout, is_cancelled) as deadline,
        OPENERS[target_dialect(url)](target_url(url), deadline, zone) as session,
    ):
        yield session
