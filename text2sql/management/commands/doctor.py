"""`manage.py doctor`: looks at everything that an installation needs, and says what to do."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand
from django.db import DatabaseError

from observability.services import doctor as house
from observability.services import langfuse_doctor as langfuse
from observability.services.doctor import Finding, Level, Look, looks_run, without_database
from text2sql.services import doctor as questions


class Command(BaseCommand):
    """Exit code 1 when anything failed; warnings are no failure."""

    help = "Look at database, broker, worker, schedule, cache, Claude, Langfuse and the teams' databases."
    requires_system_checks = []  # they are one of its lines

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")

    def handle(self, *, json: bool, **options: Any) -> None:
        findings = _findings()
        self.stdout.write(_document(findings) if json else self._table(findings))
        if any(finding.level == Level.FAIL for finding in findings):
            sys.exit(1)

    def _table(self, findings: list[Finding]) -> str:
        styles = {Level.OK: self.style.SUCCESS, Level.WARN: self.style.WARNING, Level.FAIL: self.style.ERROR}
        width = max(len(finding.name) for finding in findings)
        lines = []
        for finding in findings:
            lines.append(f"{styles[finding.level](f'{finding.level:<4}')}  {finding.name:<{width}}  {finding.told}")
            if finding.hint:
                lines.append(f"{'':<{width + 8}}→ {finding.hint}")
        counts = {level: sum(finding.level == level for finding in findings) for level in Level}
        summary = ", ".join(f"{count} {level}" for level, count in counts.items())
        return "\n".join([*lines, "", summary])


def _findings() -> list[Finding]:
    (database,) = looks_run([Look("database", house.database_look)])
    if database.level == Level.FAIL:
        looks = [*house.looks(), *langfuse.looks(), *questions.fixed_looks()]
        return [database, *looks_run([without_database(look) for look in looks])]
    return [database, *looks_run([*house.looks(), *langfuse.looks(), *_question_looks()])]


def _question_looks() -> list[Look]:
    try:
        return questions.looks()
    except DatabaseError:  # it has no tables yet: the line of the migrations says so
        return questions.fixed_looks()


def _document(findings: list[Finding]) -> str:
    rows = [{"name": one.name, "level": one.level, "told": one.told, "hint": one.hint} for one in findings]
    return json.dumps(rows, indent=2, ensure_ascii=False)
