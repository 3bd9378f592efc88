"""Where to save: what costs most and what is slowest, each with its lever. Leads see their teams, admins all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

from teams.admin.bars import usd
from teams.admin.base import rows_of
from teams.admin.spans import Days, days_asked, last_days
from teams.models import Team
from teams.site import request_principal
from text2sql.admin.overview import Links, clock_of
from text2sql.models import Database, QuestionDay
from text2sql.services.savings import (
    QUESTIONS_COUNTED,
    Cause,
    Group,
    Grouping,
    Lever,
    Order,
    Ranking,
    Span,
    TooMuch,
    first_counted,
    groups_ranked,
)

TEXT_SEARCHED = 200
"""So many characters of a question are searched for in the list behind it: an address has an end."""
USUAL, LONGEST_DAYS = last_days(30), 92
NOTHING = Ranking(groups=(), found=0, repeats_usd=Decimal(0))
TOO_MUCH = "So many questions cannot be counted while you wait: choose fewer days, or one team."
LITTLE = Decimal("0.1")
"""Where all levers together would save less of the cost than this, only another model or effort is left."""
NO_FIGURE = "A lower effort or a cheaper model: what it saves, and what it loses, an evaluation tells."
CAUSES = {
    Cause.FAILURES: ("Failures", "questions that failed ({count}) cost {paid}", "mend what they fail for"),
    Cause.REPAIRS: (
        "Repairs",
        "calls for a repair ({count}) cost {paid}",
        "describe the tables that the findings name, or publish examples",
    ),
    Cause.CACHE_READS: (
        "Prompt cache",
        "input tokens not read from it ({count}) cost {paid}; read from it they would have cost {needed}",
        "keep what comes first in the prompt the same, and ask before it is forgotten",
    ),
    Cause.REPEATS: (
        "Answer cache",
        "Claude's answers ({count}) cost {paid}, the first of them {needed}",
        "see on the page Answer cache why they were not kept",
    ),
}
"""Of each cause: the lever's name, what the ledger says, and what to do."""


@dataclass(frozen=True)
class Table:
    grouping: Grouping
    title: str
    head: str
    name: Callable[[Group], str]
    filters: Callable[[Group], dict[str, str]]


def savings(request: HttpRequest) -> HttpResponse:
    everyone = list(rows_of(request_principal(request), Team.objects.all()))
    team = request.GET.get("team", "")
    teams = [one for one in everyone if one.pk == team] if team else everyone
    if team and not teams:
        raise Http404  # the same for what is not there and for what is another lead's
    links = Links(clock_of(teams))
    days = days_asked(request, timezone.now().astimezone(links.clock).date(), USUAL, longest=LONGEST_DAYS)
    since = days.first if request.GET.get("all") else _since(request, teams, days)
    order = Order.LATENCY if request.GET.get("by") == Order.LATENCY else Order.MONEY
    link = links.filtered(since, days.last)
    link = partial(link, team__slug__exact=team) if team else link
    start, end = (datetime.combine(day, time(), links.clock) for day in (since, days.last + timedelta(1)))
    try:
        ranked = groups_ranked(Span([one.pk for one in teams], start, end), order)
    except TooMuch:
        ranked, days = dict.fromkeys(Grouping, NOTHING), replace(days, error=TOO_MUCH)
    context = {
        "title": "Where to save",
        "teams": everyone,
        "team": team,
        "days": days,
        "since": since,
        "address_of_all": f"?{_with_all(request)}",
        "clock": links.clock.key,
        "order": order,
        "whole": _whole(ranked, link),
        "tables": [_table(table, ranked[table.grouping], link) for table in _tables(ranked, several=len(teams) > 1)],
        "causes": [(name, advice) for name, _, advice in CAUSES.values()],
        "no_figure": NO_FIGURE,
        "most": QUESTIONS_COUNTED,
    }
    return TemplateResponse(
        request, "admin/text2sql/savings/savings.html", {**admin.site.each_context(request), **context}
    )


