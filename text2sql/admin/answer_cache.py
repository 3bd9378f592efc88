"""The answer cache: what it has saved each team, and which questions it cannot help with. Leads see their teams."""

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

from teams.admin.bars import local_time, usd
from teams.admin.base import rows_of
from teams.admin.spans import Days, days_asked, last_days
from teams.models import Team
from teams.site import request_principal
from text2sql.models import QuestionDay
from text2sql.services.cache_figures import (
    AskedQuestion,
    Figures,
    Kind,
    StaleQuestion,
    cache_figures,
    kinds_compared,
    questions_asked,
    questions_ranked,
    store_look,
)
from text2sql.services.usage import money_text

USUAL, LONGEST_DAYS = last_days(30), 92
TWELVE_DECIMALS = Decimal("1e-12")


def answer_cache(request: HttpRequest) -> HttpResponse:
    """By team and database, of the teams that this person may see."""
    days = _days(request, ZoneInfo(settings.ORGANISATION_TIME_ZONE))
    teams = {team.pk: team for team in _teams(request)}
    counted = rows_of(request_principal(request), QuestionDay.objects.all())
    found = cache_figures(counted, first_day=days.first, last_day=days.last)
    rows = [_figures_row(one) | {"team": teams[one.team_id]} for one in found]
    store = store_look()
    return _page(
        request,
        "list.html",
        title="Answer cache",
        rows=rows,
        days=days,
        store=store,
        hit_price=f"${money_text(store.hit_usd)}" if store.hit_usd else "nothing",
        is_admin=request_principal(request).is_admin,
    )


def answer_cache_team(request: HttpRequest, team_id: str) -> HttpResponse:
    team = _teams(request).filter(pk=team_id).first()
    if team is None:
        raise Http404  # the same for what is not there and for what is another lead's
    days = _days(request, team.time_zone)
    found = cache_figures(QuestionDay.objects.filter(team=team), first_day=days.first, last_day=days.last)
    names = [one.database for one in found]
    database = request.GET.get("database", "")
    database = database if database in names else ""
    asked = questions_asked(team, first_day=days.first, last_day=days.last, database=database)
    most, stale = questions_ranked(asked)
    return _page(
        request,
        "team.html",
        title=f"Answer cache: {team.name}",
        team=team,
        days=days,
        names=names,
        database=database,
        rows=[_figures_row(one) for one in found],
        kinds=[_kind_row(kind) for kind in kinds_compared(asked)],
        most=[_asked_row(one, team.time_zone) for one in most],
        stale=[_stale_row(one, team.time_zone) for one in stale],
    )


def _teams(request: HttpRequest) -> QuerySet[Team]:
    return rows_of(request_principal(request), Team.objects.all())


def _days(request: HttpRequest, zone: ZoneInfo) -> Days:
    return days_asked(request, timezone.now().astimezone(zone).date(), USUAL, longest=LONGEST_DAYS)


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    whole = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, f"admin/text2sql/answer_cache/{template}", whole)


def _figures_row(one: Figures) -> dict[str, Any]:
    return {
        "database": one.database,
        "questions": f"{one.questions:,}",
        "hits": f"{one.hits:,}",
        "hit_rate": f"{one.hit_rate * 100:.1f} %",
        "saved": usd(one.saved_usd),
        "time": _duration(one.saved_seconds),
    }


def _kind_row(kind: Kind) -> dict[str, Any]:
    return {
        "name": "from the cache" if kind.cached else "by Claude",
        "answers": f"{kind.answers:,}",
        "p50": _milliseconds(kind.p50_ms),
        "p95": _milliseconds(kind.p95_ms),
        "cost": f"${money_text(kind.total_usd)}",  # what a store charges for hits shows in the far decimals only
        "mean": f"${money_text(kind.mean_usd.quantize(TWELVE_DECIMALS))}",
    }


def _asked_row(one: AskedQuestion, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "question": one.question,
        "asked": f"{one.asked:,}",
        "hits": f"{one.hits:,}",
        "saved": usd(one.saved_usd),
        "last": local_time(one.last_at, zone),
    }


def _stale_row(one: StaleQuestion, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "question": one.question,
        "asked": f"{one.asked:,}",
        "cost": usd(one.cost_usd),
        "last": local_time(one.last_at, zone),
        "why": one.why,
    }


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, length in (("h", 3600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


urlpatterns = [
    path("", admin.site.admin_view(answer_cache), name="answer_cache"),
    path("<slug:team_id>/", admin.site.admin_view(answer_cache_team), name="answer_cache_team"),
]
