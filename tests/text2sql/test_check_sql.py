"""`manage.py check_sql`: lines in, lines out, without a database."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).parents[2]
CATALOG = {
    "tables": [
        {"schema": "shop", "name": "orders", "columns": [{"name": "id", "type": "int"}, {"name": "total"}]},
        {"schema": "shop", "name": "customers", "columns": [{"name": "id"}, {"name": "name", "comment": "whole name"}]},
    ]
}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(CATALOG))
    return path


def answers(monkeypatch: pytest.MonkeyPatch, lines: list[bytes], *arguments: str) -> list[dict[str, Any]]:
    stdin = io.TextIOWrapper(io.BytesIO(b"".join(line + b"\n" for line in lines)))
    monkeypatch.setattr(sys, "stdin", stdin)
    stdout = io.StringIO()
    call_command("check_sql", *arguments, stdout=stdout)
    return [json.loads(line) for line in stdout.getvalue().splitlines()]


def asked(*statements: str) -> list[bytes]:
    return [json.dumps({"sql": sql}).encode() for sql in statements]


def test_it_runs_where_there_is_no_database_and_no_setting() -> None:
    environment = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
    finished = subprocess.run(
        [sys.executable, "manage.py", "check_sql", "--dialect", "snowflake"],
        input=b"\n".join(asked("SELECT a FROM t", "USE ROLE x", "SELECT '\u00e4\U0001f600' FROM \"\u00e4\"")) + b"\n",
        capture_output=True,
        cwd=ROOT,
        env={**environment, "DATA_DIR": "/dev/null/none"},
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()
    assert [json.loads(line)["allowed"] for line in finished.stdout.splitlines()] == [True, False, True]


def test_each_line_gets_its_line_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answers(monkeypatch, asked("SELECT a FROM t", "DROP TABLE t", "SELECT 1"), "--dialect", "duckdb")
    assert [answer["allowed"] for answer in found] == [True, False, True]
    assert found[0] == {"allowed": True, "code": "", "reason": "", "findings": []}
    assert found[1]["code"] == "not_a_query"
    assert found[1]["reason"].startswith("Only a query is allowed")


def test_lines_that_cannot_be_read_are_answered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b"no json", b"", b"[]", b'{"sql": 3}', b"\xff\xfe", b"[" * 20_000, b'{"sql": "SELECT 1"}']
    found = answers(monkeypatch, lines, "--dialect", "postgres")
    assert [answer["code"] for answer in found] == ["bad_input"] * 6 + [""]


def test_an_unknown_dialect_ends_with_2_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match='"oracle" is not supported') as ended:
        answers(monkeypatch, asked("SELECT 1"), "--dialect", "oracle")
    assert ended.value.returncode == 2


def test_a_catalog_that_cannot_be_read_ends_with_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    for content, told in (("{", "is not JSON"), ('{"tables": 1}', "documented form"), ("", "is not JSON")):
        path.write_text(content)
        with pytest.raises(CommandError, match=told) as ended:
            answers(monkeypatch, [], "--dialect", "mysql", "--catalog", str(path))
        assert ended.value.returncode == 2
    path.unlink()
    with pytest.raises(CommandError, match="No such file"):
        answers(monkeypatch, [], "--dialect", "mysql", "--catalog", str(path))


@pytest.mark.parametrize("dialect", ["mysql", "postgres", "snowflake"])
def test_with_a_catalog_names_are_looked_up(monkeypatch: pytest.MonkeyPatch, catalog: Path, dialect: str) -> None:
    statements = {
        "SELECT o.total, c.name FROM shop.orders o JOIN customers c ON c.id = o.id": "",
        "SELECT total FROM orderz": "table_not_visible",
        "SELECT totl FROM orders": "column_not_visible",
        "SELECT id FROM shop.secret": "table_not_visible",
        "SELECT id FROM orders CROSS JOIN customers": "column_ambiguous",
        "SELECT pg_sleep(1) FROM orders": "function_not_allowed",
    }
    found = answers(monkeypatch, asked(*statements), "--dialect", dialect, "--catalog", str(catalog))
    assert [answer["code"] for answer in found] == list(statements.values())
    assert found[0]["findings"] == []
    assert "did you mean total?" in found[2]["reason"].lower()


def test_what_the_database_would_refuse_is_found_with_the_closest_names(
    monkeypatch: pytest.MonkeyPatch, catalog: Path
) -> None:
    lines = asked("SELECT totl FROM orders", "SELECT name, count(*) FROM customers")
    wrong_name, ungrouped = answers(monkeypatch, lines, "--dialect", "postgres", "--catalog", str(catalog))
    (finding,) = wrong_name["findings"]
    assert finding["severity"] == "error"
    assert finding["closest"] == ["orders.total"]
    assert finding["message"]
    assert ungrouped["allowed"]
    assert [finding["severity"] for finding in ungrouped["findings"]] == ["error"]
