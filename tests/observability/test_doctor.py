"""Each line of the doctor on this floor, well and unwell; the outside is played by stand-ins on real sockets."""

import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.core.checks import Warning as CheckWarning
from django.core.checks.registry import registry
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from observability.models import Heartbeat, Trace
from observability.services import doctor, langfuse_doctor
from observability.services.doctor import (
    Level,
    Look,
    broker_look,
    clock_verdict,
    database_look,
    looks_run,
    migrations_look,
    ok,
    schedule_look,
    settings_look,
    worker_look,
)
from observability.services.heartbeats import heartbeat_note
from observability.services.langfuse_doctor import clock_look, keys_look, score_look, server_look, trace_look
from observability.tasks import heartbeat
from tests.standins.langfuse import LangfuseStandIn


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "WORKER_SECONDS", 1.0)
    monkeypatch.setattr(langfuse_doctor, "READ_BACK_SECONDS", 2.0)
    monkeypatch.setattr(langfuse_doctor, "TIMEOUT", 1.0)


# --- The runner


def test_looks_run_at_once_and_keep_their_order() -> None:
    meeting = threading.Barrier(3)
    found = looks_run([Look(name, lambda: ok(str(meeting.wait(5)))) for name in "abc"])
    assert [one.name for one in found] == ["a", "b", "c"]
    assert {one.level for one in found} == {Level.OK}


def test_a_look_that_hangs_is_reported_and_left_behind() -> None:
    over = threading.Event()
    hanging = Look("hanging", lambda: ok(str(over.wait(30))), seconds=0.2)
    started = time.monotonic()
    stuck, well = looks_run([hanging, Look("well", lambda: ok("fine"), seconds=0.1)])
    over.set()
    assert time.monotonic() - started < 20
    assert (stuck.level, stuck.told) == (Level.FAIL, "no answer within 0.2 s")
    assert well.level == Level.OK


def test_what_is_not_foreseen_is_a_line_without_secrets() -> None:
    def look() -> doctor.Verdict:
        raise LookupError("postgresql://reader:hunter2@db/sales")

    (found,) = looks_run([Look("odd", look)])
    assert found.level == Level.FAIL
    assert found.told == "LookupError: postgresql://reader:***@db/sales"


def test_a_look_that_needs_the_database_says_so() -> None:
    def look() -> doctor.Verdict:
        raise OperationalError("gone")

    (found,) = looks_run([Look("worker", look)])
    assert found.told == "needs the database, which does not answer"


# --- Settings, database, migrations


def test_settings_that_pass_the_checks_are_well(settings: Settings) -> None:
    settings.DEBUG = True
    assert settings_look().level == Level.OK


def test_a_setting_that_fails_a_check_is_named_with_its_hint(settings: Settings) -> None:
    settings.LANGFUSE_ENVIRONMENT = "Not A Name"
    found = settings_look()
    assert found.level == Level.FAIL
    assert "observability.E003" in found.told
    assert "small letters" in found.hint


def test_a_warning_of_a_check_is_a_warning(settings: Settings) -> None:
    settings.DEBUG = True

    def check(**_: object) -> list[CheckWarning]:
        return [CheckWarning("Old.", hint="Renew.", id="tests.W001")]

    registry.registered_checks.add(check)  # type: ignore[arg-type]  # as register() does
    check.tags = ()  # type: ignore[attr-defined]  # likewise
    try:
        found = settings_look()
    finally:
        registry.registered_checks.remove(check)  # type: ignore[arg-type]  # as above
    assert (found.level, found.told, found.hint) == (Level.WARN, "Old. (tests.W001)", "Renew.")


@pytest.mark.django_db
def test_a_database_that_answers_tells_its_version() -> None:
    found = database_look()
    assert found.level == Level.OK
    assert found.told.startswith("PostgreSQL 1")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_down_is_told_with_what_to_do() -> None:
    where = connection.settings_dict
    host, pool = where["HOST"], where["OPTIONS"].pop("pool", None)
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's wrapper has one
    where["HOST"] = "/nowhere"
    try:
        found = database_look()
        (worker,) = looks_run([Look("schedule", schedule_look)])
    finally:
        connection.close()
        where["HOST"] = host
        if pool is not None:
            where["OPTIONS"]["pool"] = pool
    assert found.level == Level.FAIL
    assert "/nowhere" in found.told
    assert "DATABASE_URL" in found.hint
    assert worker.told == "needs the database, which does not answer"


@pytest.mark.django_db
def test_a_missing_migration_is_named() -> None:
    assert migrations_look().level == Level.OK
    ((app, name),) = MigrationLoader(connection).graph.leaf_nodes("observability")
    MigrationRecorder(connection).record_unapplied(app, name)
    found = migrations_look()
    assert (found.level, found.told) == (Level.FAIL, f"1 missing: {app}.{name}")


# --- Broker, worker, schedule


def test_a_broker_folder_is_well_when_it_can_be_written(settings: Settings, tmp_path: Path) -> None:
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path)}
    assert broker_look().level == Level.OK
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "missing")}
    assert broker_look().level == Level.FAIL


def test_a_redis_that_is_down_is_told_without_its_password(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings.REDIS_URL = f"redis://:hunter2@127.0.0.1:{nobody.getsockname()[1]}/0"
    found = broker_look()
    assert found.level == Level.FAIL
    assert "hunter2" not in found.told + found.hint
    assert worker_look().told == "cannot be asked without the broker"


@pytest.mark.django_db
def test_without_a_worker_the_message_stays() -> None:
    found = worker_look()
    assert (found.level, found.told) == (Level.FAIL, "took no message within 1 s")


@pytest.mark.django_db(transaction=True)
def test_a_worker_answers_by_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "WORKER_SECONDS", 10.0)
    # The task runs as a worker runs it, on another thread; the way through the broker is in tests/journeys.
    worker = threading.Timer(0.5, _beat)
    worker.start()
    found = worker_look()
    worker.join()
    assert found.level == Level.OK
    assert found.told.startswith("answered after ")


