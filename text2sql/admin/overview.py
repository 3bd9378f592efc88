"""The admin's first page: how it goes, what it costs, and what waits. Leads see their teams' part of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from teams.admin.bars import bar_of, usd
from teams.admin.base import rows_of
from teams.admin.spans import days_asked, last_days
from teams.models import Budget, Team
from teams.services.standings import budget_standings
from teams.site import request_principal
from text2sql.models import Database, QuestionDay
from text2sql.services.question_days import Figures, overview_sum
from text2sql.services.spending import month_costs

USUAL = last_days(30)
BUDGETS, ALERTS, ROWS = 12, 5, 8
TRACKED = timedelta(days=29)
CHART_HEIGHT = 120
FAILING = 0.2
WAITING = [("feedback.Feedback", "new", "feedback to review"), ("text2sql.Example", "broken", "examples that broke")]


def overview_add(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    now, teams = timezone.now(), list(rows_of(request_principal(request), Team.objects.all()))
    links = Links(clock_of(teams))
    today = now.astimezone(links.clock).date()
    days = days_asked(request, today, USUAL)
    first, last = days.first, days.last
    rows = rows_of(request_principal(request), QuestionDay.objects.all())
    found = overview_sum(rows, first=first, last=last)
    is_usual = (first, last) == (today - TRACKED, today)
    tracked = (found if is_usual else overview_sum(rows, first=today - TRACKED, last=today)).by_day
    return context | {
        "first_day": first,
        "last_day": last,
        "error": days.error,
        "clock": links.clock.key,
        "cards": [
            _today(tracked, today, links),
            *_cards(found.total, links.filtered(first, last)),
            _month(teams, now),
        ],
        "chart": _chart(found.by_day),
        "teams": _groups(
            found.by_team, {team.pk: team.name for team in teams}, links.filtered(first, last), "team__slug__exact"
        ),
        "databases": _groups(
            found.by_database, _database_names(request), links.filtered(first, last), "database__id__exact"
        ),
        "tracker": [_tracked(day, figures, links) for day, figures in tracked.items()],
        "budgets": _budgets(request, now),
        "waiting": _waiting(request),
        "alerts": _alerts(request),
    }


@dataclass(frozen=True)
class Links:
    """To the lists behind the figures, by one clock."""

    clock: ZoneInfo

    def questions(self, first: date, last: date, **filters: str) -> str:
        """The list of the questions of these days."""
        bounds = (datetime.combine(day, time(), self.clock).isoformat() for day in (first, last + timedelta(days=1)))
        start, end = bounds
        asked = urlencode({"created_at__gte": start, "created_at__lt": end, **filters})
        return f"{reverse('admin:text2sql_generation_changelist')}?{asked}"

    def filtered(self, first: date, last: date) -> Callable[..., str]:
        return partial(self.questions, first, last)


def clock_of(teams: Sequence[Team]) -> ZoneInfo:
    """The teams' own where they share one."""
    zones = {team.time_zone.key for team in teams}
    return ZoneInfo(zones.pop() if len(zones) == 1 else "UTC")


def _today(tracked: Mapping[date, Figures], today: date, links: Links) -> dict[str, Any]:
    return {
        "title": "Questions today",
        "value": f"{tracked[today].questions:,}",
        "note": f"{tracked[today - timedelta(days=7)].questions:,} a week ago",
        "href": links.questions(today, today),
    }


def _cards(total: Figures, link: Callable[..., str]) -> list[dict[str, Any]]:
    return [
        {"title": "Questions", "value": f"{total.questions:,}", "note": "in these days", "href": link()},
        {
            "title": "Answered",
            "value": _percent(total.rate("answered")),
            "note": f"{total.failed:,} failed",
            "href": link(status__exact="failed"),
        },
        {
            "title": "Latency",
            "value": _seconds(total.latency_ms(0.5)),
            "note": f"95 % within {_seconds(total.latency_ms(0.95))}",
            "href": link(o="-8"),
        },
        {
            "title": "From the cache",
            "value": _percent(total.rate("cached")),
            "note": f"{usd(total.saved_usd, 2)} saved",
            "href": link(cached__exact="1"),
        },
        {"title": "Cost", "value": usd(total.cost_usd, 2), "note": "of these questions", "href": link(o="-7")},
    ]


