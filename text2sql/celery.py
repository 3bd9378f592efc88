"""The Celery application; its schedule is in settings, its tasks in each app's tasks.py."""

import os
from contextlib import suppress
from pathlib import Path

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "text2sql.settings")

app = Celery("text2sql")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# The file transport wants its folders. Where they cannot be made, the start command says so in a sentence.
with suppress(OSError):
    for folder in getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}).values():
        settings.DATA_DIR.mkdir(mode=0o700, exist_ok=True)
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
