"""Spending: a page for each team, and its file for charge-back. Leads see those of their teams, admins all."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.timesince import timesince

from teams.admin.bars import bar_of, local_time, usd
from teams.admin.base import rows_of
from teams.admin.budgets import money_ends
from teams.admin.sheets import csv_lines
from teams.admin.spans import Usual, days_asked
from teams.models import Budget, BudgetWindow, Team
from teams.services.standings import Standing, budget_standings
from teams.services.windows import budget_zone
from teams.site import request_principal
from text2sql.services.spending import (
    CHARGE_COLUMNS,
    TOKENS,
    DaySpending,
    Span,
    charge_rows,
    month_costs,
    spending_sum,
    windows_past,
)

THIS_MONTH = Usual(lambda last: last.replace(day=1), "This is the present month.")
CHART_HEIGHT = 120
GROUPS = {
    "database": ("Database", "–"),
    "model": ("Model", "–"),
    "api_key_id": ("API key", "people, without a key"),
    "end_user": ("End user", "not told"),
}
"""By what it was spent: the title, and what stands for an empty value."""


def spending(request: HttpRequest) -> HttpResponse:
    """The teams whose spending this person may see, with what this month has cost so far."""
    teams = list(_teams(request))
    costs = month_costs(teams, now=timezone.now())
    rows = [{"team": team, "cost": usd(costs.get(team.pk, Decimal(0)), 2)} for team in teams]
    return _page(request, "list.html", title="Spending", rows=rows)


def spending_team(request: HttpRequest, team_id: str) -> HttpResponse:
    team, now = _team(request, team_id), timezone.now()
    span, error = _span(request, team)
    found = spending_sum(span)
    budgets = Budget.objects.filter(team=team).select_related("team", "api_key")
    return _page(
        request,
        "team.html",
        title=f"Spending: {team.name}",
        team=team,
        span=span,
        error=error,
        present=[_present(standing) for standing in budget_standings(list(budgets), now=now)],
        past=[_past(window) for window in windows_past(team, now=now)],
        total=_row(found.total, found.total["cost"]),
        chart=_chart(found.by_day),
        days=[_day(day) for day in reversed(found.by_day) if day.questions or day.cost or day.langfuse],
        groups=[spending_group(name, rows, found.total["cost"]) for name, rows in found.groups.items()],
        shrunk=found.shrunk,
        cut=found.cut,
    )


def spending_charges(request: HttpRequest, team_id: str) -> StreamingHttpResponse:
    """The file for charge-back, sent as it is read."""
    span, _ = _span(request, _team(request, team_id))
    name = f"spending-{span.team.pk}-{span.first_day}-{span.last_day}.csv"
    lines = csv_lines([CHARGE_COLUMNS], charge_rows(span))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _teams(request: HttpRequest) -> QuerySet[Team]:
    return rows_of(request_principal(request), Team.objects.all())


def _team(request: HttpRequest, team_id: str) -> Team:
    team: Team | None = _teams(request).filter(pk=team_id).first()
    if team is None:
        raise Http404  # the same for what is not there and for what is another lead's
    return team


def _span(request: HttpRequest, team: Team) -> tuple[Span, str]:
    """By the team's clock, and what was wrong with the days asked for."""
    days = days_asked(request, timezone.now().astimezone(team.time_zone).date(), THIS_MONTH)
    return Span(team, days.first, days.last), days.error


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    whole = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, f"admin/text2sql/spending/{template}", whole)


def _present(standing: Standing) -> dict[str, Any]:
    window, zone = standing.window, budget_zone(standing.budget)
    return {
        "budget": standing.budget,
        "bar": bar_of(standing),
        "limit": usd(standing.limit_usd, 2),
        "spent": usd(window.spent_usd),
        "external": usd(window.external_usd),
        "remaining": usd(standing.remaining_usd),
        "forecast": usd(standing.forecast.total_usd, 2) if standing.forecast else "too little history",
        "money_ends": money_ends(standing),
        "next": local_time(window.ends_at, zone),
    }


def _past(window: BudgetWindow) -> dict[str, Any]:
    zone = budget_zone(window.budget)
    return {
        "budget": window.budget,
        "from": local_time(window.starts_at, zone),
        "spent": usd(window.spent_usd),
        "external": usd(window.external_usd),
        "limit": usd(window.limit_usd, 2),
        "percent": f"{window.used_usd / window.limit_usd * 100:.0f} %" if window.limit_usd else "–",
        "over": window.used_usd >= window.limit_usd,
        "top_ups": [f"{usd(top_up.amount_usd, 2)}: {top_up.reason}" for top_up in window.top_ups.all()],
    }


def spending_group(name: str, rows: list[dict[str, Any]], total: Decimal) -> dict[str, Any]:
    """A table of group.html: what `spending_by` tells of the name, in words."""
    title, empty = GROUPS[name]
    return {"title": title, "rows": [_row(row, total) | {"name": row["name"] or empty} for row in rows]}


def _row(row: dict[str, Any], total: Decimal) -> dict[str, Any]:
    return {
        **{name: f"{row[name]:,}" for name in ("questions", "calls", "cached")},
        "tokens_in": f"{sum(row[name] for name in TOKENS if name != 'output_tokens'):,}",
        "tokens_out": f"{row['output_tokens']:,}",
        "cost": usd(row["cost"]),
        "share": f"{row['cost'] / total * 100:.0f} %" if total else "–",
    }


def _day(day: DaySpending) -> dict[str, Any]:
    figures = day.langfuse
    told = {"day": day.day, "questions": f"{day.questions:,}", "cost": usd(day.cost), "langfuse": figures}
    if figures is None:
        return told
    drift = figures.drift_usd
    return told | {
        "ours": usd(figures.ours_usd),
        "external": usd(figures.external_usd),
        "drift": f"{'+' if drift > 0 else '-'}{usd(abs(drift))}" if drift else "none",
        "age": f"{timesince(figures.read_at).split(',')[0]} ago",
        "unpriced": f"{figures.unpriced_tokens:,}" if figures.unpriced_tokens else "",
    }


def _chart(days: list[DaySpending]) -> dict[str, Any]:
    """Bars of ours with the external spend on top, in the units of the drawing: 10 wide, CHART_HEIGHT high."""
    highest = max((day.cost + day.external_usd for day in days), default=Decimal(0))
    scale = CHART_HEIGHT / highest if highest else Decimal(0)
    bars = []
    for number, day in enumerate(days):
        ours, external = day.cost * scale, day.external_usd * scale
        bars.append(
            {
                "x": number * 10 + 1,
                "y": f"{CHART_HEIGHT - ours:.2f}",
                "height": f"{ours:.2f}",
                "external_y": f"{CHART_HEIGHT - ours - external:.2f}",
                "external_height": f"{external:.2f}",
                "words": f"{day.day}: {usd(day.cost)}"
                + (f", external {usd(day.external_usd)}" if day.external_usd else ""),
            }
        )
    return {"bars": bars, "width": len(days) * 10, "height": CHART_HEIGHT, "highest": usd(highest, 2), "any": highest}


urlpatterns = [
    path("", admin.site.admin_view(spending), name="spending"),
    path("<slug:team_id>/", admin.site.admin_view(spending_team), name="spending_team"),
    path("<slug:team_id>/charges.csv", admin.site.admin_view(spending_charges), name="spending_charges"),
]
