"""Reads the structure of a target database: what the role may SELECT, in stable order, in a handful of queries."""

from text2sql.pipeline.schema import Schema
from text2sql.targets.engines import open_target


def read_schema(url: str, *, timeout: float) -> Schema:
    """All tables and views that the role may read, sorted by schema and name; `timeout` in seconds.

    Raises `TargetError`s only.
    """
    with open_target(url, timeout=timeout) as session:
        return session.read_schema()