def _since(request: HttpRequest, teams: list[Team], days: Days) -> date:
    """The first day that is counted while a person waits."""
    counted = rows_of(request_principal(request), QuestionDay.objects.filter(team__in=teams))
    return first_counted(counted, days.first, days.last)


def _with_all(request: HttpRequest) -> str:
    asked = request.GET.copy()
    asked["all"] = "1"
    return asked.urlencode()


def _tables(ranked: dict[Grouping, Ranking], *, several: bool) -> list[Table]:
    shown = [*ranked[Grouping.DATABASES].groups, *ranked[Grouping.QUESTIONS].groups]
    # Their questions are this person's to see, and so are the names; a team may have lost the database since.
    found = Database.objects.filter(pk__in={group.key[0] for group in shown}).values_list("pk", "name")
    names = {str(pk): name for pk, name in found}
    return [
        Table(
            Grouping.DATABASES, "Databases", "Database",
            lambda group: names[group.key[0]], lambda group: {"database__id__exact": group.key[0]},
        ),
        Table(
            Grouping.PROMPTS, "Prompt versions", "Prompt version",
            lambda group: group.key[0], lambda group: {"prompt_version": group.key[0]},
        ),
        Table(
            Grouping.MODELS, "Models", "Model",
            lambda group: group.key[0], lambda group: {"model": group.key[0]},
        ),
        Table(
            Grouping.SESSIONS, "Sessions", "Session",
            lambda group: f"{group.key[0]}: {group.key[1]}" if several else group.key[1],
            lambda group: {"team__slug__exact": group.key[0], "session_id": group.key[1]},
        ),
        Table(
            Grouping.QUESTIONS, "Repeated questions", "Question",
            lambda group: f"{group.label} ({names[group.key[0]]})" if len(names) > 1 else group.label,
            lambda group: {"database__id__exact": group.key[0], "q": _searched(group.key[1])},
        ),
    ]  # fmt: skip


def _searched(text: str) -> str:
    """The text as one phrase of Django's search, which takes words apart at spaces unless they are quoted."""
    escaped = text[:TEXT_SEARCHED].replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _whole(ranked: dict[Grouping, Ranking], link: Callable[..., str]) -> dict[str, Any] | None:
    if not ranked[Grouping.ALL].groups:
        return None
    (group,) = ranked[Grouping.ALL].groups
    return _row(group) | {
        "href": link(),
        "repeats": usd(ranked[Grouping.QUESTIONS].repeats_usd),
        "repeated": ranked[Grouping.QUESTIONS].found,
    }


def _table(table: Table, ranking: Ranking, link: Callable[..., str]) -> dict[str, Any]:
    return {
        "title": table.title,
        "head": table.head,
        "more": f"{len(ranking.groups)} of {ranking.found:,}" if ranking.found > len(ranking.groups) else "",
        "rows": [
            _row(group) | {"name": table.name(group), "href": link(**table.filters(group))} for group in ranking.groups
        ],
    }


def _row(group: Group) -> dict[str, Any]:
    tokens = group.tokens_per_question
    return {
        "questions": f"{group.questions:,}",
        "cost": usd(group.cost_usd),
        "p50": _seconds(group.p50_ms),
        "p95": _seconds(group.p95_ms),
        "tokens": "–" if tokens is None else f"{tokens:,.0f}",
        "read": _percent(group.cache_read_share),
        "hits": _percent(group.hit_rate),
        "repaired": _percent(group.repair_rate),
        "failed": _percent(group.failure_rate),
        "levers": [_lever(lever) for lever in group.levers],
        "saving": usd(group.saving_usd),
        "little": bool(group.asked) and group.saving_usd < group.cost_usd * LITTLE,
    }


def _lever(lever: Lever) -> dict[str, str]:
    name, words, _ = CAUSES[lever.cause]
    told = words.format(count=f"{lever.count:,}", paid=usd(lever.paid_usd), needed=usd(lever.needed_usd))
    return {"name": name, "words": told, "saving": usd(lever.saving_usd)}


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:,.1f} s"


urlpatterns = [path("", admin.site.admin_view(savings), name="savings")]
