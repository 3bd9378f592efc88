"""Sessions: the questions that a client asked under one name, the latest session first."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.dateparse import parse_datetime

from teams.admin.bars import usd
from teams.admin.base import rows_of
from teams.models import Team
from teams.site import request_principal
from text2sql.admin.generations import list_views
from text2sql.models import Generation

PER_PAGE = 30


def sessions(request: HttpRequest) -> HttpResponse:
    """Those of the person's teams, or of the one that `team` names; `before` leads to the older ones."""
    principal = request_principal(request)
    teams = rows_of(principal, Team.objects.all())
    rows = rows_of(principal, Generation.objects.exclude(session_id=""))
    if team := request.GET.get("team"):
        if not teams.filter(pk=team).exists():
            raise Http404  # the same for what is not there and for what is another lead's
        rows = rows.filter(team=team)
    found, older = _page(rows, _moment(request.GET.get("before", "")))
    context = {
        **admin.site.each_context(request),
        "title": "Sessions",
        "list_views": list_views(request),
        "teams": teams,
        "team": team,
        "rows": [_row(session) for session in found],
        "older": urlencode({**({"team": team} if team else {}), "before": older.isoformat()}) if older else "",
    }
    return TemplateResponse(request, "admin/text2sql/generation/sessions.html", context)


def _page(rows: QuerySet[Generation], before: datetime | None) -> tuple[list[dict[str, Any]], datetime | None]:
    """The sessions whose last question came before a moment, and where the next page begins.

    They are found by their last questions: to group all questions and sort the sums would read the whole table.
    """
    later = Generation.objects.filter(
        Q(created_at__gt=OuterRef("created_at")) | Q(created_at=OuterRef("created_at"), pk__gt=OuterRef("pk")),
        session_id=OuterRef("session_id"), team=OuterRef("team"),
    ).exclude(session_id="")  # fmt: skip
    last = rows.filter(~Exists(later)).order_by("-created_at", "-id")
    if before is not None:
        last = last.filter(created_at__lt=before)
    keys = list(last.values_list("team_id", "session_id", "created_at")[: PER_PAGE + 1])
    shown = keys[:PER_PAGE]
    wanted = Q(pk__in=[])
    for team_id, session_id, _ in shown:
        wanted |= Q(team=team_id, session_id=session_id)
    sums: Any = (
        rows.filter(wanted).order_by().values("team_id", "session_id", team_name=F("team__name"))
        .annotate(questions=Count("pk"), cost=Sum("cost_usd"), first=Min("created_at"), last=Max("created_at"))
    )  # fmt: skip
    by_key = {(row["team_id"], row["session_id"]): row for row in sums}
    found = [by_key[team_id, session_id] for team_id, session_id, _ in shown if (team_id, session_id) in by_key]
    return found, shown[-1][2] if len(keys) > PER_PAGE else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _row(session: dict[str, Any]) -> dict[str, Any]:
    query = urlencode({"session_id": session["session_id"], "team__slug__exact": session["team_id"]})
    return {
        **session,
        "cost": usd(session["cost"]),
        "link": f"{reverse('admin:text2sql_generation_changelist')}?{query}",
    }


urlpatterns = [path("", admin.site.admin_view(sessions), name="sessions")]
