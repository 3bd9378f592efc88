import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from text2sql.demo.load import DemoLoadError
from text2sql.demo.seed import demo_seed


class Command(BaseCommand):
    help = "Makes the demo teams, their databases, people and keys. Again it changes only the readers' passwords."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was made as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            seeded = demo_seed(today=timezone.now().date())
        except DemoLoadError as error:
            raise CommandError(f"{error} Start with --no-demo to go without.") from error
        if options["json"]:
            self.stdout.write(json.dumps(seeded.as_json()))
            return
        for login in seeded.logins.values():
            self.stdout.write(f"{login['username']} / {login['password']}")
        for team, token in seeded.keys.items():
            self.stdout.write(f"{team}: {token}")