def _beat() -> None:
    heartbeat("doctor")
    connection.close()


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "level"), [(5, Level.OK), (140, Level.OK), (160, Level.FAIL), (7200, Level.FAIL)])
def test_a_schedule_is_well_while_its_sign_of_life_is_fresh(age: int, level: Level) -> None:
    heartbeat_note("schedule")
    Heartbeat.objects.update(at=datetime.now(UTC) - timedelta(seconds=age))
    assert schedule_look().level == level


@pytest.mark.django_db
def test_a_schedule_that_never_ran_is_told() -> None:
    assert schedule_look().told == "never gave a sign of life"


# --- Langfuse


def test_without_keys_langfuse_is_one_warning() -> None:
    (look,) = langfuse_doctor.looks()
    assert look.ask().level == Level.WARN


def test_a_server_tells_its_version(langfuse: LangfuseStandIn, old_langfuse: LangfuseStandIn) -> None:
    found = server_look()
    assert found.level == Level.OK
    assert found.told.endswith("version 4.16.0")


def test_a_server_that_is_down_slow_ill_or_another_is_told(langfuse: LangfuseStandIn) -> None:
    langfuse.fail(status=500, path="/api/public/health")
    assert server_look().told.endswith("answers 500")
    langfuse.garbage("html", path="/api/public/health")
    assert server_look().told.endswith("is not Langfuse")
    langfuse.stall(path="/api/public/health", next=1)
    assert "cannot be reached: ReadTimeout" in server_look().told
    langfuse.refuse()
    found = server_look()
    assert "cannot be reached: ConnectError" in found.told
    assert "LANGFUSE_BASE_URL" in found.hint


def test_keys_are_accepted_or_not(langfuse: LangfuseStandIn, settings: Settings) -> None:
    assert keys_look().told == "project text2sql"
    settings.LANGFUSE_SECRET_KEY = "sk-lf-wrong"
    found = keys_look()
    assert (found.level, found.told) == (Level.FAIL, "not accepted (401)")
    langfuse.refuse()
    assert keys_look().told == "cannot be tried: ConnectError"


@pytest.mark.parametrize(
    ("skew", "level"),
    [(0, Level.OK), (-4, Level.OK), (30, Level.WARN), (-30, Level.WARN), (900, Level.FAIL), (-900, Level.FAIL)],
)
def test_clocks_are_compared_both_ways(skew: int, level: Level) -> None:
    now = datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=UTC)
    theirs = (now + timedelta(seconds=skew)).replace(microsecond=0)
    assert clock_verdict(theirs, now, now + timedelta(milliseconds=80)).level == level


class Clock(BaseHTTPRequestHandler):
    """A server whose clock is wrong by `skew` seconds; None: it tells no zone."""

    skew: float | None = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def date_time_string(self, timestamp: float | None = None) -> str:
        if self.skew is None:
            return "Mon, 23 Nov 2026 12:00:00 -0000"
        return super().date_time_string(time.time() + self.skew)

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize(("skew", "level"), [(0, Level.OK), (60, Level.WARN), (-3600, Level.FAIL), (None, Level.WARN)])
def test_the_clock_is_read_from_langfuses_answer(skew: float | None, level: Level, settings: Settings) -> None:
    handler = type("Skewed", (Clock,), {"skew": skew})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.LANGFUSE_BASE_URL = f"http://127.0.0.1:{server.server_address[1]}"
        assert clock_look().level == level
        server.shutdown()
    assert clock_look().told == "cannot be compared"


@pytest.mark.django_db
def test_a_trace_is_sent_and_read_back_without_cost_and_without_a_row(langfuse: LangfuseStandIn) -> None:
    found = trace_look("doctor:1")
    assert found.level == Level.OK
    assert found.told.startswith("sent, and shown after")
    (row,) = langfuse.observations()
    assert (row.name, row.tags) == ("text2sql_doctor", ("doctor",))
    assert row.total_cost == 0
    assert not Trace.objects.exists()


@pytest.fixture(params=["langfuse", "old_langfuse"])
def either(request: pytest.FixtureRequest) -> LangfuseStandIn:
    found: LangfuseStandIn = request.getfixturevalue(request.param)
    return found


@pytest.mark.django_db
def test_a_score_is_read_back_in_the_form_that_the_server_takes(either: LangfuseStandIn) -> None:
    old = "one by one" in score_look("doctor:1").told
    assert old == server_look().told.endswith("4.16.0")
    (score,) = either.scores()
    assert score.name == "doctor"


@pytest.mark.django_db
@pytest.mark.parametrize(("look", "path"), [(trace_look, "/api/public/otel"), (score_look, "/api/public/scores")])
def test_what_is_not_taken_lost_or_unreadable_is_told(
    langfuse: LangfuseStandIn, look: Callable[[str], doctor.Verdict], path: str
) -> None:
    langfuse.fail(status=401, path=path)
    assert look("doctor:1").told.startswith("not taken: HTTP 401")
    langfuse.lose_batch(path=path)
    lost = look("doctor:2")
    assert lost.level == Level.WARN
    assert lost.told.startswith("taken, but not shown after 2 s")
    langfuse.fail(status=429, path="/api/public/v", next=None)
    unread = look("doctor:3")
    assert unread.level == Level.WARN
    assert "cannot be read back: HTTP 429" in unread.told
