"""Outages: a backlog, nothing lost, nothing sent twice."""

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from django.utils import timezone
from pytest_django import Settings

from observability.models import Channel, Trace
from observability.models.deliveries import backoff
from observability.services.backlog import backlog
from observability.services.deliveries import LEASE, ExportOutcome, drain
from observability.services.traces import SETTLING, trace_id_for, trace_record, traces_export
from tests.observability.conftest import START, part_made, trace_made
from tests.standins.langfuse import LangfuseStandIn

TRACES = "/api/public/otel/v1/traces"
OBSERVATIONS = "/api/public/v2/observations"


def record_many(count: int, prefix: str = "generation") -> None:
    for number in range(count):
        trace_record(trace_made(f"{prefix}-{number}", start=START + timedelta(seconds=number)))


def due_now() -> None:
    Channel.objects.update(closed_until=None)
    Trace.objects.exclude(state="delivered").update(next_try_at=timezone.now())


def sent(lf: LangfuseStandIn) -> int:
    return sum(request.path == TRACES for request in lf.requests)


def assert_all_there_once(lf: LangfuseStandIn, count: int) -> None:
    stored = [(row.trace_id, row.id) for row in lf.observations()]
    assert len(stored) == len(set(stored)) == 2 * count
    assert set(Trace.objects.values_list("state", flat=True)) == {Trace.State.DELIVERED}


def test_the_pause_doubles_up_to_five_minutes() -> None:
    pauses = [backoff(tries).total_seconds() for tries in (1, 2, 3, 8, 9, 10, 500)]
    assert pauses == [1, 2, 4, 128, 256, 300, 300]


@pytest.mark.django_db
def test_a_server_that_is_down_makes_a_backlog_that_heals(langfuse: LangfuseStandIn) -> None:
    record_many(3)
    langfuse.refuse()
    before = timezone.now()
    outcome = drain(traces_export)
    assert (outcome.claimed, outcome.postponed) == (3, 3)
    for trace in Trace.objects.all():
        assert (trace.state, trace.tries, trace.maybe_sent) == (Trace.State.PENDING, 1, False)
        assert "refused" in trace.last_error
        assert before + timedelta(seconds=1) <= trace.next_try_at <= timezone.now() + timedelta(seconds=1)
    assert traces_export() == ExportOutcome()  # not due
    due_now()
    before = timezone.now()
    assert traces_export().postponed == 3
    assert all(trace.next_try_at >= before + timedelta(seconds=2) for trace in Trace.objects.all())
    langfuse.accept()
    due_now()
    assert drain(traces_export).delivered == 3
    # What surely never left needs no question.
    assert [request.path for request in langfuse.requests] == [TRACES]
    assert_all_there_once(langfuse, 3)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_left_alone_as_long_as_it_asks(langfuse: LangfuseStandIn, status: int) -> None:
    record_many(2)
    langfuse.fail(status=status, retry_after=90)
    before = timezone.now()
    assert traces_export().postponed == 2
    assert all(trace.next_try_at >= before + timedelta(seconds=90) for trace in Trace.objects.all())
    due_now()
    assert traces_export().delivered == 2
    assert_all_there_once(langfuse, 2)


@pytest.mark.django_db
def test_an_absurd_retry_after_does_not_stop_us_for_a_day(langfuse: LangfuseStandIn) -> None:
    record_many(1)
    langfuse.fail(status=429, retry_after=86_400)
    traces_export()
    assert Trace.objects.get().next_try_at <= timezone.now() + timedelta(minutes=5)


@pytest.mark.django_db
def test_a_cut_answer_is_asked_about_before_anything_is_sent_again(langfuse: LangfuseStandIn) -> None:
    record_many(3)
    langfuse.cut_answer(path=TRACES)
    before = timezone.now()
    assert traces_export().postponed == 3
    assert len(langfuse.observations()) == 6
    for trace in Trace.objects.all():
        assert trace.maybe_sent
        # Not before it is visible over there.
        assert trace.next_try_at >= before + SETTLING
    due_now()
    assert traces_export() == ExportOutcome(claimed=3, delivered=3)
    assert [request.path for request in langfuse.requests] == [TRACES, OBSERVATIONS]
    assert_all_there_once(langfuse, 3)


