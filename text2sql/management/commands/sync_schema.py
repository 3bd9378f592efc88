from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from text2sql.models import Database
from text2sql.services.syncing import schema_sync


class Command(BaseCommand):
    help = "Reads the tables and columns of the named databases (all of them where none is named)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME")

    def handle(self, *args: Any, names: list[str], **options: Any) -> None:
        known = {database.name: database for database in Database.objects.all()}
        if unknown := sorted(set(names) - set(known)):
            names_known = ", ".join(sorted(known)) or "none"
            raise CommandError(f"There is no database {', '.join(unknown)}. Known: {names_known}.")
        failed = [name for name in names or sorted(known) if not self._sync(known[name])]
        if failed:
            raise CommandError(f"Not read: {', '.join(failed)}.")

    def _sync(self, database: Database) -> bool:
        catalog = schema_sync(database.pk)
        if catalog is None:
            database.refresh_from_db(fields=["sync_error"])
            self.stderr.write(f"{database.name}: {database.sync_error}")
            return False
        self.stdout.write(f"{database.name}: {len(catalog.schema.tables)} tables, version {catalog.schema_version}")
        return True
