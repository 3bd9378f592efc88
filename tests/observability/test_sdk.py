"""The worker's threads meet Langfuse's SDK for the first time all at once: after every start of the worker."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.utils import timezone

from observability.models import Score, Trace
from observability.services.scores import score_record
from observability.services.traces import ObservationRecord, TraceRecord, trace_record
from tests.processes import PROJECT, child_environment
from tests.standins.langfuse import LangfuseStandIn

FIRST_RUN = """
import threading
import django
django.setup()
from observability import tasks
from observability.services.costs import costs_read
from django.utils import timezone
from datetime import timedelta

def costs():
    costs_read(starts_at=timezone.now() - timedelta(days=1), ends_at=timezone.now())

start = threading.Barrier(3)
def run(task):
    start.wait()
    task()

threads = [threading.Thread(target=run, args=(task,)) for task in (tasks.export_traces, tasks.export_scores, costs)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.django_db(transaction=True)
def test_threads_that_begin_at_once_do_not_trip_over_its_imports(langfuse: LangfuseStandIn, tmp_path: Path) -> None:
    now = timezone.now()
    root = ObservationRecord(key="root", name="text2sql_generation", started_at=now, ended_at=now)
    trace_record(TraceRecord(seed="first", name="text2sql_generation", user_id="sales", observations=[root]))
    score_record(score_id="first", trace_id="0" * 32, name="user_feedback", value=1, data_type="BOOLEAN")
    ran = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", FIRST_RUN],
        cwd=PROJECT,
        env=child_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Traceback" not in ran.stderr
    assert Trace.objects.get().state == Trace.State.DELIVERED
    assert Score.objects.get().state == Score.State.DELIVERED