@pytest.mark.django_db
def test_a_server_that_stalls_and_takes_the_batch_late_has_it_once(langfuse: LangfuseStandIn) -> None:
    record_many(2)
    langfuse.stall(path=TRACES, next=1)
    assert traces_export().postponed == 2  # the timeout passed
    langfuse.release()  # only now it is carried out
    for _ in range(100):
        if langfuse.observations():
            break
        time.sleep(0.02)
    due_now()
    assert traces_export().delivered == 2
    assert sent(langfuse) == 1
    assert_all_there_once(langfuse, 2)


@pytest.mark.django_db
def test_a_server_error_may_have_stored_so_it_is_asked_about(langfuse: LangfuseStandIn) -> None:
    record_many(2)
    langfuse.fail(status=500, path=TRACES)
    assert traces_export().postponed == 2
    due_now()
    assert traces_export().delivered == 2
    assert [request.path for request in langfuse.requests] == [TRACES, OBSERVATIONS, TRACES]
    assert_all_there_once(langfuse, 2)


@pytest.mark.django_db
def test_only_what_is_missing_is_sent_after_a_doubt(langfuse: LangfuseStandIn) -> None:
    record_many(3, "stored")
    langfuse.cut_answer(path=TRACES)
    traces_export()
    record_many(2, "lost")
    langfuse.fail(status=502, path=TRACES)
    Channel.objects.update(closed_until=None)
    Trace.objects.filter(maybe_sent=True).update(next_try_at=timezone.now() + timedelta(hours=1))
    traces_export()
    assert set(Trace.objects.values_list("maybe_sent", flat=True)) == {True}
    record_many(1, "fresh")
    due_now()
    assert traces_export() == ExportOutcome(claimed=6, delivered=6)
    assert_all_there_once(langfuse, 6)
    assert len(langfuse.requests[-1].body.resource_spans[0].scope_spans[0].spans) == 2 * 3


