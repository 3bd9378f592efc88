"""A thousand traces and three hundred scores through a server that fails at random: each is there once in the end."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from observability.models import Channel, Score, Trace
from observability.services.backlog import backlog
from observability.services.deliveries import ExportOutcome, drain
from observability.services.scores import scores_export
from observability.services.sightings import scores_reconcile, traces_reconcile
from observability.services.traces import traces_export
from tests.observability.clock import time_passes
from tests.observability.ledger import Ledger, assert_each_there_once
from tests.processes import PROJECT, child_environment
from tests.standins.langfuse import LangfuseStandIn

pytestmark = pytest.mark.slow

TRACES = "/api/public/otel/v1/traces"
SCORES = "/api/public/scores"


def export() -> tuple[ExportOutcome, ExportOutcome]:
    return drain(traces_export), drain(scores_export)


def waiting() -> int:
    now = backlog()
    return now.pending_traces + now.pending_scores


def heal(lf: LangfuseStandIn, *, look: bool = True) -> None:
    """The server is well again; time passes until nothing waits and everything was seen."""
    for _ in range(60):
        export()
        if not waiting():
            break
        time_passes(lf, 31)
    assert not waiting()
    for _ in range(60):
        if not look or not unseen():
            break
        time_passes(lf, 660)
        traces_reconcile()
        scores_reconcile()
        export()
    assert {*Trace.objects.values_list("state", flat=True), *Score.objects.values_list("state", flat=True)} == {
        "delivered"
    }
    assert backlog().last_error == ""


def unseen() -> int:
    return Trace.objects.filter(confirmed_at=None).count() + Score.objects.filter(confirmed_at=None).count()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "faults",
    [
        {"down": 0.3, "lose_answer": 0.3, "lag": 29.0},
        {"down": 0.3, "lose_answer": 0.1, "lag": 29.0, "twice": 0.15},
        {"down": 0.3, "lose_answer": 0.1, "lag": 29.0, "lose_batch": 0.15},
    ],
    ids=["down and lost answers", "stored twice", "lost batches"],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_trace_and_score_arrives_once_through_random_faults(
    langfuse: LangfuseStandIn, faults: dict[str, Any], seed: int
) -> None:
    ledger, pick = Ledger(seed), random.Random(seed)
    chaos = langfuse.chaos(seed, **faults)
    longest_backlog = 0
    for minute in range(50):
        ledger.record_traces(20)
        ledger.record_scores(6)
        for _ in range(2):
            export()
            time_passes(langfuse, pick.choice([2, 5, 40]))
        if minute % 5 == 4:
            traces_reconcile()
            scores_reconcile()
        longest_backlog = max(longest_backlog, waiting())
    langfuse.clear()
    heal(langfuse)
    met, requests = Counter(chaos.counts), sum(chaos.counts.values())
    assert requests > 100
    assert met["down"] > 0.2 * requests
    assert all(met[kind] > 5 for kind in ("cut", "twice", "lose") if chaos._shares[kind])
    assert longest_backlog > 20
    assert_each_there_once(langfuse, ledger, merged="twice" in faults)


@pytest.mark.django_db
def test_an_outage_of_an_hour_makes_a_backlog_that_is_seen_and_drains_in_few_requests(
    langfuse: LangfuseStandIn,
) -> None:
    ledger = Ledger()
    langfuse.refuse()
    for _ in range(50):
        ledger.record_traces(20)
        ledger.record_scores(6)
        export()
        time_passes(langfuse, 72)
    now = backlog()
    assert (now.pending_traces, now.pending_scores, now.failed_traces, now.failed_scores) == (1000, 300, 0, 0)
    assert 3_500 < now.oldest_age_seconds < 3_700
    assert "refused" in now.last_error
    # It was asked about once a minute, however much was waiting.
    assert all(strikes <= 50 for strikes in Channel.objects.values_list("strikes", flat=True))
    langfuse.accept()
    time_passes(langfuse, 300)
    export()
    assert waiting() == 0
    assert Counter(request.path for request in langfuse.requests) == {TRACES: 20, SCORES: 21}
    assert backlog().last_error == ""
    assert_each_there_once(langfuse, ledger)


WORKER = """
import django
django.setup()
from observability.services.scores import scores_export
from observability.services.traces import traces_export
while True:
    traces_export(limit=40)
    scores_export(limit=15)
"""


@pytest.mark.django_db(transaction=True)
def test_an_exporter_killed_in_mid_export_again_and_again_loses_and_doubles_nothing(
    langfuse: LangfuseStandIn, tmp_path: Path
) -> None:
    ledger, pick = Ledger(), random.Random(1)
    ledger.record_traces(1000)
    ledger.record_scores(300)
    # Each is stored at once or late, and answered later: death comes before, while and after it is stored.
    langfuse.slow(0.2, path=TRACES)
    in_mid_air = 0
    for life in range(8):
        if life % 2:
            langfuse.stall(0.1, next=2, path=TRACES)
        enough = len(langfuse.requests) + pick.randint(2, 4)
        worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=PROJECT, env=child_environment(tmp_path))  # noqa: S603  # our own code
        try:
            ends = time.monotonic() + 60
            while len(langfuse.requests) < enough and worker.poll() is None and time.monotonic() < ends:
                time.sleep(0.005)
            assert worker.poll() is None
            time.sleep(pick.random() * 0.15)
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        in_mid_air += Trace.objects.filter(state=Trace.State.CLAIMED).count()
        time.sleep(0.4)  # what the server holds in its hands is stored after the worker's death
        time_passes(langfuse, 61)
    assert in_mid_air > 0
    assert waiting() > 0
    langfuse.clear()
    heal(langfuse)
    assert_each_there_once(langfuse, ledger)
