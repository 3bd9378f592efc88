import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from sqlglot import exp

from text2sql.pipeline.catalog_file import catalog_read
from text2sql.pipeline.check import statement_findings
from text2sql.pipeline.finding import Finding
from text2sql.pipeline.guard import GuardRefusal, guard_statement, supported_dialects
from text2sql.pipeline.schema import Schema

HELP = """Says of each SQL statement whether it may run, and what the database would refuse. Needs no database.

Reads {"sql": "…"} a line from stdin and writes a line to stdout, in order:
  {"allowed": true, "code": "", "reason": "", "findings": []}
  {"allowed": false, "code": "parameter", "reason": "Write values into the statement; …", "findings": []}
A line that cannot be read is not allowed, with the code bad_input.

Without a catalog every table passes that is no catalog table and no path, columns are not looked up and nothing is
found. A finding is {"severity": "error" or "warning", "code", "message", "closest": […]}.
CATALOG is JSON: {"tables": [{"schema", "name", "comment", "columns": [{"name", "type", "comment"}], "primary_key": […],
"foreign_keys": [{"columns", "references_schema", "references_table", "references_columns"}]}]}
"""


class Command(BaseCommand):
    help = HELP
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dialect", required=True, metavar="D", help=", ".join(supported_dialects()))
        parser.add_argument("--catalog", type=Path, metavar="FILE")

    def handle(self, *args: Any, dialect: str, catalog: Path | None, **options: Any) -> None:
        if dialect not in supported_dialects():
            known = ", ".join(supported_dialects())
            raise CommandError(f'The dialect "{dialect}" is not supported. Supported are {known}.', returncode=2)
        try:
            schema = _with_default(catalog_read(catalog, dialect)) if catalog else None
        except (OSError, ValueError) as error:
            raise CommandError(str(error), returncode=2) from error
        for line in sys.stdin.buffer:
            self.stdout.write(json.dumps(_answer(line, dialect, schema)))
            self.stdout.flush()


def _with_default(schema: Schema) -> Schema:
    """Where all tables lie in one schema, a name without one means it."""
    places = {table.schema for table in schema.tables}
    return replace(schema, default_schema=places.pop()) if len(places) == 1 else schema


def _answer(line: bytes, dialect: str, schema: Schema | None) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    sql = row.get("sql") if isinstance(row, dict) else None
    if not isinstance(sql, str):
        return _document("bad_input", 'The line is not of the form {"sql": "…"}.')
    try:
        guarded = guard_statement(sql, schema=schema, dialect=dialect)
    except GuardRefusal as refusal:
        return _document(refusal.code, refusal.message, _findings(refusal.tree, schema, sql))
    return _document("", "", _findings(guarded.tree, schema, sql))


def _findings(tree: exp.Expr | None, schema: Schema | None, sql: str) -> list[Finding]:
    return statement_findings(tree, schema, sql=sql) if tree is not None and schema is not None else []


def _document(code: str, reason: str, findings: Sequence[Finding] = ()) -> dict[str, Any]:
    told = [finding.as_document() for finding in findings]
    return {"allowed": not code, "code": code, "reason": reason, "findings": told}