def _month(teams: Sequence[Team], now: datetime) -> dict[str, Any]:
    spent = sum(month_costs(teams, now=now).values(), Decimal(0))
    return {"title": "This month", "value": usd(spent, 2), "note": "with evaluations", "href": reverse("spending")}


def _chart(by_day: Mapping[date, Figures]) -> dict[str, Any]:
    """Bars of questions, the failed ones on top of the others, 10 wide and CHART_HEIGHT high."""
    highest = max((figures.questions for figures in by_day.values()), default=0)
    scale = CHART_HEIGHT / highest if highest else 0.0
    bars = []
    for number, (day, figures) in enumerate(by_day.items()):
        height, failed = figures.questions * scale, figures.failed * scale
        bars.append(
            {
                "x": number * 10 + 1,
                "y": f"{CHART_HEIGHT - height + failed:.2f}",
                "height": f"{height - failed:.2f}",
                "failed_y": f"{CHART_HEIGHT - height:.2f}",
                "failed_height": f"{failed:.2f}",
                "words": f"{day}: {figures.questions:,} questions, {figures.failed:,} failed",
            }
        )
    return {"bars": bars, "width": len(bars) * 10, "height": CHART_HEIGHT, "highest": f"{highest:,}", "any": highest}


def _groups(
    groups: Mapping[Any, Figures], names: Mapping[Any, str], link: Callable[..., str], lookup: str
) -> list[dict[str, Any]]:
    dearest = sorted(groups.items(), key=lambda group: (-group[1].cost_usd, -group[1].questions))
    return [
        {
            "name": names.get(key, key),
            "questions": f"{figures.questions:,}",
            "answered": _percent(figures.rate("answered")),
            "cost": usd(figures.cost_usd),
            "href": link(**{lookup: str(key)}),
        }
        for key, figures in dearest[:ROWS]
    ]


def _tracked(day: date, figures: Figures, links: Links) -> dict[str, str]:
    failed = figures.rate("failed")
    state = "empty" if failed is None else "failing" if failed >= FAILING else "some" if failed else "fine"
    words = f"{day}: {figures.questions:,} questions, {figures.failed:,} failed"
    return {"state": state, "words": words, "href": links.questions(day, day)}


def _budgets(request: HttpRequest, now: datetime) -> list[dict[str, Any]]:
    """Those that are nearest to their limit."""
    budgets = rows_of(request_principal(request), Budget.objects.select_related("team", "api_key"))
    standings = budget_standings(list(budgets[:200]), now=now)
    fullest = sorted(standings, key=lambda standing: -standing.percent(standing.window.used_usd))[:BUDGETS]
    return [
        {
            "name": f"{standing.budget.scope_name}, {standing.budget.get_period_display().lower()}",
            "href": reverse("admin:teams_budget_change", args=[standing.budget.pk]),
            "bar": bar_of(standing),
            "remaining": usd(standing.remaining_usd, 2),
            "limit": usd(standing.limit_usd, 2),
        }
        for standing in fullest
    ]


def _waiting(request: HttpRequest) -> list[dict[str, Any]]:
    found = []
    for label, state, words in WAITING:
        rows, link = _page(request, label)
        rows = rows.filter(state=state) if state == "new" else rows.filter(finding__isnull=False, replaced_at=None)
        if count := rows.order_by()[:100].count():
            found.append({"count": "99+" if count > 99 else str(count), "words": words, "href": link})
    return found


def _alerts(request: HttpRequest) -> list[dict[str, Any]]:
    rows, _ = _page(request, "observability.Alert")
    open_ones = rows.filter(acknowledged_at=None).order_by("-created_at")[:ALERTS]
    return [
        {"subject": alert.subject, "level": alert.level, "at": alert.created_at,
         "href": reverse("admin:observability_alert_change", args=[alert.pk])}
        for alert in open_ones
    ]  # fmt: skip


def _page(request: HttpRequest, label: str) -> tuple[QuerySet[Any], str]:
    """The rows of an admin page as this person sees them, and the page's address."""
    model = apps.get_model(label)
    link = reverse(f"admin:{label.lower().replace('.', '_')}_changelist")
    return admin.site.get_model_admin(model).get_queryset(request), link


def _database_names(request: HttpRequest) -> dict[Any, str]:
    return dict(rows_of(request_principal(request), Database.objects.all()).values_list("pk", "name"))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}".replace("%", " %")


def _seconds(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "–"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
