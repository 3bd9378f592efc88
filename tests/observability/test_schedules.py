"""Schedules that admins may change: what is due runs once, and comes again though its worker was killed."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event

import pytest
from django.utils import timezone
from pytest_django import Settings

from observability.models import AuditEntry, Schedule
from observability.services.schedules import LEASE, schedule_change, schedule_run_now, schedules_run, schedules_seed
from observability.tasks import run_schedules
from tests.teams.conftest import Crowd, crowd  # noqa: F401  # crowd is a fixture

pytestmark = pytest.mark.django_db

NAME = "water plants"
MINUTE = timedelta(minutes=1)
runs: list[str] = []
dry = Event()


def water() -> None:
    runs.append(NAME)
    if dry.is_set():
        raise OSError("no \x00 water")


@pytest.fixture(autouse=True)
def plants(settings: Settings) -> Iterator[None]:
    settings.SCHEDULES = {NAME: {"function": f"{__name__}.water", "every_minutes": 30}}
    runs.clear()
    dry.clear()
    schedules_seed(using="default")
    yield
    dry.clear()


def schedule() -> Schedule:
    return Schedule.objects.get(name=NAME)


def test_what_is_due_runs_and_then_waits_for_its_time() -> None:
    run_schedules()
    run_schedules()
    assert runs == [NAME]
    row = schedule()
    assert row.last_started_at is not None
    assert row.next_run_at == row.last_started_at + 30 * MINUTE
    assert row.last_finished_at is not None
    assert row.last_error == ""
    Schedule.objects.update(next_run_at=timezone.now())
    assert schedules_run() == 1
    assert runs == [NAME] * 2


def test_what_is_switched_off_or_unknown_does_not_run() -> None:
    Schedule.objects.filter(name=NAME).update(enabled=False)
    Schedule.objects.create(name="of an older version", every_minutes=1)
    assert schedules_run() == 0
    assert runs == []


def test_a_run_that_fails_is_noted_and_the_next_one_comes() -> None:
    dry.set()
    assert schedules_run() == 1
    assert schedule().last_error == "OSError: no \ufffd water"
    dry.clear()
    Schedule.objects.update(next_run_at=timezone.now())
    schedules_run()
    assert schedule().last_error == ""


@pytest.mark.django_db(transaction=True)
def test_of_many_ticks_at_once_one_runs_it(crowd: Crowd[object]) -> None:  # noqa: F811  # the fixture
    assert sorted(map(str, crowd(8, lambda _: schedules_run()))) == ["0"] * 7 + ["1"]
    assert runs == [NAME]


def test_a_killed_run_comes_again_when_its_lease_is_over() -> None:
    begun = timezone.now() - LEASE
    Schedule.objects.filter(name=NAME).update(last_started_at=begun, next_run_at=begun + LEASE + MINUTE)
    assert schedules_run() == 0
    Schedule.objects.filter(name=NAME).update(next_run_at=begun + LEASE)
    assert schedules_run() == 1


def test_told_to_run_while_it_runs_it_runs_once_more(settings: Settings) -> None:
    settings.SCHEDULES[NAME]["function"] = f"{__name__}.run_now_while_running"
    schedules_run()
    settings.SCHEDULES[NAME]["function"] = f"{__name__}.water"
    assert schedules_run() == 1
    assert AuditEntry.objects.get().verb == "schedule.run_now"


def run_now_while_running() -> None:
    schedule_run_now(schedule=schedule(), actor="user:root")


def test_more_often_takes_effect_at_once_and_less_often_after_the_next_run() -> None:
    schedules_run()
    row = schedule()
    row.every_minutes = 5
    schedule_change(row, actor="user:root")
    assert schedule().next_run_at <= timezone.now() + 5 * MINUTE
    row.every_minutes, row.enabled = 600, False
    schedule_change(row, actor="user:root")
    assert schedule().next_run_at <= timezone.now() + 5 * MINUTE
    assert not schedule().enabled


def test_what_an_admin_changed_stays_when_the_schema_is_migrated() -> None:
    Schedule.objects.filter(name=NAME).update(every_minutes=7)
    schedules_seed(using="default")
    assert schedule().every_minutes == 7


def test_an_installation_checks_its_budgets_each_half_hour() -> None:
    row = Schedule.objects.get(name="check budgets")
    assert (row.every_minutes, row.enabled) == (30, True)
