"""manage.py ask: SQL or a table on stdout, progress on stderr, problems as a sentence and an exit code."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from teams.models import Charge
from tests.factories import BudgetFactory, TeamFactory, make_database
from tests.processes import PROJECT, child_environment
from text2sql.demo.claude import ClaudeStandIn
from text2sql.management.commands.ask import table_lines
from text2sql.models import Execution, Generation
from text2sql.targets.run import QueryResult
from text2sql.targets.session import ResultColumn

pytestmark = pytest.mark.django_db(transaction=True)

SQL = "SELECT name, region FROM customers ORDER BY name"
QUESTION = "Who are the customers?"


@pytest.fixture(autouse=True)
def database(shop: Path) -> None:
    make_database(shop, TeamFactory(slug="sales"))


def ask(*arguments: str) -> tuple[str, str]:
    out, told = io.StringIO(), io.StringIO()
    call_command("ask", *arguments, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def test_sql_is_all_there_is_on_stdout(claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="All of them.")
    out, told = ask("shop", QUESTION)
    assert out == f"{SQL}\n"
    assert "attempt 1 (first, claude-sonnet-5-5)" in told
    assert "whole_schema, 2 tables" in told
    assert "All of them." in told
    generation = Generation.objects.get()
    assert (generation.team_id, generation.api_key, generation.cost_usd) == ("sales", None, claude.billed[0].cost)
    assert Charge.objects.get().team_id == "sales"
    again, told = ask("shop", QUESTION)
    assert again == out
    assert "from the cache" in told


def test_rows_come_as_a_table(claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    out, told = ask("shop", QUESTION, "--execute")
    assert out.splitlines() == ["name  region", "----  ------", "Ada   north", "Bert  south"]
    assert SQL in told
    assert "2 rows" in told
    assert Execution.objects.get().actor == "command:ask"


def test_a_table_keeps_its_shape() -> None:
    rows: list[list[Any]] = [[1, None], ["two\nlines", "x" * 100]]
    lines = table_lines(QueryResult((ResultColumn("a", ""), ResultColumn("long", "")), rows, False, 1))
    assert lines[2] == "1"
    assert lines[3] == f"two lines  {'x' * 59}…"
    assert table_lines(QueryResult((ResultColumn("a", ""),), [], False, 1)) == ["a", "-"]


def test_a_session_carries_on(claude: ClaudeStandIn) -> None:
    claude.play("answer", sql=SQL, explanation="x", times=2)
    ask("shop", QUESTION, "--session", "mine")
    ask("shop", "Only the north?", "--session", "mine")
    second, first = Generation.objects.all()
    assert second.parent == first


def test_a_problem_is_its_sentence(claude: ClaudeStandIn) -> None:
    BudgetFactory(team_id="sales", limit_usd="0.0001")
    with pytest.raises(CommandError, match="budget") as raised:
        ask("shop", QUESTION)
    assert raised.value.returncode == 1
    assert claude.requests == []


def test_no_sql_is_another_exit_code(claude: ClaudeStandIn) -> None:
    claude.play("answer", sql="", status="clarify", explanation="Which ones?", choices=("new", "old"))
    with pytest.raises(CommandError, match="new, old") as raised:
        ask("shop", QUESTION)
    assert raised.value.returncode == 2


def test_rows_that_cannot_be_had_are_a_problem(claude: ClaudeStandIn, shop: Path) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    shop.unlink()
    with pytest.raises(CommandError, match="shop"):
        ask("shop", QUESTION, "--execute")


def test_whose_database_it_is_must_be_clear(claude: ClaudeStandIn, shop: Path) -> None:
    with pytest.raises(CommandError, match="No team may use a database nowhere"):
        ask("nowhere", QUESTION)
    make_database(shop, TeamFactory(slug="sales"), TeamFactory(slug="ops"), name="shared")
    with pytest.raises(CommandError, match=r"--team \(ops, sales\)"):
        ask("shared", QUESTION)
    claude.play("answer", sql=SQL, explanation="x")
    assert ask("shared", QUESTION, "--team", "ops")[0] == f"{SQL}\n"
    assert Generation.objects.get().team_id == "ops"
    with pytest.raises(CommandError, match="no such database"):
        ask("shop", QUESTION, "--team", "ops")


def test_at_a_terminal_the_sql_is_seen_while_it_is_written(claude: ClaudeStandIn, tmp_path: Path) -> None:
    claude.play("answer", sql=SQL, explanation="x")
    terminal, end = pty.openpty()
    run = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "manage.py", "ask", "shop", QUESTION],
        cwd=PROJECT, env=child_environment(tmp_path), stdout=subprocess.PIPE, stderr=end, check=True, timeout=100,
    )  # fmt: skip
    os.close(end)
    seen = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert run.stdout.decode() == f"{SQL}\n"
    assert SQL in seen