@pytest.mark.django_db
def test_a_trace_and_its_part_in_one_doubtful_batch_are_each_there_once(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    trace_record(part_made())
    langfuse.cut_answer(path=TRACES)
    assert traces_export().postponed == 2
    with langfuse.store._lock:
        langfuse.store._rows.pop()  # the server lost the last of the three, which is the part
    trace_record(part_made(part="execution:2"))
    due_now()
    assert traces_export() == ExportOutcome(claimed=3, delivered=3)
    stored = [(row.trace_id, row.id) for row in langfuse.observations()]
    assert len(stored) == len(set(stored)) == 4
    assert len(langfuse.requests[-1].body.resource_spans[0].scope_spans[0].spans) == 2


@pytest.mark.django_db
def test_a_trace_stored_by_half_is_completed_even_after_another_refusal(langfuse: LangfuseStandIn) -> None:
    record_many(1)
    langfuse.cut_answer(path=TRACES)
    traces_export()
    with langfuse.store._lock:
        langfuse.store._rows.pop()  # the server lost one of the two
    langfuse.fail(status=429, path=TRACES)
    due_now()
    assert traces_export().postponed == 1
    assert Trace.objects.get().maybe_sent
    due_now()
    assert traces_export().delivered == 1
    assert_all_there_once(langfuse, 1)


@pytest.mark.django_db
def test_a_big_doubt_is_asked_in_short_questions_and_read_to_the_last_page(langfuse: LangfuseStandIn) -> None:
    step = trace_made().observations[0]
    for number in range(120):
        steps = [replace(step, key=f"step-{key}") for key in range(12)]
        trace_record(trace_made(f"generation-{number}", observations=steps))
    assert traces_export().delivered == 120
    Trace.objects.update(state="pending", maybe_sent=True, next_try_at=timezone.now())
    langfuse.requests.clear()
    assert traces_export().delivered == 120
    # 100 traces of 12 observations are two pages, 20 more are one.
    assert [request.path for request in langfuse.requests] == [OBSERVATIONS] * 3
    longest = max(len(request.query["filter"][0]) for request in langfuse.requests)
    assert longest < 5_000


@pytest.mark.django_db
def test_in_doubt_nothing_is_sent_while_langfuse_cannot_be_asked(langfuse: LangfuseStandIn) -> None:
    record_many(2, "doubtful")
    langfuse.cut_answer(path=TRACES)
    traces_export()
    record_many(1, "fresh")
    langfuse.fail(status=500, path=OBSERVATIONS)
    due_now()
    outcome = traces_export()
    assert (outcome.postponed, outcome.delivered) == (2, 1)
    assert "HTTP 500" in outcome.error
    due_now()
    assert traces_export().delivered == 2
    assert_all_there_once(langfuse, 3)


@pytest.mark.django_db
def test_what_a_killed_worker_claimed_comes_due_with_its_lease_and_is_asked_about(langfuse: LangfuseStandIn) -> None:
    record_many(4)
    # It died after sending two of its four traces.
    langfuse.cut_answer(path=TRACES)
    traces_export(limit=2)
    Trace.objects.update(state="pending", maybe_sent=False, tries=0, next_try_at=timezone.now())
    Trace.objects.claim(limit=10, lease=LEASE)
    assert traces_export() == ExportOutcome()  # the lease still holds
    due_now()
    assert traces_export() == ExportOutcome(claimed=4, delivered=4)
    assert_all_there_once(langfuse, 4)


@pytest.mark.django_db
def test_a_lease_that_ran_out_leaves_the_outcome_to_the_next_worker(langfuse: LangfuseStandIn) -> None:
    record_many(1)
    (slow,) = Trace.objects.claim(limit=1, lease=timedelta(0))
    (quick,) = Trace.objects.claim(limit=1, lease=LEASE)
    assert quick.maybe_sent
    Trace.objects.note_postponed([slow], error="too late")
    assert Trace.objects.get().state == Trace.State.CLAIMED
    Trace.objects.note_delivered([quick])
    Trace.objects.note_failed([slow], error="too late")
    assert Trace.objects.get().state == Trace.State.DELIVERED


@pytest.mark.django_db
def test_wrong_keys_keep_the_backlog_and_show_why(langfuse: LangfuseStandIn, settings: Settings) -> None:
    record_many(120)
    right = settings.LANGFUSE_SECRET_KEY
    settings.LANGFUSE_SECRET_KEY = "sk-lf-wrong"
    outcome = drain(traces_export)
    assert (outcome.claimed, outcome.postponed, outcome.failed) == (120, 120, 0)
    assert sent(langfuse) == 1  # asking 120 times would change nothing
    assert set(Trace.objects.values_list("state", flat=True)) == {Trace.State.PENDING}
    assert Trace.objects.filter(tries=1, last_error__contains="HTTP 401").count() == 50
    assert Trace.objects.filter(tries=0, last_error="").count() == 70
    assert "HTTP 401" in backlog().last_error
    settings.LANGFUSE_SECRET_KEY = right
    due_now()
    assert drain(traces_export).delivered == 120
    assert_all_there_once(langfuse, 120)


@pytest.mark.django_db
def test_a_trace_that_langfuse_rejects_is_found_and_the_others_arrive(langfuse: LangfuseStandIn) -> None:
    record_many(8)
    langfuse.fail(next=4, status=400)  # of 8, of the first 4, of the first 2, of the first alone
    outcome = traces_export()
    assert (outcome.delivered, outcome.failed, outcome.postponed) == (7, 1, 0)
    failed = Trace.objects.get(state=Trace.State.FAILED)
    assert failed.trace_id == trace_id_for("generation-0")
    assert "HTTP 400" in failed.last_error
    assert len(langfuse.traces()) == 7
    due_now()
    assert traces_export() == ExportOutcome()  # never again as it is


@pytest.mark.django_db
def test_a_long_backlog_goes_out_in_few_requests(langfuse: LangfuseStandIn) -> None:
    record_many(230)
    assert drain(traces_export).delivered == 230
    assert len(langfuse.requests) == 5  # four times 50 of the first claim, 30 of the second
    assert_all_there_once(langfuse, 230)


@pytest.mark.django_db
def test_big_traces_are_not_piled_into_one_request(langfuse: LangfuseStandIn) -> None:
    big = replace(trace_made().observations[0], input="x" * 1_400_000)
    for number in range(4):
        trace_record(trace_made(f"big-{number}", observations=[big]))
    assert traces_export().delivered == 4
    assert len(langfuse.requests) == 2


@pytest.mark.django_db(transaction=True)
def test_two_exporters_at_once_send_no_row_twice(langfuse: LangfuseStandIn) -> None:
    record_many(150)

    def export(_: int) -> ExportOutcome:
        try:
            return drain(lambda: traces_export(limit=10))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(export, range(3)))
    assert sum(outcome.delivered for outcome in outcomes) == 150
    assert sum(outcome.delivered > 0 for outcome in outcomes) > 1
    assert_all_there_once(langfuse, 150)


