"""The Celery application; its schedule is in settings, its tasks in each app's tasks.py."""

import os
from pathlib import Path

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "text2sql.settings")

app = Celery("text2sql")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

for folder in getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}).values():
    Path(folder).mkdir(parents=True, exist_ok=True)
