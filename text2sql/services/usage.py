"""What a team asked and what it cost, summed over days of its own clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate

from teams.models import Team
from teams.models.budgets import UsdField
from text2sql.models import Generation

_TOKENS = ["input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens"]


@dataclass(frozen=True)
class Usage:
    team: str
    time_zone: str
    first_day: date
    last_day: date
    total: dict[str, Any]
    by_day: list[dict[str, Any]]
    by_database: list[dict[str, Any]]


def usage_sum(*, team: Team, first_day: date, last_day: date) -> Usage:
    """Both days are included; a question counts for the day on which it was asked."""
    start = datetime.combine(first_day, time(), team.time_zone)
    end = datetime.combine(last_day + timedelta(days=1), time(), team.time_zone)
    asked = Generation.objects.filter(team=team, created_at__gte=start, created_at__lt=end).order_by()
    days = asked.annotate(day=TruncDate("created_at", tzinfo=team.time_zone))
    return Usage(
        team=team.pk,
        time_zone=team.time_zone.key,
        first_day=first_day,
        last_day=last_day,
        total=_texts([asked.aggregate(**_sums())])[0],
        by_day=_texts(_grouped(days, "day")),
        by_database=[{**row, "database": row["database__name"]} for row in _texts(_grouped(asked, "database__name"))],
    )


def _grouped(rows: QuerySet[Generation], name: str) -> list[dict[str, Any]]:
    return list(rows.values(name).annotate(**_sums()).order_by(name))


def _sums() -> dict[str, Any]:
    return {
        "generations": Count("pk"),
        "cached": Count("pk", filter=Q(cached=True)),
        "failed": Count("pk", filter=Q(status=Generation.Status.FAILED)),
        "cost": Coalesce(Sum("cost_usd"), 0, output_field=UsdField()),
        **{name: Coalesce(Sum(name), 0) for name in _TOKENS},
    }


def _texts(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "cost_usd": money_text(row["cost"])} for row in rows]


def money_text(amount: Decimal) -> str:
    """US dollars without an exponent and without trailing zeros."""
    return f"{amount.normalize():f}"
