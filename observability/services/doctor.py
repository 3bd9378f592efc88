"""What the doctor looks at on this floor: database, broker, worker, schedule, Langfuse; and how all looks are run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from queue import Empty, SimpleQueue
from threading import Thread

import psycopg
from django.core import checks
from django.core.checks import CheckMessage
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from observability.health import migrations_missing
from observability.masking import redact
from observability.services.broker import BrokerUnavailable, broker_ping
from observability.services.heartbeats import EVERY, heartbeat_at
from observability.tasks import heartbeat

WORKER_SECONDS = 15.0
LATE = 2.5 * EVERY


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Verdict:
    """What was found, in words, and what to do about it."""

    level: Level
    told: str
    hint: str = ""


@dataclass(frozen=True)
class Look:
    """One line of the doctor. `ask` may raise; it is given up after `seconds`."""

    name: str
    ask: Callable[[], Verdict]
    seconds: float = 10.0
    needs_database: bool = False


@dataclass(frozen=True)
class Finding(Verdict):
    name: str = field(kw_only=True)


def ok(told: str) -> Verdict:
    return Verdict(Level.OK, told)


def warn(told: str, hint: str) -> Verdict:
    return Verdict(Level.WARN, told, hint)


def fail(told: str, hint: str) -> Verdict:
    return Verdict(Level.FAIL, told, hint)


def looks_run(looks: Sequence[Look]) -> list[Finding]:
    """All looks at once, each on a thread of its own, in their order; one that hangs is reported and left behind."""
    found: SimpleQueue[tuple[int, Verdict]] = SimpleQueue()
    for place, look in enumerate(looks):
        Thread(target=_run, args=(place, look, found), daemon=True, name=f"doctor {look.name}").start()
    started = time.monotonic()
    verdicts: dict[int, Verdict] = {}
    while waiting := [look.seconds for place, look in enumerate(looks) if place not in verdicts]:
        try:
            place, verdict = found.get(timeout=max(0.0, started + max(waiting) - time.monotonic()))
        except Empty:
            break
        verdicts[place] = verdict
    return [_finding(look, verdicts.get(place)) for place, look in enumerate(looks)]


def without_database(look: Look) -> Look:
    """The same line where the database is known not to answer: nothing waits for it once more."""
    if not look.needs_database:
        return look
    return Look(look.name, lambda: fail("needs the database, which does not answer", "See the line of the database."))


def _run(place: int, look: Look, found: SimpleQueue[tuple[int, Verdict]]) -> None:
    try:
        verdict = look.ask()
    except DatabaseError:
        verdict = fail("needs the database, which does not answer", "See the line of the database.")
    except Exception as error:  # noqa: BLE001  # the doctor must come to an end, whatever it meets
        verdict = fail(f"{type(error).__name__}: {error}", "This is not foreseen; the log may say more.")
    finally:
        connections.close_all()
    found.put((place, verdict))


def _finding(look: Look, verdict: Verdict | None) -> Finding:
    if verdict is None:
        verdict = fail(f"no answer within {look.seconds:g} s", "Something between here and there hangs.")
    told = " ".join(redact(verdict.told).split())
    return Finding(verdict.level, told, redact(verdict.hint), name=look.name)


def looks() -> list[Look]:
    """All but the database's own, which is looked at first."""
    return [
        Look("settings", settings_look, 20),
        Look("migrations", migrations_look, 20, needs_database=True),
        Look("broker", broker_look),
        Look("worker", worker_look, WORKER_SECONDS + 5, needs_database=True),
        Look("schedule", schedule_look, needs_database=True),
    ]


def settings_look() -> Verdict:
    found: list[CheckMessage] = [one for one in checks.run_checks() if not one.is_silenced()]
    errors = [one for one in found if one.is_serious()]
    warnings = [one for one in found if checks.WARNING <= one.level < checks.ERROR]
    if worst := (errors or warnings):
        told = "; ".join(f"{one.msg} ({one.id})" for one in worst)
        hint = " ".join(str(one.hint) for one in worst if one.hint)
        return (fail if errors else warn)(told, hint or "See `manage.py check`.")
    return ok("the system checks pass")


def database_look() -> Verdict:
    """Connects beside the pool, which keeps the reason of a failure to itself."""
    started = time.monotonic()
    try:
        with psycopg.connect(**connection.get_connection_params() | {"connect_timeout": 5}) as plain:
            row = plain.execute("SELECT current_setting('server_version'), current_database()").fetchone()
            version, name = row or ("", "")
    except psycopg.Error as error:
        return fail(
            f"does not answer: {str(error).strip().splitlines()[0]}",
            "Start PostgreSQL (`./run.sh` starts the embedded one) or correct DATABASE_URL.",
        )
    return ok(f"PostgreSQL {version}, {name}, {(time.monotonic() - started) * 1000:.0f} ms")


def migrations_look() -> Verdict:
    if missing := migrations_missing():
        return fail(f"{len(missing)} missing: {', '.join(missing[:5])}", "Run `manage.py migrate`.")
    return ok("all there")


def broker_look() -> Verdict:
    try:
        return ok(broker_ping(seconds=5))
    except BrokerUnavailable as trouble:
        return fail(str(trouble), "Start Redis, or correct REDIS_URL; without it the broker is a folder in DATA_DIR.")


def worker_look() -> Verdict:
    """A message to a worker, and the row that it writes in answer."""
    try:
        broker_ping(seconds=5)
    except BrokerUnavailable:
        return fail("cannot be asked without the broker", "See the line of the broker.")
    before, sent = heartbeat_at("doctor"), time.monotonic()
    heartbeat.apply_async(args=["doctor"], retry=False, expires=WORKER_SECONDS)
    while (waited := time.monotonic() - sent) < WORKER_SECONDS:
        if heartbeat_at("doctor") != before:
            return ok(f"answered after {waited:.1f} s")
        time.sleep(0.1)
    return fail(
        f"took no message within {WORKER_SECONDS:g} s",
        "Start it: celery -A text2sql worker (`./run.sh` does), with the same REDIS_URL or DATA_DIR as the web.",
    )


def schedule_look() -> Verdict:
    at = heartbeat_at("schedule")
    hint = "Start it, once: celery -A text2sql beat (`./run.sh` does). If the worker is down, start that first."
    if at is None:
        return fail("never gave a sign of life", hint)
    age = timezone.now() - at
    told = f"last sign of life {_span(age)} ago"
    return fail(told, hint) if age > LATE else ok(told)


def clock_verdict(date: datetime, before: datetime, after: datetime) -> Verdict:
    """Compare another machine's clock, read between the two moments, with ours; its clock tells whole seconds."""
    early, late = (before - date).total_seconds(), (after - date).total_seconds()
    skew = max(0.0, early - 1, -late)
    told = f"{skew:.0f} s beside Langfuse's"
    hint = "Set this machine's clock by NTP: traces, budgets' days and AWS signatures depend on it."
    if skew > 240:
        return fail(told, hint)
    return warn(told, hint) if skew > 5 else ok("agrees with Langfuse's")


def _span(age: timedelta) -> str:
    seconds = age.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def utc_now() -> datetime:
    return datetime.now(UTC)
