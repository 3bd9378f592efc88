from typing import Any

from django.core.management.base import BaseCommand, CommandError

from observability.encryption import UnreadableSecret
from observability.services.alert_channels import channel_secrets_rotate
from text2sql.services.databases import encryption_rotate


class Command(BaseCommand):
    help = "Re-encrypts every stored secret with the first key in ENCRYPTION_KEYS; then the old keys can go."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = encryption_rotate() + channel_secrets_rotate()
        except UnreadableSecret as error:
            hint = "Nothing is lost: put the old key back behind the new one and run this again."
            raise CommandError(f"{error} {hint}") from error
        self.stdout.write(f"{count} secrets are now under the newest key.")
