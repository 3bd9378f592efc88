"""The page Feedback analysis. Leads see the feedback of their teams, admins all."""

import re
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from feedback.models import Feedback
from feedback.services.analysis import Repeated, Satisfaction, Span, feedback_analyse
from teams.admin.base import rows_of
from teams.site import request_principal

USUAL_SPAN, LONGEST_SPAN = timedelta(days=90), timedelta(days=366)
EARLIEST = date(2020, 1, 1)
SEARCHED = 200
"""Characters of a question that the list is searched for."""


def feedback_analysis(request: HttpRequest) -> HttpResponse:
    span, error = _span(request)
    found = feedback_analyse(rows_of(request_principal(request), Feedback.objects.all()), span)
    whole = {
        **admin.site.each_context(request),
        "title": "Feedback analysis",
        "span": span,
        "error": error,
        "total": _row(found.total),
        "groups": [
            {"title": title.capitalize(), "rows": [_row(row) for row in rows]} for title, rows in found.groups.items()
        ],
        "weeks": [_row(row) | {"name": f"{row.name:%Y-%m-%d}"} for row in found.weeks],
        "repeated": [{"row": row, "link": _list_of(row)} for row in found.repeated],
        "comments": found.comments,
    }
    return TemplateResponse(request, "admin/feedback/analysis.html", whole)


def _span(request: HttpRequest) -> tuple[Span, str]:
    """The days asked for by `from` and `to` (2026-11-30), else the last 90, and what was wrong with them."""
    today = timezone.now().date()
    usual = Span(today - USUAL_SPAN + timedelta(days=1), today)
    try:
        last = date.fromisoformat(request.GET.get("to") or today.isoformat())
        usually = max(last, EARLIEST + USUAL_SPAN) - USUAL_SPAN
        first = date.fromisoformat(request.GET.get("from") or usually.isoformat())
    except ValueError:
        return usual, "Give both days as in 2026-11-30. These are the last 90 days."
    if not EARLIEST <= first <= last <= today + LONGEST_SPAN or last - first > LONGEST_SPAN:
        return usual, "The first day must not be later than the last, nor a year before it. These are the last 90 days."
    return (Span(first, last) if request.GET.get("from") or request.GET.get("to") else usual), ""


def _row(row: Satisfaction) -> dict[str, Any]:
    share = "–" if row.share is None else f"{row.share * 100:.0f} %"
    return {"name": row.name, "ups": f"{row.ups:,}", "downs": f"{row.downs:,}", "share": share}


def _list_of(row: Repeated) -> str:
    # Other wordings may end in other marks.
    searched = re.sub(r"\W+$", "", row.question)[:SEARCHED]
    query = urlencode({"rating__exact": Feedback.Rating.DOWN.value, "q": searched})
    return f"{reverse('admin:feedback_feedback_changelist')}?{query}"


urlpatterns = [path("", admin.site.admin_view(feedback_analysis), name="feedback_analysis")]
