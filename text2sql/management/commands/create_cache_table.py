from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from text2sql.cache.table import TableError, table_ensure


class Command(BaseCommand):
    help = "Creates the DynamoDB table CACHE_TABLE_NAME for the answer cache; running it again changes nothing."
    # It may run where there are AWS credentials and little else.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            created = table_ensure()
        except TableError as error:
            raise CommandError(str(error)) from error
        state = "was created" if created else "already exists"
        self.stdout.write(f"The table {settings.CACHE_TABLE_NAME} {state} and is active in {settings.AWS_REGION}.")
