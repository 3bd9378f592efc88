"""What stands on a team's page in the admin below its form: keys, databases, and what this month went for."""

from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone

from teams.models import ApiKey, Team
from text2sql.models import DatabaseAccess
from text2sql.services.spending import Span, spending_by

register = template.Library()

MOST_KEYS = 20
USED_BY = ["database", "api_key_id", "end_user"]


@register.inclusion_tag("admin/text2sql/team/sections.html")
def team_sections(team: Team) -> dict[str, Any]:
    """For a page whose reader may see the team."""
    # Django loads libraries of tags while unfold, which the admin's rooms import, is itself being loaded.
    from text2sql.admin.spending import spending_group  # noqa: PLC0415  # see above

    today = timezone.now().astimezone(team.time_zone).date()
    span = Span(team, today.replace(day=1), today)
    used = {name: spending_by(span, name) for name in USED_BY}
    total: Decimal = sum((row["cost"] for row in used["database"]), Decimal(0))
    keys = ApiKey.objects.filter(team=team)
    return {
        "team": team,
        "keys": keys.order_by("-revoked_at", "name")[:MOST_KEYS],  # PostgreSQL puts null, the valid ones, first
        "more_keys": max(keys.count() - MOST_KEYS, 0),
        "accesses": DatabaseAccess.objects.filter(team=team).select_related("database").order_by("database__name"),
        "groups": [spending_group(name, rows, total) for name, rows in used.items()],
    }
