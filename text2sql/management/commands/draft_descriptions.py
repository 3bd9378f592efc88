import time
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from teams.models import Team
from text2sql.models import Database, DatabaseAccess, DraftRun
from text2sql.services.drafts import LEASE, draft_run
from text2sql.services.notes import draft_request

LOOK_SECONDS = 1.0


class Command(BaseCommand):
    help = "Has Claude draft the descriptions that a database lacks, at a team's expense; admins review them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("database", metavar="DATABASE")
        parser.add_argument("--team", required=True, help="the team that pays; what it sees is described")

    def handle(self, *args: Any, database: str, team: str, **options: Any) -> None:
        access = self._access(database, team)
        run = draft_request(database=access.database, team=access.team, actor="command:draft_descriptions")
        self.stderr.write(f"{database}: Claude drafts what is missing of what {team} sees.")
        # A worker may take the run first; then we only watch it.
        with ThreadPoolExecutor(max_workers=1) as pool:
            self._watch(run, pool)
        run.refresh_from_db()
        if run.state == DraftRun.State.FAILED:
            raise CommandError(f"{database}: stopped after {run.drafted} descriptions: {run.last_error}")
        self.stdout.write(f"{database}: {run.drafted} descriptions drafted; review them in the admin, Descriptions.")

    def _access(self, database: str, team: str) -> DatabaseAccess:
        if not Database.objects.filter(name=database).exists():
            known = ", ".join(Database.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no database {database}. Known: {known}.")
        if not Team.objects.filter(pk=team).exists():
            raise CommandError(
                f"There is no team {team}. Known: {', '.join(Team.objects.values_list('pk', flat=True))}."
            )
        access = DatabaseAccess.objects.select_related("database", "team").filter(database__name=database, team=team)
        if (found := access.first()) is None:
            raise CommandError(f"The database {database} is not open to the team {team}.")
        return found

    def _watch(self, run: DraftRun, pool: ThreadPoolExecutor) -> None:
        """Tell how far it is until it has ended."""
        doing, told = pool.submit(_do, run), 0
        while run.state in {DraftRun.State.PENDING, DraftRun.State.CLAIMED}:
            if doing.done():
                doing.result()
                time.sleep(LOOK_SECONDS)  # a worker is at it
            wait([doing], timeout=LOOK_SECONDS)
            run.refresh_from_db()
            if run.drafted != told:
                told = run.drafted
                self.stderr.write(f"{told} drafted")


def _do(run: DraftRun) -> None:
    try:
        for claimed in DraftRun.objects.filter(pk=run.pk).claim(limit=1, lease=LEASE):
            draft_run(claimed)
    finally:
        connection.close()  # this thread's own