@pytest.mark.django_db(transaction=True)
def test_no_connection_and_no_transaction_is_held_while_langfuse_thinks(langfuse: LangfuseStandIn) -> None:
    record_many(1)
    langfuse.stall(path=TRACES)
    inside: dict[str, ExportOutcome] = {}

    def export() -> None:
        inside["outcome"] = traces_export()
        connections.close_all()

    def watch() -> dict[str, int]:
        # The exporter's thread holds a connection of its pool only while it claims and notes.
        while not sent(langfuse):
            time.sleep(0.01)
        return dict(connection.pool.get_stats())  # type: ignore[attr-defined]  # PostgreSQL's wrapper has one

    connection.close()
    exporter = threading.Thread(target=export)
    exporter.start()
    stats = watch()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
        )
        (transactions,) = cursor.fetchone()
    langfuse.clear()
    exporter.join()
    assert stats["pool_available"] == stats["pool_size"]
    assert transactions == 0
    assert inside["outcome"].claimed == 1


WORKER = """
import json, sys
from django.conf import settings
own = json.loads(sys.argv[1])
settings.DATABASES["default"]["NAME"] = own.pop("database")
for name, value in own.items():
    setattr(settings, name, value)
import django
django.setup()
from observability.services.traces import traces_export
traces_export()
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_while_it_sends_loses_and_doubles_nothing(
    langfuse: LangfuseStandIn, settings: Settings
) -> None:
    record_many(3)
    langfuse.slow(30, path=TRACES)  # stored at once, answered after the worker's death
    own = {
        "database": connection.settings_dict["NAME"],
        "LANGFUSE_PUBLIC_KEY": langfuse.public_key,
        "LANGFUSE_SECRET_KEY": langfuse.secret_key,
        "LANGFUSE_BASE_URL": langfuse.base_url,
    }
    command = [sys.executable, "-c", WORKER, json.dumps(own)]
    worker = subprocess.Popen(command, cwd=Path(__file__).parents[2])  # noqa: S603  # our own code
    try:
        for _ in range(3000):
            if langfuse.observations() or worker.poll() is not None:
                break
            time.sleep(0.01)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    langfuse.clear()
    assert set(Trace.objects.values_list("state", flat=True)) == {Trace.State.CLAIMED}
    due_now()
    assert traces_export().delivered == 3
    assert sent(langfuse) == 1
    assert_all_there_once(langfuse, 3)
