"""The check's screens: days beside the ledger, rounds, and how often it runs."""

import html
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from observability.models import AuditEntry, Schedule
from teams.models import BudgetCheck, LangfuseDay, Team
from tests.people import People

pytestmark = pytest.mark.django_db

DAYS = "/admin/teams/langfuseday/"
CHECKS = "/admin/teams/budgetcheck/"
SCHEDULE = "/admin/observability/schedule/check%20budgets/"


def day(team: Team | None, user_id: str = "", **figures: object) -> LangfuseDay:
    now = timezone.now()
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return LangfuseDay.objects.create(
        team=team, user_id=team.pk if team else user_id, day=now.date(), time_zone="UTC", starts_at=start,
        ends_at=start + timedelta(days=1), read_at=now - timedelta(minutes=12), **figures,
    )  # fmt: skip


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode()).replace("\xa0", " ")


def test_the_list_of_days_shows_the_figures_and_their_age(people: People) -> None:
    now = timezone.now()
    day(people.sales, ours_usd=Decimal(3), ledger_usd=Decimal(5), drift_usd=Decimal(-2), drift_since=now)
    day(people.marketing, ours_usd=Decimal(7), ledger_usd=Decimal(7), external_usd=Decimal("1.25"), unpriced_tokens=512)
    page = text(people.signed_in(people.root), DAYS)
    for told in ("Sales", "$3.0000", "$5.0000", "-$2.0000", "Marketing", "$1.2500", "512", "12 minutes"):
        assert told in page, told
    drifting = text(people.signed_in(people.root), f"{DAYS}?drift_since__isempty=0")
    assert "$3.0000" in drifting
    assert "$7.0000" not in drifting


def test_what_belongs_to_nobody_is_for_admins(people: People) -> None:
    day(people.sales, ours_usd=Decimal("1.11"))
    day(people.marketing, ours_usd=Decimal("2.22"))
    day(None, "stranger", external_usd=Decimal("3.33"))
    day(None, "", external_usd=Decimal("4.44"))
    amounts = ["$1.1100", "$2.2200", "$3.3300", "$4.4400"]
    seen = {}
    for who in (people.alice, people.mallory, people.root):
        page = text(people.signed_in(who), DAYS)
        seen[who.username] = [amount for amount in amounts if amount in page]
    assert seen == {"alice": amounts[:1], "mallory": amounts[1:2], "root": amounts}
    assert "no team: stranger" in text(people.signed_in(people.root), DAYS)


def test_a_day_without_anything_of_nobodys_is_no_line(people: People) -> None:
    day(None)
    assert "nobody" not in text(people.signed_in(people.root), DAYS)


def test_rounds_are_listed_with_what_went_wrong(people: People) -> None:
    now = timezone.now()
    BudgetCheck.objects.create(started_at=now, finished_at=now + timedelta(seconds=3), calls=6, windows=4)
    BudgetCheck.objects.create(started_at=now - timedelta(hours=1), finished_at=now, error="HTTP 503: busy")
    BudgetCheck.objects.create(started_at=now - timedelta(hours=2), finished_at=now, days_left=9)
    page = text(people.signed_in(people.root), CHECKS)
    for told in ("complete", "failed", "to go on", "HTTP 503: busy", "3.0"):
        assert told in page, told
    assert people.signed_in(people.alice).get(CHECKS).status_code == 403


def test_an_admin_changes_how_often_it_runs_and_that_is_audited(people: People) -> None:
    Schedule.objects.update(next_run_at=timezone.now() + timedelta(minutes=30))
    client = people.signed_in(people.root)
    answer = client.post(f"{SCHEDULE}change/", {"every_minutes": "10", "enabled": "on"})
    assert answer.status_code == 302
    row = Schedule.objects.get()
    assert (row.every_minutes, row.enabled) == (10, True)
    assert row.next_run_at <= timezone.now() + timedelta(minutes=10)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.target, entry.actor) == ("schedule.changed", "check budgets", "user:root")
    assert (entry.data["was"], entry.data["now"]) == ({"every_minutes": 30}, {"every_minutes": 10})
    assert client.post(f"{SCHEDULE}change/", {"every_minutes": "0", "enabled": "on"}).status_code == 200
    assert Schedule.objects.get().every_minutes == 10
    assert people.signed_in(people.alice).get(f"{SCHEDULE}change/").status_code == 403
    assert client.get("/admin/observability/schedule/add/").status_code == 403
    assert client.get(f"{SCHEDULE}delete/").status_code == 403


def test_run_now_makes_it_due(people: People) -> None:
    Schedule.objects.update(next_run_at=timezone.now() + timedelta(minutes=30))
    client = people.signed_in(people.root)
    confirmed = {"_form_submitted": "on"}
    assert client.post(f"{SCHEDULE}run_now/", confirmed).status_code == 302
    assert Schedule.objects.get().next_run_at <= timezone.now()
    assert AuditEntry.objects.get().verb == "schedule.run_now"
    later = timezone.now() + timedelta(minutes=30)
    Schedule.objects.update(enabled=False, next_run_at=later)
    client.post(f"{SCHEDULE}run_now/", confirmed)
    assert Schedule.objects.get().next_run_at == later
    assert people.signed_in(people.alice).post(f"{SCHEDULE}run_now/", confirmed).status_code == 403
