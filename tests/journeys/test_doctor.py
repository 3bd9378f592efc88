"""The doctor beside a real worker, on the file broker or, where REDIS_URL is set, on Redis."""

from pathlib import Path

import pytest
from django.conf import settings as django_settings

from observability.services.doctor import Level, worker_look
from tests.processes import celery_running

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_a_worker_takes_the_doctors_message(tmp_path: Path) -> None:
    # The worker of this test uses the folder, or the Redis, of this process.
    with celery_running(tmp_path, DATA_DIR=str(django_settings.DATA_DIR)):
        found = worker_look()
    assert found.level == Level.OK, (tmp_path / "celery.log").read_text()
