import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from text2sql.pipeline.catalog_file import catalog_read
from text2sql.pipeline.retrieval import EncoderMissing, Index, examples_read, sentence_encoder

HELP = """Ranks a catalog's tables for each question. Needs no database.

Reads {"question": "…"} a line from stdin and writes {"tables": ["schema.name", …]} a line to stdout, the likeliest
first. A line that cannot be read gets {"tables": [], "error": "…"} in its place, and the command ends with status 1.

CATALOG is JSON: {"tables": [{"schema", "name", "comment", "columns": [{"name", "type", "comment"}], "primary_key": […],
"foreign_keys": [{"columns", "references_schema", "references_table", "references_columns"}]}]}

EXAMPLES are approved questions, as a JSON list or a JSON object a line, each with "question" and one or both of
  "tables"  the names of the tables that answer it, ["schema.name", …]; taken where both are there
  "sql"     the query that answers it, in any dialect
"""


class Command(BaseCommand):
    help = HELP
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--catalog", type=Path, required=True, metavar="FILE")
        parser.add_argument("--top", type=int, default=20, metavar="N", help="tables for each question (default: 20)")
        parser.add_argument("--examples", type=Path, metavar="FILE")
        parser.add_argument(
            "--encoder",
            metavar="MODEL",
            help="a sentence-transformers model, by name or folder, for likeness in meaning",
        )

    def handle(
        self, *args: Any, catalog: Path, top: int, examples: Path | None, encoder: str | None, **options: Any
    ) -> None:
        if top < 1:
            raise CommandError("--top must be 1 or more.")
        try:
            # The dialect is of no account here: no SQL is written, and that of examples is read in whichever parses.
            schema = catalog_read(catalog, "postgres")
            remembered = examples_read(examples.read_text(), schema) if examples else []
            meaning = sentence_encoder(encoder) if encoder else None
        except (OSError, ValueError, EncoderMissing) as error:
            raise CommandError(str(error)) from error
        index = Index.build(schema, remembered, encoder=meaning)
        failed = sum(not self._answer(index, line, top) for line in sys.stdin)
        if failed:
            raise CommandError(f"Lines that could not be read: {failed}.")

    def _answer(self, index: Index, line: str, top: int) -> bool:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        question = row.get("question") if isinstance(row, dict) else None
        answer: dict[str, Any] = {"tables": [], "error": 'Not of the form {"question": "…"}.'}
        if isinstance(question, str):
            answer = {"tables": index.rank(question, top)}
        self.stdout.write(json.dumps(answer, ensure_ascii=False))
        self.stdout.flush()
        return isinstance(question, str)
