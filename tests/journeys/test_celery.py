"""A real worker and schedule, on the file broker or, where REDIS_URL is set, on Redis."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from observability.models import Schedule, Trace
from teams.models import LangfuseDay
from tests.clients import ApiClient
from tests.factories import BudgetFactory, make_database, make_key
from tests.journeys.installation import wait_until
from tests.people import make_people
from tests.processes import celery_running
from tests.standins.langfuse import LangfuseStandIn
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_the_schedule_exports_reads_and_checks(
    claude: ClaudeStandIn, langfuse: LangfuseStandIn, shop: Path, tmp_path: Path
) -> None:
    people = make_people()
    BudgetFactory(team=people.sales, limit_usd=Decimal(1))
    database = make_database(shop, people.sales)
    api = ApiClient(make_key(people.sales)[1])
    with celery_running(tmp_path):
        claude.play("answer", sql="SELECT name FROM customers ORDER BY name")
        answer = api.post("generate", {"database": "shop", "question": "Who are our customers?"}).json()
        rated = api.post(f"generations/{answer['id']}/feedback", {"rating": "up"}).json()
        wait_until(lambda: answer["trace_id"] in langfuse.traces(), 30)
        wait_until(lambda: any(score.id == rated["id"] for score in langfuse.scores()), 30)
        wait_until(lambda: not Trace.objects.exclude(state="delivered").exists(), 30)

        with closing(sqlite3.connect(shop)) as connection:
            connection.execute("CREATE TABLE refunds (id INTEGER PRIMARY KEY, amount NUMERIC(10,2))")
        Database.objects.filter(pk=database.pk).update(sync_state=Database.SyncState.REQUESTED)
        wait_until(lambda: "refunds" in str(_catalog(database)), 30)

        Schedule.objects.update(next_run_at=timezone.now())
        cost = Decimal(answer["cost_usd"])
        wait_until(lambda: LangfuseDay.objects.filter(team=people.sales, ours_usd=cost, ledger_usd=cost).exists(), 45)
        wait_until(lambda: Schedule.objects.filter(next_run_at__gt=timezone.now(), last_error="").exists(), 30)


def _catalog(database: Database) -> object:
    catalog = Database.objects.select_related("catalog").get(pk=database.pk).catalog
    return catalog.content if catalog else None
