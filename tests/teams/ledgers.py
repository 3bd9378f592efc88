"""Charges and Langfuse's days as tests need them: what, whose, when."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from teams.models import Charge, LangfuseDay, Team
from teams.services.windows import window_bounds


def charged(team: Team, cost: str, at: datetime, **values: Any) -> Charge:
    defaults: dict[str, Any] = {
        "attempt_id": uuid4(), "generation_id": uuid4(), "database": "shop", "model": "claude-sonnet-5-5",
        "charged_at": at,
    }  # fmt: skip
    return Charge.objects.create(team=team, cost_usd=Decimal(cost), started_at=at, **(defaults | values))


def charged_daily(team: Team, cost: str, until: datetime, *, days: int, **values: Any) -> None:
    """So much on each of the days before `until`, at the same local time."""
    local = until.astimezone(team.time_zone)
    for back in range(1, days + 1):
        charged(team, cost, local - timedelta(days=back), **values)


def langfuse_day(team: Team, at: datetime, **figures: Any) -> LangfuseDay:
    starts_at, ends_at = window_bounds("day", team.time_zone, at)
    return LangfuseDay.objects.create(
        team=team, user_id=team.pk, day=at.astimezone(team.time_zone).date(), time_zone=team.time_zone.key,
        starts_at=starts_at, ends_at=ends_at, **{"read_at": at, **figures},
    )  # fmt: skip
