import logging
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from observability.logging import QUESTIONS
from teams.access import Principal
from text2sql.models import DatabaseAccess, Generation
from text2sql.problems import Problem
from text2sql.services.events import Event
from text2sql.services.generation import Question
from text2sql.services.questions import Answered, Asked, question_answer
from text2sql.targets.run import QueryResult

NO_SQL = 2
"""The exit code where Claude asks back or cannot answer."""
WIDEST = 60
"""Characters of a cell that are shown."""


class Command(BaseCommand):
    help = "Asks a database a question, as the API does: SQL on stdout, or rows with --execute; progress on stderr."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("database")
        parser.add_argument("question")
        parser.add_argument("--team", help="whose view and budget; needed where several teams may use the database")
        parser.add_argument("--execute", action="store_true", help="run the SQL and show its rows")
        parser.add_argument("--session", default="", help="a name for a conversation, to ask on where it ended")

    def handle(
        self, *args: Any, database: str, question: str, team: str | None, execute: bool, session: str, **options: Any
    ) -> None:
        _logs_to_stderr()
        team_id = team or self._team(database)
        principal = Principal(actor="command:ask", is_admin=True, team_ids=frozenset({team_id}))
        asked = Asked(principal, Question(team_id, database, question, session), execute)
        try:
            answered = question_answer(asked, listener=self._tell)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self._show(answered)

    def _team(self, database: str) -> str:
        teams = list(
            DatabaseAccess.objects.filter(database__name=database).order_by("team").values_list("team", flat=True)
        )
        if not teams:
            raise CommandError(f"No team may use a database {database}, or there is none.")
        if len(teams) > 1:
            raise CommandError(f"Several teams may use {database}: name one with --team ({', '.join(teams)}).")
        return str(teams[0])

    def _tell(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "context":
                self._say(f"{data['strategy']}, {len(data['tables'])} tables: {data['reason']}")
            case "attempt":
                self._say(f"attempt {data['number']} ({data['kind']}, {data['model']})")
            case "sql" if sys.stderr.isatty():
                self.stderr.write(data["delta"], ending="")
            case "finding":
                self._say(f"{data['code']}: {data['message']}")

    def _show(self, answered: Answered) -> None:
        generation, outcome = answered.generation, answered.outcome
        self._say(generation.explanation)
        self._say(f"{generation.status}{' from the cache' if generation.cached else ''}, ${generation.cost_usd:f}")
        if generation.status != Generation.Status.SUCCEEDED:
            choices = f" ({', '.join(generation.choices)})" if generation.choices else ""
            raise CommandError(f"There is no SQL{choices}.", returncode=NO_SQL)
        if outcome is None:
            self.stdout.write(generation.sql)
            return
        self._say(generation.sql)
        if outcome.result is None:
            raise CommandError(outcome.problem.detail if outcome.problem else "The query brought no rows.")
        for line in table_lines(outcome.result):
            self.stdout.write(line)
        more = ", and there are more" if outcome.result.truncated else ""
        self._say(f"{len(outcome.result.rows)} rows{more}")

    def _say(self, text: str) -> None:
        # BaseCommand paints what goes to stderr red, which is for errors.
        self.stderr.write(text, style_func=str)


def _logs_to_stderr() -> None:
    """The question's line in the log is progress too: stdout is for the answer."""
    for handler in logging.getLogger(QUESTIONS).handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)


def table_lines(result: QueryResult) -> list[str]:
    """The result as lines of text, in columns."""
    rows = [[column.name for column in result.columns], *([_shown(value) for value in row] for row in result.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(result.columns))]
    rows.insert(1, ["-" * width for width in widths])
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _shown(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
