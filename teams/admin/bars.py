"""How a budget's standing is drawn and told in words."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.template.loader import render_to_string

from teams.services.standings import Standing


def usd(amount: Decimal, decimals: int = 4) -> str:
    return f"${amount:,.{decimals}f}"


def local_time(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def standing_bar(standing: Standing) -> str:
    """HTML: spent, external and reserved on end, the forecast as a mark; clipped where the frame ends."""
    return render_to_string("admin/teams/budget/bar.html", {"bar": bar_of(standing)})


def bar_of(standing: Standing) -> dict[str, Any]:
    window, foretold = standing.window, standing.forecast
    spent, external, reserved = (
        standing.percent(amount) for amount in (window.spent_usd, window.external_usd, window.reserved_usd)
    )
    if not standing.limit_usd:  # of a limit of nothing nothing is left, and there are no parts to show
        spent, external, reserved = 100.0, 0.0, 0.0
    words = f"{spent:.0f} % spent, {external:.0f} % external, {reserved:.0f} % reserved"
    if foretold is not None and standing.limit_usd:
        words += f", forecast {standing.percent(foretold.total_usd):.0f} % of the limit"
    widths = _widths(spent, external, reserved)
    return {
        "words": f"{words}: {standing.state}",
        "percent": f"{spent + external:.0f}",
        "state": standing.state,
        "state_class": standing.state.replace(" ", "-"),
        "spent": f"{widths[0]:.1f}",
        "external": f"{widths[1]:.1f}",
        "reserved": f"{widths[2]:.1f}",
        "forecast": f"{min(standing.percent(foretold.total_usd), 100):.1f}" if foretold else "",
    }


def _widths(*percents: float) -> list[float]:
    widths, left = [], 100.0
    for percent in percents:
        widths.append(min(percent, left))
        left -= widths[-1]
    return widths
