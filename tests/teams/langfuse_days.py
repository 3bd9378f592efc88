"""Spending as Langfuse and the ledger see it, and what the check's screens show of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from observability.models import Alert
from observability.services.traces import TraceRecord, trace_record, traces_export
from teams.models import Budget, BudgetWindow, LangfuseDay, Team
from tests.factories import BudgetFactory, TeamFactory
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn
from tests.teams.spending import spend

METRICS = "/api/public/v2/metrics"
Amount = Decimal | int


def team_with_budget(
    slug: str = "sales", limit: str = "100", *, zone: str = "UTC", period: Budget.Period | str = Budget.Period.DAY
) -> Team:
    team = TeamFactory(slug=slug, time_zone=zone)
    BudgetFactory(team=team, limit_usd=Decimal(limit), period=period)
    return team


def organisation_budget(limit: str = "1000", period: str = Budget.Period.DAY) -> Budget:
    return Budget.objects.create(team=None, limit_usd=Decimal(limit), period=period)


def tokens_used(record: TraceRecord, model: str, tokens: int) -> TraceRecord:
    """The trace with another model and token count in its generation."""
    root, generation = record.observations
    return replace(record, observations=(root, replace(generation, model=model, usage={"input": tokens})))


def trace(
    user: Team | str,
    cost: str,
    *,
    at: datetime,
    tags: Sequence[str] = ("text2sql",),
    model: str = "",
    tokens: int = 0,
    send: bool = True,
) -> None:
    """A trace of one generation that began at this moment; with `send` Langfuse has it at once."""
    user_id = user if isinstance(user, str) else user.pk
    start = at - timedelta(milliseconds=5)  # the generation, which has the cost, begins 5 ms after the root
    record = trace_made(str(uuid4()), user_id=user_id, cost=cost, start=start, tags=list(tags))
    trace_record(tokens_used(record, model, tokens) if model else record)
    if send:
        traces_export(limit=2000)


def ask(team: Team, cost: str, *, at: datetime, send: bool = True) -> None:
    """A question of ours: charged in the ledger and traced."""
    spend(team, cost, now=at)
    trace(team, cost, at=at, send=send)


def elsewhere(user: Team | str, cost: str, *, at: datetime, **more: Any) -> None:
    """Spending of a team's other tools under its user id."""
    trace(user, cost, at=at, tags=["notebook"], **more)


def queries(langfuse: LangfuseStandIn) -> list[dict[str, Any]]:
    return [json.loads(r.query["query"][0]) for r in langfuse.requests if r.path == METRICS]


def days_asked(langfuse: LangfuseStandIn) -> set[tuple[str, str]]:
    return {(query["fromTimestamp"], query["toTimestamp"]) for query in queries(langfuse)}


def day_of(user: Team | str, at: datetime, **more: Any) -> LangfuseDay:
    """The stored day of this user that holds the moment."""
    user_id = user if isinstance(user, str) else user.pk
    return LangfuseDay.objects.get(user_id=user_id, starts_at__lte=at, ends_at__gt=at, **more)


def figures_of(day: LangfuseDay) -> tuple[Amount, ...]:
    """Ours in Langfuse, our ledger, drift, external."""
    return day.ours_usd, day.ledger_usd, day.drift_usd, day.external_usd


def window_at(team: Team | None, period: str, at: datetime) -> BudgetWindow:
    """The window of a team's budget, or of the organisation's."""
    return BudgetWindow.objects.get(
        budget__team=team, budget__api_key=None, budget__period=period, starts_at__lte=at, ends_at__gt=at
    )


def window_figures(team: Team | None, period: str, at: datetime) -> tuple[Amount, Amount]:
    """What it shows: spent and external."""
    window = window_at(team, period, at)
    return window.spent_usd, window.external_usd


def alerts() -> list[tuple[str, str]]:
    """Kind and scope of everything that was raised."""
    return sorted(Alert.objects.values_list("kind", "scope"))


def thresholds() -> list[str]:
    """Which thresholds were told of."""
    keys = Alert.objects.filter(kind="budget_threshold").values_list("key", flat=True)
    return sorted(key.rsplit(":", 1)[1] for key in keys)
