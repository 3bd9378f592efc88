"""The guard against lists of attacks and of legitimate queries, with its figures.

The view of a row is permissive: every table that its own tree names, plus `users` and `orders`, columns unchecked, so
that only the rules decide and never the table list. Rows marked `policy_only` are exactly those that a table list or a
limit must stop; they get a view of `users` and `orders` alone.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Schema, Table

CORPUS = Path(__file__).parents[3] / ".." / "shared" / "data" / "guard"
DIALECTS = ("postgres", "sqlite")
DEFAULT = {"postgres": "public", "sqlite": None}


def rows_of(name: str) -> list[dict[str, Any]]:
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"the corpus {name} is not on this machine")
    rows = map(json.loads, path.read_text().splitlines())
    return [row for row in rows if row["dialect"] in DIALECTS]


def view_of(row: dict[str, Any]) -> Schema:
    dialect = row["dialect"]
    named = set() if row.get("policy_only") else named_tables(row["sql"], dialect)
    tables = sorted(named | {("", "users"), ("", "orders")})
    return Schema(dialect, tuple(Table(name, (), schema=schema or None) for schema, name in tables), DEFAULT[dialect])


def named_tables(sql: str, dialect: str) -> set[tuple[str, str]]:
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except SqlglotError:
        return set()
    named = [table for tree in trees for table in tree.find_all(exp.Table) if isinstance(table.this, exp.Identifier)]
    return {(_fold(table.args.get("db"), dialect), _fold(table.this, dialect)) for table in named}


def _fold(identifier: exp.Expr | None, dialect: str) -> str:
    if identifier is None or (dialect == "postgres" and identifier.name == "public"):
        return ""
    keep = identifier.args.get("quoted") and dialect == "postgres"
    return identifier.name if keep else identifier.name.lower()


def is_refused(row: dict[str, Any]) -> bool:
    try:
        guard_statement(row["sql"], schema=view_of(row))
    except GuardRefusal:
        return True
    return False


def test_at_least_99_percent_of_the_attacks_are_refused() -> None:
    rows = rows_of("attacks.jsonl")
    passed = [f"{row['dialect']}: {row['sql']}" for row in rows if not is_refused(row)]
    assert len(rows) > 80
    assert len(passed) <= len(rows) * 0.01, "\n".join(passed)


def test_at_least_99_percent_of_the_legitimate_queries_are_accepted() -> None:
    rows = rows_of("legit.jsonl")
    refused = [f"{row['dialect']}: {row['sql']}" for row in rows if is_refused(row)]
    assert len(rows) > 100
    assert len(refused) <= len(rows) * 0.01, "\n".join(refused)
