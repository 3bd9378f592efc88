"""The whole way once, through every room, over the real API with both stand-ins."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.core import mail
from django.utils import timezone

from observability.models import Alert
from observability.services.alerts import alerts_send
from observability.services.scores import scores_export
from observability.services.traces import traces_export
from teams.models import Budget, Charge, LangfuseDay, Reservation
from teams.services.budget_checks import budgets_check
from tests.clients import ApiClient
from tests.factories import BudgetFactory, make_database, make_key
from tests.people import make_people
from tests.standins.langfuse import LangfuseStandIn
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation

SQL = (
    "SELECT name, (SELECT sum(amount) FROM orders WHERE customer_id = customers.id) AS total "
    "FROM customers ORDER BY name"
)


@pytest.mark.django_db(transaction=True)
def test_a_question_goes_all_the_way(claude: ClaudeStandIn, langfuse: LangfuseStandIn, shop: Path) -> None:
    people = make_people()
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal(1))
    make_database(shop, people.sales)
    api = ApiClient(make_key(people.sales)[1])
    question = {"database": "shop", "question": "What has each customer spent?", "session_id": "s-1", "execute": True}

    # Ask.
    claude.play("answer", status="ok", sql=SQL, explanation="The sum of each customer's orders.")
    answer = api.post("generate", question).json()
    assert answer["status"] == "succeeded"
    assert answer["rows"] == [["Ada", 15], ["Bert", 7]]
    assert answer["cached"] is False
    assert answer["answered_by"] == "stand-in"

    # What Claude billed is what the ledger holds, and no money stays held.
    billed = claude.billed[-1]
    charge = Charge.objects.get()
    assert charge.cost_usd == billed.cost == Decimal(answer["cost_usd"])
    assert charge.output_tokens == billed.usage.output
    assert not Reservation.objects.exists()

    # The trace arrives, with the same cost.
    traces_export()
    trace = langfuse.traces()[answer["trace_id"]]
    assert trace.root is not None
    assert (trace.root.name, trace.root.user_id, trace.root.session_id) == ("text2sql_generation", "sales", "s-1")
    assert set(trace.root.tags) == {"text2sql", "sales", "db:shop"}
    generation = trace.named("generate_sql")
    assert generation.type == "GENERATION"
    assert Decimal(str(generation.total_cost)) == charge.cost_usd
    assert trace.root.output == answer["sql"]

    # Ask again: cached, with a trace and without a call.
    again = api.post("generate", {**question, "question": "  what has each customer SPENT "}).json()
    assert (again["cached"], again["sql"], again["cost_usd"]) == (True, answer["sql"], "0")
    assert len(claude.billed) == 1
    traces_export()
    cached_trace = langfuse.traces()[again["trace_id"]]
    assert cached_trace.root is not None
    assert "cached" in cached_trace.root.tags
    assert cached_trace.root.metadata["cached"] in (True, "true")
    assert [step.name for step in cached_trace.observations] == ["text2sql_generation"]

    # Thumbs-down: the score arrives, the entry is gone.
    path = f"generations/{answer['id']}/feedback"
    given = api.post(path, {"rating": "down", "comment": "Without VAT, please.", "end_user": "nina"}).json()
    assert given["state"] == "new"
    scores_export()
    scores = {score.name: score for score in langfuse.scores() if score.trace_id == answer["trace_id"]}
    assert {name: bool(score.value) for name, score in scores.items()} == {
        "sql_valid": True,
        "sql_execution_success": True,
        "user_feedback": False,
    }
    assert scores["user_feedback"].comment == "Without VAT, please."
    claude.play("answer", status="ok", sql=SQL, explanation="Again.")
    assert api.post("generate", question).json()["cached"] is False

    # The money is spent: refused before any call, and the refusal says when it goes on.
    Budget.objects.filter(pk=budget.pk).update(limit_usd=sum(c.cost_usd for c in Charge.objects.all()))
    calls = len(claude.requests)
    refused = api.post("generate", {**question, "question": "Something new?"})
    assert (refused.status_code, refused.headers["Content-Type"]) == (402, "application/problem+json")
    kind = refused.json()["type"].removeprefix("urn:text2sql:problem:")
    assert kind in ("budget-exhausted", "request-too-expensive")
    assert refused.json()["resets_at"] > timezone.now().isoformat()
    assert len(claude.requests) == calls

    # The scheduled check finds the same sum in Langfuse and raises one alert per threshold, once.
    traces_export()
    budgets_check()
    budgets_check()
    day = LangfuseDay.objects.get(team=people.sales)
    assert day.ours_usd == day.ledger_usd == sum(c.cost_usd for c in Charge.objects.filter(cached=False))
    assert (day.drift_usd, day.external_usd) == (0, 0)
    assert sorted(alert.key.rsplit(":", 1)[1] for alert in Alert.objects.all()) == ["100", "50", "80"]
    alerts_send()
    told = {recipient for message in mail.outbox for recipient in message.to}
    assert told == {"alice@example.com", "root@example.com"}
    assert Generation.objects.filter(status="running").count() == 0
