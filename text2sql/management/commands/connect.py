import re
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from observability.encryption import secret_encrypt
from teams.models import Team
from text2sql.models import Database
from text2sql.services.databases import database_add, target_probe
from text2sql.services.syncing import schema_sync
from text2sql.targets.errors import TargetError
from text2sql.targets.urls import target_url


class Command(BaseCommand):
    help = "Connects a database in one go: tests it, stores it, reads its tables, proposes first questions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", help="for example postgresql://reader:password@host:5432/sales")
        parser.add_argument("--team", required=True, help="slug of the team that may use it")
        parser.add_argument("--name", help="as clients name it; default: the database's own name")
        parser.add_argument("--description", default="", help="what is in it; Claude reads this too")

    def handle(self, *args: Any, url: str, team: str, name: str | None, description: str, **options: Any) -> None:
        owner = Team.objects.filter(pk=team).first()
        if owner is None:
            known = ", ".join(Team.objects.values_list("pk", flat=True)) or "none"
            raise CommandError(f"There is no team {team!r}. Known: {known}.")
        try:
            probe = target_probe(url)
            name = name or _name(url)
            self._check_name(name)
            self.stdout.write(f"Connected to {probe.database} ({probe.dialect} {probe.server_version}).")
            for warning in probe.warnings:
                self.stderr.write(f"Warning: {warning}")
            database = database_add(name=name, url=url, description=description, teams=[owner], actor="command:connect")
        except TargetError as error:
            raise CommandError(str(error)) from error
        self._sync(database)

    def _check_name(self, name: str) -> None:
        candidate = Database(name=name, dialect="postgres", encrypted_url=secret_encrypt("", bound_to=""))
        try:
            candidate.full_clean(exclude=["dialect", "encrypted_url"])
        except ValidationError as error:
            why = " ".join(error.messages)
            raise CommandError(f"{name!r} cannot be its name; give another with --name. {why}") from error

    def _sync(self, database: Database) -> None:
        catalog = schema_sync(database.pk)
        database.refresh_from_db()
        if catalog is None:
            raise CommandError(f"Stored as {database.name}, but its tables could not be read: {database.sync_error}")
        self.stdout.write(f"Stored as {database.name}: {len(catalog.schema.tables)} tables read. Try:")
        for question in database.starter_questions:
            self.stdout.write(f"  - {question}")


def _name(url: str) -> str:
    """The database's or the file's own name, as far as ours may look like it."""
    own = (target_url(url).database or "").rsplit("/", 1)[-1].partition(".")[0]
    return re.sub(r"[^a-z0-9_]+", "_", own.lower()).strip("_")
