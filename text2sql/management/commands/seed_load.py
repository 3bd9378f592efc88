import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from text2sql.demo.load_rows import rows_known, rows_load


class Command(BaseCommand):
    help = "Makes teams and a great many made-up questions of theirs, to try lists and pages with. Never in production."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--generations", type=int, required=True, help="how many questions")
        parser.add_argument("--teams", type=int, default=200, help="how many teams ask them, at most 999")
        parser.add_argument("--yes", action="store_true", help="also into a database that has other rows")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("Made-up questions are for trying out only: DEBUG is off here.")
        if options["generations"] < 1 or not 1 <= options["teams"] <= 999:
            raise CommandError("Give at least one question, and from 1 to 999 teams.")
        if rows_known() and not options["yes"]:
            raise CommandError("This database has other rows, which made-up ones would be mixed with. --yes does so.")
        began = time.monotonic()

        def tell(done: int, of: int) -> None:
            self.stdout.write(f"{done:,} of {of:,} questions, {time.monotonic() - began:.0f} s")

        loaded = rows_load(generations=options["generations"], teams=options["teams"], now=timezone.now(), tell=tell)
        self.stdout.write(
            f"{loaded.generations:,} questions, {loaded.attempts:,} attempts, {loaded.charges:,} charges and"
            f" {loaded.feedback:,} of feedback in {time.monotonic() - began:.0f} s"
        )
