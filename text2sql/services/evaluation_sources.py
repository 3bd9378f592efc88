"""Verified questions: from a file, from the demo's recorded ones, and from what a team has approved."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from text2sql.demo.questions import RECORDED
from text2sql.models import Example

SQL_NAMES = ("sql", "query")
LONGEST_FIELD = 1_000_000  # characters; the csv module's own limit is 131,072


class SourceUnreadable(Exception):
    """There are no questions to be had; the message says why."""


@dataclass(frozen=True)
class VerifiedQuestion:
    text: str
    sql: str
    """All that is accepted: statements with `;` between them, and `{a, b}` for a choice of columns."""


def questions_of_file(path: Path, *, database: str) -> list[VerifiedQuestion]:
    """The questions of a CSV file with a header, or of a file with a JSON object in each line.

    Needed are `question` and `sql` (or `query`, as Defog calls it). Where rows name a `db_name`, only those of
    `database` are taken. `instructions` follow the question.

    Raises:
        SourceUnreadable: The file cannot be read, a row lacks something, or no row is left.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(_csv_rows(file) if path.suffix.lower() == ".csv" else _json_rows(file))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise SourceUnreadable(f"{path}: {error}") from error
    found = [
        _question(path, number, row) for number, row in rows if not row.get("db_name") or row["db_name"] == database
    ]
    if found or not rows:
        return _some(found, str(path))
    names = ", ".join(sorted({str(row["db_name"]) for _, row in rows}))
    raise SourceUnreadable(f"{path} has no question of {database}; it has those of {names}.")


def questions_recorded(database: str) -> list[VerifiedQuestion]:
    """Those that the demo's databases come with. Raises SourceUnreadable."""
    found = [VerifiedQuestion(recorded.question, recorded.sql) for recorded in RECORDED.get(database, ())]
    if not found:
        raise SourceUnreadable(f"There are no recorded questions of {database}; there are of {', '.join(RECORDED)}.")
    return found


def questions_approved(*, team_id: str, database: str) -> list[VerifiedQuestion]:
    """What the team has approved as examples, the oldest first. Raises SourceUnreadable."""
    rows = Example.objects.filter(access__team=team_id, access__database__name=database).in_force()
    found = [VerifiedQuestion(row.question, row.sql) for row in rows.order_by("created_at", "id")]
    if not found:
        raise SourceUnreadable(f"{team_id} has no approved examples of {database} yet. Give a --file instead.")
    return found


def _csv_rows(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    csv.field_size_limit(LONGEST_FIELD)
    yield from enumerate(csv.DictReader(lines), 2)


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object")
            yield number, row


def _question(path: Path, number: int, row: Mapping[str, object]) -> VerifiedQuestion:
    text, sql = row.get("question"), next((row[name] for name in SQL_NAMES if row.get(name)), None)
    if isinstance(sql, list) and all(isinstance(each, str) for each in sql):
        sql = ";\n".join(sql)
    if not isinstance(text, str) or not isinstance(sql, str) or not text.strip() or not sql.strip():
        raise SourceUnreadable(f"{path}, line {number}: a question and its SQL are needed.")
    instructions = str(row.get("instructions") or "").strip()
    return VerifiedQuestion(f"{text.strip()}\n{instructions}" if instructions else text.strip(), sql.strip())


def _some(found: list[VerifiedQuestion], where: str) -> list[VerifiedQuestion]:
    if not found:
        raise SourceUnreadable(f"{where} holds no questions.")
    return found
