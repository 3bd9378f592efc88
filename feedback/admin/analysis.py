"""The page Feedback analysis. Leads see the feedback of their teams, admins all."""

import re
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
from teams.admin.spans import days_asked, last_days
from teams.site import request_principal

USUAL = last_days(90)
SEARCHED = 200
"""Characters of a question that the list is searched for."""


def feedback_analysis(request: HttpRequest) -> HttpResponse:
    days = days_asked(request, timezone.now().date(), USUAL)
    span = Span(days.first, days.last)
    found = feedback_analyse(rows_of(request_principal(request), Feedback.objects.all()), span)
    whole = {
        **admin.site.each_context(request),
        "title": "Feedback analysis",
        "span": span,
        "error": days.error,
        "total": _row(found.total),
        "groups": [
            {"title": title.capitalize(), "rows": [_row(row) for row in rows]} for title, rows in found.groups.items()
        ],
        "weeks": [_row(row) | {"name": f"{row.name:%Y-%m-%d}"} for row in found.weeks],
        "repeated": [{"row": row, "link": _list_of(row)} for row in found.repeated],
        "comments": found.comments,
    }
    return TemplateResponse(request, "admin/feedback/analysis.html", whole)


def _row(row: Satisfaction) -> dict[str, Any]:
    share = "–" if row.share is None else f"{row.share * 100:.0f} %"
    return {"name": row.name, "ups": f"{row.ups:,}", "downs": f"{row.downs:,}", "share": share}


def _list_of(row: Repeated) -> str:
    # Other wordings may end in other marks.
    searched = re.sub(r"\W+$", "", row.question)[:SEARCHED]
    query = urlencode({"rating__exact": Feedback.Rating.DOWN.value, "q": searched})
    return f"{reverse('admin:feedback_feedback_changelist')}?{query}"


urlpatterns = [path("", admin.site.admin_view(feedback_analysis), name="feedback_analysis")]
