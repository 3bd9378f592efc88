"""/metrics as Prometheus reads it: parsed by its own parser, compared with sums over the rows."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from observability.metrics import metrics_forget
from observability.models import Alert, AlertDelivery
from observability.services.alerts import alert_raise
from observability.services.heartbeats import heartbeat_note
from observability.services.metrics import day_start
from observability.services.scores import score_record
from observability.services.traces import trace_record
from teams.models import Charge
from teams.services.windows import window_open
from tests.factories import BudgetFactory, GenerationFactory, TeamFactory, make_key
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn
from text2sql.metrics import BUDGETS, CHARGES, LATENCIES, QUESTIONS
from text2sql.models import Database
from text2sql.services.databases import database_add

pytestmark = pytest.mark.django_db

TOKEN = "metrics-token-of-this-test"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def token(settings: Settings) -> Iterator[None]:
    settings.METRICS_TOKEN = TOKEN
    metrics_forget()
    yield
    metrics_forget()


@pytest.fixture
def database(db: None, shop: Path) -> Database:
    teams = [TeamFactory(slug="sales"), TeamFactory(slug="marketing")]
    return database_add(name="shop", url=f"sqlite:///{shop}", teams=teams, actor="test")


def ask(token: str = TOKEN) -> Any:
    return Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})


def scrape() -> Samples:
    metrics_forget()
    answer = ask()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.content.decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, /, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def asked(database: Database, team: str, **values: Any) -> None:
    GenerationFactory(database=database, team_id=team, **values)


def charged(team: str, cost: str, **values: Any) -> None:
    Charge.objects.create(
        attempt_id=uuid4(), generation_id=uuid4(), team_id=team, database="shop", model="claude-sonnet-5-5",
        cost_usd=Decimal(cost), input_tokens=100, output_tokens=7,
        **{"started_at": timezone.now(), "charged_at": timezone.now()} | values,
    )  # fmt: skip


def test_without_a_token_there_is_nothing_here(settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    assert ask("").status_code == ask(TOKEN).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer wrong"}])
def test_only_the_token_opens_it(headers: dict[str, str]) -> None:
    answer = Client().get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert b"text2sql" not in answer.content


def test_an_empty_installation_has_valid_metrics() -> None:
    samples = scrape()
    assert value(samples, "text2sql_questions_running") == 0
    assert value(samples, "text2sql_backlog", kind="traces") == 0


def test_questions_are_counted_by_team_database_status_and_cache(database: Database) -> None:
    asked(database, "sales")
    asked(database, "sales")
    asked(database, "sales", cached=True)
    asked(database, "sales", status="failed", problem="claude-overloaded")
    asked(database, "marketing")
    asked(database, "sales", status="running", finished_at=None, latency_ms=None)
    samples = scrape()
    named = {"database": "shop", "status": "succeeded", "problem": ""}
    assert value(samples, "text2sql_questions_total", team="sales", cached="false", **named) == 2
    assert value(samples, "text2sql_questions_total", team="sales", cached="true", **named) == 1
    assert value(samples, "text2sql_questions_total", team="marketing", cached="false", **named) == 1
    failed = {"database": "shop", "status": "failed", "problem": "claude-overloaded", "cached": "false"}
    assert value(samples, "text2sql_questions_total", team="sales", **failed) == 1
    assert value(samples, "text2sql_questions_running") == 1


def test_counters_count_from_midnight_by_the_end_of_a_question(database: Database) -> None:
    midnight, second = day_start(), timedelta(seconds=1)
    asked(database, "sales", created_at=midnight - 90 * second, finished_at=midnight - second)
    asked(database, "sales", created_at=midnight - second, finished_at=midnight + second)
    charged("sales", "1", charged_at=midnight - second)
    charged("sales", "2", charged_at=midnight)
    samples = scrape()
    labels = {"team": "sales", "database": "shop"}
    succeeded = {"status": "succeeded", "cached": "false", "problem": ""}
    assert value(samples, "text2sql_questions_total", **labels, **succeeded) == 1
    assert value(samples, "text2sql_cost_usd_total", **labels, model="claude-sonnet-5-5") == 2


def test_the_latency_histogram_is_cumulative_and_its_bounds_belong_to_the_lower_bucket(database: Database) -> None:
    for latency_ms in (0, 50, 51, 1_000, 1_001, 90_001):
        asked(database, "sales", latency_ms=latency_ms)
    asked(database, "marketing", latency_ms=50)
    asked(database, "sales", latency_ms=3, cached=True)
    samples = scrape()
    found = {
        bound: value(samples, "text2sql_question_seconds_bucket", cached="false", le=bound)
        for bound in ("0.05", "0.1", "0.5", "1.0", "2.5", "90.0", "+Inf")
    }
    assert found == {"0.05": 3, "0.1": 4, "0.5": 4, "1.0": 5, "2.5": 6, "90.0": 6, "+Inf": 7}
    assert value(samples, "text2sql_question_seconds_count", cached="false") == 7
    assert value(samples, "text2sql_question_seconds_sum", cached="false") == pytest.approx(92.153)
    assert value(samples, "text2sql_question_seconds_count", cached="true") == 1


def test_cost_and_tokens_are_the_ledgers(database: Database) -> None:
    charged("sales", "0.001000000001")
    charged("sales", "0.002", cache_read_tokens=4000, cache_write_5m_tokens=30)
    samples = scrape()
    labels = {"team": "sales", "database": "shop", "model": "claude-sonnet-5-5"}
    assert value(samples, "text2sql_cost_usd_total", **labels) == 0.003000000001
    found = {
        kind: value(samples, "text2sql_tokens_total", kind=kind, **labels)
        for kind in ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    }
    assert found == {"input": 200, "output": 14, "cache_read": 4000, "cache_write_5m": 30, "cache_write_1h": 0}


def test_budgets_tell_their_present_window(database: Database) -> None:
    budget = BudgetFactory(team_id="sales", limit_usd=Decimal(5))
    key = make_key(budget.team)[0]
    BudgetFactory(team=budget.team, api_key=key, period="week", limit_usd=Decimal(3))
    BudgetFactory(team=None, period="month", limit_usd=Decimal(90))
    labels = {"team": "sales", "key": "", "period": "day"}
    assert value(scrape(), "text2sql_budget_spent_usd", **labels) == 0
    yesterday = window_open(budget=budget, at=timezone.now() - timedelta(days=1))
    today = window_open(budget=budget, at=timezone.now())
    type(today).objects.filter(pk=yesterday.pk).update(spent_usd=4)
    type(today).objects.filter(pk=today.pk).update(
        spent_usd=Decimal("1.5"), reserved_usd=Decimal("0.25"), external_usd=Decimal("0.125"), top_up_usd=Decimal(2)
    )
    samples = scrape()
    figures = ("limit", "spent", "external", "reserved")
    found = [value(samples, f"text2sql_budget_{name}_usd", **labels) for name in figures]
    assert found == [7, 1.5, 0.125, 0.25]
    assert value(samples, "text2sql_budget_limit_usd", team="sales", key=key.prefix, period="week") == 3
    assert value(samples, "text2sql_budget_limit_usd", team="", key="", period="month") == 90


def test_calls_that_were_shrunk_are_counted_with_those_that_were_cut(database: Database) -> None:
    generation = GenerationFactory(database=database, team_id="sales")
    for number, stop_reason in enumerate(["end_turn", "max_tokens", "end_turn"]):
        generation.attempts.create(
            number=number,
            model="m",
            max_tokens=2000,
            is_shrunk=True,
            stop_reason=stop_reason,
            started_at=timezone.now(),
        )
    samples = scrape()
    assert value(samples, "text2sql_shrunk_attempts_total", cut="false") == 2
    assert value(samples, "text2sql_shrunk_attempts_total", cut="true") == 1


def test_what_waits_and_what_lives_is_told(langfuse: LangfuseStandIn) -> None:
    trace = trace_record(trace_made())
    assert trace is not None
    score_record(score_id="f", trace_id=trace.trace_id, name="user_feedback", value=1, data_type="BOOLEAN")
    for n in range(2):
        alert_raise(key=f"k{n}", kind="budget", scope="", level="warning", subject="s", body="b", recipients=["a@b.c"])
    Alert.objects.filter(key="k0").update(created_at=day_start() - timedelta(hours=1))
    AlertDelivery.objects.filter(alert__key="k0").update(created_at=timezone.now() - timedelta(hours=2))
    alert_raise(key="k2", kind="check", scope="", level="info", subject="s", body="b", recipients=["no address"])
    AlertDelivery.objects.filter(alert__key="k2").update(state="failed")
    heartbeat_note("schedule")
    samples = scrape()
    assert value(samples, "text2sql_backlog", kind="traces") == 1
    assert value(samples, "text2sql_backlog", kind="scores") == 1
    assert value(samples, "text2sql_backlog", kind="alerts") == 2
    assert value(samples, "text2sql_alerts_total", kind="budget", level="warning") == 1
    assert value(samples, "text2sql_undelivered", kind="alerts") == 1
    assert (value(samples, "text2sql_backlog_oldest_seconds", target="alerts") or 0) > 3600
    assert (value(samples, "text2sql_heartbeat_age_seconds", name="schedule") or 9) < 5


def test_two_scrapes_at_once_are_one_reading(database: Database) -> None:
    metrics_forget()
    first = ask().content
    asked(database, "sales")
    assert ask().content == first
    metrics_forget()
    assert ask().content != first


@pytest.mark.django_db(transaction=True)
def test_a_database_that_hangs_ends_a_scrape(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observability.metrics.READ_MILLISECONDS", 200)
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE text2sql_generation IN ACCESS EXCLUSIVE MODE")
            locked.set()
            done.wait(20)
            cursor.execute("ROLLBACK")
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(20)
    try:
        assert ask().status_code == 503
    finally:
        done.set()
        holder.join()
    assert ask().status_code == 200


@pytest.mark.parametrize("statement", [QUESTIONS, LATENCIES, CHARGES, BUDGETS])
def test_no_scrape_reads_a_whole_table_of_events(statement: str, database: Database) -> None:
    """With sequential scans forbidden the planner still takes one where no index fits; it must find one."""
    values: dict[str, Any] = {"now": timezone.now(), "day": day_start(), "asked": day_start(), "bounds": [1]}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    for table in ("text2sql_generation", "teams_charge", "teams_budgetwindow"):
        assert f"Seq Scan on {table}" not in plan
    assert "Index" in plan
