"""`manage.py rank_tables` as a process: a line for a line, and no database anywhere near."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # a process for each

ROOT = Path(__file__).parents[2]

CATALOG = {
    "tables": [
        {"schema": "crm", "name": "customers", "columns": [{"name": "id", "type": "int"}], "primary_key": ["id"]},
        {
            "schema": "sales", "name": "orders", "comment": None,
            "columns": [{"name": "amount", "type": "numeric", "comment": "in euros"}],
            "foreign_keys": [{"columns": ["c"], "references_schema": "crm", "references_table": "customers",
                              "references_columns": ["id"]}],
        },
        {"name": "zz_plain", "columns": []},
    ]
}  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(CATALOG))
    return path


def run(tmp_path: Path, lines: bytes, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "text2sql.settings",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
    }  # fmt: skip
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "manage.py", "rank_tables", *arguments],
        cwd=ROOT, env=environment, input=lines.decode("utf-8", "surrogateescape"), capture_output=True, text=True,
        errors="surrogateescape", timeout=60, check=False,
    )  # fmt: skip


def tables(result: "subprocess.CompletedProcess[str]") -> list[Any]:
    return [json.loads(line)["tables"] for line in result.stdout.splitlines()]


def test_each_question_gets_its_line(tmp_path: Path, catalog: Path) -> None:
    lines = b'{"question": "amount of orders"}\n{"question": ""}\n{"question": "the customers"}'
    result = run(tmp_path, lines, "--catalog", str(catalog), "--top", "2")
    assert result.returncode == 0, result.stderr
    ranked = tables(result)
    assert ranked[0] == ["sales.orders", "crm.customers"]
    assert len(ranked[1]) == 2
    assert ranked[2][0] == "crm.customers"


def test_a_line_that_cannot_be_read_keeps_its_place(tmp_path: Path, catalog: Path) -> None:
    lines = b'nonsense\n[1]\n{"question": 5}\n\n{"question": "orders"}\n'
    result = run(tmp_path, lines, "--catalog", str(catalog), "--top", "1")
    assert tables(result) == [[], [], [], [], ["sales.orders"]]
    assert result.returncode == 1


@pytest.mark.parametrize("written", [json.dumps, lambda rows: "\n".join(map(json.dumps, rows))])
def test_examples_are_learnt_from(tmp_path: Path, catalog: Path, written: Any) -> None:
    examples = tmp_path / "examples"
    examples.write_text(written([{"question": "Who are the laggards?", "sql": "SELECT * FROM zz_plain"}]))
    question = b'{"question": "Who are the laggards today?"}'
    assert tables(run(tmp_path, question, "--catalog", str(catalog), "--top", "1")) != [["zz_plain"]]
    result = run(tmp_path, question, "--catalog", str(catalog), "--top", "1", "--examples", str(examples))
    assert tables(result) == [["zz_plain"]]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"tables": 5}', '{"tables": [{"columns": []}]}', '{"tables": [{"name": "t"}]}']
)
def test_a_catalog_of_another_form_is_refused_in_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(content)
    result = run(tmp_path, b"", "--catalog", str(path))
    assert result.returncode == 1
    assert "CommandError" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_file_and_a_top_below_one_are_refused(tmp_path: Path, catalog: Path) -> None:
    assert run(tmp_path, b"", "--catalog", str(tmp_path / "none")).returncode == 1
    assert run(tmp_path, b"", "--catalog", str(catalog), "--top", "0").returncode == 1


def test_the_help_says_what_the_files_look_like(tmp_path: Path) -> None:
    told = run(tmp_path, b"", "--help").stdout
    assert all(word in told for word in ('"question"', '"sql"', '"tables"', '"references_table"'))
