"""Lets a target's planner judge a statement without running it."""

from text2sql.targets.engines import open_target
from text2sql.targets.run import require_statement


def plan_cost(url: str, sql: str, *, dialect: str, timeout: float, time_zone: str = "UTC") -> float | None:
    """What the planner puts the statement at; None where it tells no cost.

    The unit is the database's own: the planner's cost in PostgreSQL, MySQL and MariaDB from 11; in older MariaDB the
    row combinations it expects to look at, in DuckDB the rows that pass through the plan's steps. SQLite tells none.
    `timeout` is in seconds. Raises `QueryFailed` with the database's words where the statement is wrong, and other
    `TargetError`s where the database cannot be asked.
    """
    require_statement(url, sql, dialect)
    with open_target(url, timeout=timeout, time_zone=time_zone) as session:
        return session.plan_cost(sql)
